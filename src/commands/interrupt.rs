//! Ctrl-C and SIGTERM, outside of what carries a plan out: the command ends with a word, lets go of its lock and exits 130.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report::Failure;

/// The two signals that ask a command to end. From the first of these on, neither ends the process by itself any more.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Listens from now on.
    pub(super) fn new() -> Result<Interrupts, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new(format!("cannot listen for signals: {error}")));
        Ok(Interrupts { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Returns at the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Does `work` unless somebody interrupts it; then it is dropped where it waits, and `word` says what that means.
pub(super) async fn unless_interrupted<T>(
    word: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut interrupts = Interrupts::new()?;
    tokio::select! {
        done = work => done,
        () = interrupts.next() => Err(Failure::Interrupted(Some(word.to_owned()))),
    }
}
