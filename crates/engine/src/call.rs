//! What a kind is told of the step that it works for, and how it waits.
//!
//! What waits on behalf of a step without being told of it, as a request does that is held back by a rate, learns from
//! [`halted`] that the run is to end.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Address, CloudError, ErrorKind};

/// How long what was just made may be unknown to what refers to it. IAM's changes are known everywhere within some fifteen
/// seconds (field reports); two minutes is what other tools wait.
pub const PROPAGATION: Duration = Duration::from_secs(120);

tokio::task_local! {
    /// Cancelled when the run is to end whose step this task works on.
    static PARK: CancellationToken;
}

/// Returns once the run is to end whose step this task works on; never outside of a step.
pub async fn halted() {
    match PARK.try_with(CancellationToken::clone) {
        Ok(park) => park.cancelled().await,
        Err(_) => pending().await,
    }
}

/// The error of what was being waited for when the run was to end. The step is left as it stands, and the next run goes on
/// with it.
pub fn parked(operation: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::Parked, operation, "the run ended before this did")
}

/// One step's call, as far as a kind needs to know.
#[derive(Clone)]
pub struct Call {
    /// Where the resource stands in the stack.
    pub address: Address,
    /// The same for the same step of the same state, however often it is tried: for client tokens.
    pub token: String,
    /// How long the step usually takes on AWS; zero where nobody says.
    pub usual: Duration,
    early_until: Instant,
    progress: Arc<dyn Fn(String) + Send + Sync>,
    pausing: Arc<dyn Fn() + Send + Sync>,
    park: CancellationToken,
}

impl Call {
    /// A call whose progress messages go to `progress`. Nothing parks it, and what it refers to counts as just made.
    pub fn new(address: Address, token: String, progress: Arc<dyn Fn(String) + Send + Sync>) -> Call {
        Call {
            address,
            token,
            usual: Duration::ZERO,
            early_until: Instant::now() + PROPAGATION,
            progress,
            pausing: Arc::new(|| {}),
            park: CancellationToken::new(),
        }
    }

    /// A call that tells nobody how it goes on.
    pub fn silent(address: Address) -> Call {
        let token = address.to_string();
        Call::new(address, token, Arc::new(|_| {}))
    }

    /// The same for a step that usually takes so long.
    pub fn usually(self, usual: Duration) -> Call {
        Call { usual, ..self }
    }

    /// The same, whose pauses end with [`ErrorKind::Parked`] once `park` is cancelled. `pausing` is told of each pause.
    pub fn parked_by(self, park: CancellationToken, pausing: Arc<dyn Fn() + Send + Sync>) -> Call {
        Call { park, pausing, ..self }
    }

    /// The same, where the newest of what it refers to was made at `made`.
    pub fn after_making(self, made: Instant) -> Call {
        Call { early_until: made + PROPAGATION, ..self }
    }

    /// Does `work` as a part of the step: [`halted`] is heard in it.
    pub async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        PARK.scope(self.park.clone(), work).await
    }

    /// Tells people what is being waited for, such as `CREATING`.
    pub fn progress(&self, message: impl Into<String>) {
        (self.progress)(message.into());
    }

    /// Whether what it refers to may have been made too short a time ago to be known everywhere.
    pub fn is_early(&self) -> bool {
        Instant::now() < self.early_until
    }

    /// Waits before the next look, or the next try. An error of the kind [`ErrorKind::Parked`] says that the run is to end:
    /// the step is left as it stands, and the next run goes on with it.
    pub async fn pause(&self, time: Duration) -> Result<(), CloudError> {
        (self.pausing)();
        tokio::select! {
            biased;
            () = self.park.cancelled() => Err(parked(self.address.to_string())),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_at_once_when_the_run_is_to_end() {
        let park = CancellationToken::new();
        let call = Call::silent(Address::new("test/thing", "a")).parked_by(park.clone(), Arc::new(|| {}));
        assert_eq!(call.pause(Duration::from_secs(5)).await, Ok(()));
        let before = Instant::now();
        let (paused, ()) = tokio::join!(call.pause(Duration::from_secs(60)), async { park.cancel() });
        assert_eq!(paused.unwrap_err().kind, ErrorKind::Parked);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_step_hears_that_its_run_is_to_end_and_of_no_other() {
        let hour = Duration::from_secs(3600);
        let park = CancellationToken::new();
        let call = Call::silent(Address::new("test/thing", "a")).parked_by(park.clone(), Arc::new(|| {}));
        assert!(tokio::time::timeout(hour, call.scope(halted())).await.is_err());
        park.cancel();
        assert!(tokio::time::timeout(hour, call.scope(halted())).await.is_ok());
        assert!(tokio::time::timeout(hour, halted()).await.is_err(), "outside of a step");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_just_made_is_new_for_two_minutes() {
        let call = Call::silent(Address::new("test/thing", "a")).after_making(Instant::now());
        tokio::time::advance(Duration::from_secs(119)).await;
        assert!(call.is_early());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!call.is_early());
    }
}
