//! Runs the SDK's futures for callers that wait for them: state is read and written by plain functions, which may be
//! called inside an asynchronous program, where blocking on another runtime in the same thread is a panic.

use std::io;
use std::sync::mpsc;
use std::thread;

use pinfra_engine::{CloudError, ErrorKind};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread that drives futures; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Background {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Background {
    pub(super) fn start() -> io::Result<Background> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new().name("state-s3".to_owned()).spawn(move || {
            // Nothing is ever sent: the sender goes with its owner.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Background { handle, _stop: stop })
    }

    /// Returns once `work` is done.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, CloudError>> + Send + 'static,
    ) -> Result<T, CloudError> {
        let (done, waiting) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // Whoever asked waits below.
            let _ = done.send(work.await);
        });
        waiting.recv().unwrap_or_else(|_| {
            Err(CloudError::new(ErrorKind::Other, "reaching the state in S3", "the thread that calls S3 has ended"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_asynchronous_program_may_wait_and_a_panic_is_an_error() {
        let background = Background::start().unwrap();
        assert_eq!(background.wait(async { Ok(7) }), Ok(7));
        let failed = background.wait(async { if true { panic!("as a bug would") } else { Ok(7) } });
        assert_eq!(failed.unwrap_err().kind, ErrorKind::Other);
        assert_eq!(background.wait(async { Ok(8) }), Ok(8));
    }
}
