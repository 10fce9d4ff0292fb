//! An object store that stops dead at its n-th write, before or after the write has taken effect: the moment at which a
//! process is killed. It can also refuse the first writes to some paths.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use tokio_util::sync::CancellationToken;

/// When the process dies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dies {
    Before(usize),
    After(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Mortal {
    inner: Arc<dyn ObjectStore>,
    dies: Dies,
    writes: Arc<AtomicUsize>,
    /// Cancelled once that write has come.
    pub(crate) died: CancellationToken,
    /// Writes to paths with this part are refused, so many times.
    refuses: (&'static str, Arc<AtomicUsize>),
}

impl Mortal {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, dies: Dies) -> Mortal {
        Mortal { inner, dies, writes: Arc::default(), died: CancellationToken::new(), refuses: ("", Arc::default()) }
    }

    /// One that lives, and refuses the first writes to paths with this part.
    pub(crate) fn refusing(inner: Arc<dyn ObjectStore>, part: &'static str, times: usize) -> Mortal {
        let refuses = (part, Arc::new(AtomicUsize::new(times)));
        Mortal { refuses, ..Mortal::new(inner, Dies::Before(usize::MAX)) }
    }

    pub(crate) fn refusals_left(&self) -> usize {
        self.refuses.1.load(Ordering::SeqCst)
    }

    async fn put(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (part, times) = &self.refuses;
        let one_less = |left: usize| left.checked_sub(1);
        if location.as_ref().contains(part) && times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
        {
            let (path, source) = (location.to_string(), "refused for a test".into());
            return Err(object_store::Error::PermissionDenied { path, source });
        }
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        if matches!(self.dies, Dies::Before(at) if number >= at) {
            self.die().await;
        }
        let put = self.inner.put_opts(location, payload, options).await;
        if matches!(self.dies, Dies::After(at) if number >= at) {
            self.die().await;
        }
        put
    }

    async fn die(&self) {
        self.died.cancel();
        std::future::pending::<()>().await;
    }
}

impl fmt::Display for Mortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mortal({})", self.inner)
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

// The trait is written with the `async_trait` macro; these are the signatures that the macro makes.
impl ObjectStore for Mortal {
    fn put_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Answer<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(self.put(location, payload, options))
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: PutMultipartOptions,
    ) -> Answer<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.put_multipart_opts(location, options)
    }

    fn get_opts<'a, 'b, 'c>(&'a self, location: &'b Path, options: GetOptions) -> Answer<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.get_opts(location, options)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Answer<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'd, 'c>(&'a self, from: &'b Path, to: &'d Path, options: CopyOptions) -> Answer<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
        Self: 'c,
    {
        self.inner.copy_opts(from, to, options)
    }
}
