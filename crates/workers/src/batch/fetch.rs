//! Objects to bytes, in their order: many calls at once, large objects in ranges, bounded memory.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::Progress;
use super::objects::{Listing, Object};
use crate::cleaner::error::TableError;

/// Calls under way at once. The lake's client lets fewer through; the rest stand ready.
const AT_ONCE: usize = 48;

/// What one call brings at most.
const RANGE: u64 = 4 << 20;

/// A part of an object, in its place.
pub(crate) struct Piece {
    pub(crate) object: Arc<Object>,
    pub(crate) bytes: Bytes,
    /// Whether it is the object's last.
    pub(crate) last: bool,
    /// Its share of the memory, given back when it goes.
    _memory: OwnedSemaphorePermit,
}

#[cfg(test)]
impl Piece {
    pub(crate) fn new(object: Arc<Object>, bytes: Bytes, last: bool, memory: OwnedSemaphorePermit) -> Piece {
        Piece { object, bytes, last, _memory: memory }
    }
}

/// A call that is to be made, with the memory for its answer.
struct Wanted {
    object: Arc<Object>,
    range: Range<u64>,
    memory: OwnedSemaphorePermit,
}

/// Everything that the listing finds. At the end, objects that are none of the sink's are told to `progress`.
pub(crate) fn pieces(
    store: Arc<dyn ObjectStore>,
    url: Url,
    listing: Listing,
    memory_kib: usize,
    progress: Arc<Progress>,
) -> impl Stream<Item = Result<Piece, TableError>> {
    wanted(listing, Arc::new(Semaphore::new(memory_kib)), progress)
        .map_ok(move |wanted| {
            // A task of its own: calls under way hold their turn at the store, and whoever takes the pieces may wait for a
            // commit, which needs a turn too.
            let fetched = AbortOnDropHandle::new(tokio::spawn(fetch(store.clone(), url.clone(), wanted)));
            async move { fetched.await.map_err(TableError::Thread)? }
        })
        .try_buffered(AT_ONCE)
}

/// Memory is given out in the order of the pieces, so that the one in turn never waits for a later one.
fn wanted(
    listing: Listing,
    memory: Arc<Semaphore>,
    progress: Arc<Progress>,
) -> impl Stream<Item = Result<Wanted, TableError>> {
    let start: (Listing, Option<(Arc<Object>, u64)>) = (listing, None);
    futures::stream::try_unfold((start, memory, progress), |((mut listing, rest), memory, progress)| async move {
        let (object, from) = match rest {
            Some(rest) => rest,
            None => match listing.next().await? {
                Some(object) => {
                    progress.objects.fetch_add(1, Ordering::Relaxed);
                    (Arc::new(object), 0)
                }
                None => {
                    progress.strangers.store(listing.strangers, Ordering::Relaxed);
                    return Ok(None);
                }
            },
        };
        let to = object.size.min(from + RANGE);
        let kib = u32::try_from((to - from) / 1024 + 1).unwrap_or(u32::MAX);
        let permit = memory.clone().acquire_many_owned(kib).await.expect("nobody closes this semaphore");
        let rest = (to < object.size).then(|| (object.clone(), to));
        let wanted = Wanted { object, range: from..to, memory: permit };
        Ok(Some((wanted, ((listing, rest), memory, progress))))
    })
}

async fn fetch(store: Arc<dyn ObjectStore>, url: Url, wanted: Wanted) -> Result<Piece, TableError> {
    let Wanted { object, range, memory } = wanted;
    let last = range.end == object.size;
    if range.is_empty() {
        return Ok(Piece { object, bytes: Bytes::new(), last, _memory: memory });
    }
    let options = GetOptions {
        range: (range.start > 0 || !last).then_some(GetRange::Bounded(range)),
        if_match: object.etag.clone(),
        ..GetOptions::default()
    };
    let got = match store.get_opts(&object.key, options).await {
        Ok(got) => got.bytes().await,
        Err(error) => Err(error),
    };
    match got {
        Ok(bytes) => Ok(Piece { object, bytes, last, _memory: memory }),
        // Written anew, or deleted, since it was listed.
        Err(object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => {
            Err(TableError::Disturbed { url })
        }
        Err(source) => Err(TableError::Object { doing: "read", source }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;

    /// The sink writes its last object anew when it was killed before it had committed it.
    #[tokio::test]
    async fn an_object_is_read_as_it_was_listed_or_not_at_all() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = Path::parse("topics/t/partition=0/t+0+0000000000.json").unwrap();
        let url = Url::parse("s3://lake/tables/batch/t").unwrap();
        let read = async |meanwhile: Option<&'static str>| {
            store.put(&key, "1\n2\n".into()).await.unwrap();
            let mut listing = Listing::new(store.clone(), "t", HashMap::new()).await.unwrap();
            let first = listing.next().await.unwrap().unwrap();
            if let Some(lines) = meanwhile {
                store.put(&key, lines.into()).await.unwrap();
            }
            let pieces = pieces(store.clone(), url.clone(), listing.from(first), 1_000, Arc::default());
            pieces.map_ok(|piece| piece.bytes).try_collect::<Vec<_>>().await
        };
        assert_eq!(read(None).await.unwrap(), ["1\n2\n"]);
        for anew in ["1\n2\n3\n", "1\n", "3\n4\n"] {
            let read = read(Some(anew)).await;
            assert!(matches!(read, Err(TableError::Disturbed { .. })), "{anew:?}: {read:?}");
        }
    }
}
