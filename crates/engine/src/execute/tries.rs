//! What is tried again, and when: trouble that passes by itself is no failure of a step.
//!
//! Each request was sent several times already by whoever speaks to the cloud. Here a step begins again from what the cloud
//! holds by then, so a change whose answer was lost is seen to be done, and one that met another is made after it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::{Call, CloudError, ErrorKind};

/// How often a step goes on after trouble. With the pauses between, for about fifteen seconds.
const TRIES: u32 = 6;
/// The first pause; each is twice the one before.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// The tries of one step.
pub(super) struct Tries<'a> {
    call: &'a Call,
    done: u32,
    /// Whether a refusal as wrong has been doubted.
    doubted: bool,
}

impl<'a> Tries<'a> {
    pub(super) fn new(call: &'a Call) -> Tries<'a> {
        Tries { call, done: 0, doubted: false }
    }

    /// Pauses before the next try. Returns the error where another try would end as this one has.
    pub(super) async fn pause_after(&mut self, error: CloudError) -> Result<(), CloudError> {
        let Some(pause) = self.next(error.kind, self.call.is_early()) else { return Err(error) };
        self.call.progress(format!("trying again after {error}"));
        self.call.pause(pause).await
    }

    /// The same, where a refusal as wrong may come from an earlier answer that was lost: what is asked for is so already.
    pub(super) async fn pause_after_change(&mut self, error: CloudError) -> Result<(), CloudError> {
        if error.kind == ErrorKind::Invalid && !self.doubted {
            self.doubted = true;
            return self.call.pause(SHORTEST).await;
        }
        self.pause_after(error).await
    }

    fn next(&mut self, error: ErrorKind, early: bool) -> Option<Duration> {
        let passes = error.is_trouble() || matches!(error, ErrorKind::Conflict | ErrorKind::AlreadyExists);
        // What it refers to is not known everywhere yet: that ends by the clock.
        let is_too_new = error == ErrorKind::NotFound && early;
        if !is_too_new && (!passes || self.done + 1 >= TRIES) {
            return None;
        }
        self.done += 1;
        let pause = SHORTEST.saturating_mul(1 << (self.done - 1).min(16)).min(LONGEST);
        Some(pause.mul_f64(0.5 + self.share() / 2.0))
    }

    /// From 0 to 1, another one for each step and try, so that steps that met the same trouble do not return together.
    fn share(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        (&self.call.token, &self.call.address, self.done).hash(&mut hasher);
        f64::from(u16::try_from(hasher.finish() & 0xffff).unwrap_or_default()) / f64::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    fn pauses(error: ErrorKind, early: bool) -> Vec<Duration> {
        let call = Call::silent(Address::new("test/thing", "a"));
        let mut tries = Tries::new(&call);
        std::iter::from_fn(|| tries.next(error, early)).take(100).collect()
    }

    #[test]
    fn trouble_is_tried_again_with_longer_pauses_and_not_for_ever() {
        for error in [ErrorKind::Throttled, ErrorKind::Transient, ErrorKind::Unreachable, ErrorKind::Conflict] {
            let pauses = pauses(error, false);
            assert_eq!(pauses.len(), 5, "{error:?}");
            for (number, pause) in pauses.iter().enumerate() {
                let most = SHORTEST * 2_u32.pow(u32::try_from(number).unwrap());
                assert!((most / 2..=most).contains(pause), "{pause:?} of {most:?}");
            }
        }
    }

    #[test]
    fn a_refusal_is_not_tried_again() {
        for error in
            [ErrorKind::Invalid, ErrorKind::Permission, ErrorKind::Quota, ErrorKind::Blocked, ErrorKind::Parked]
        {
            assert_eq!(pauses(error, true), [Duration::ZERO; 0], "{error:?}");
        }
    }

    #[test]
    fn what_is_not_known_yet_is_asked_for_as_long_as_it_may_be_too_new() {
        assert_eq!(pauses(ErrorKind::NotFound, true).len(), 100);
        assert_eq!(pauses(ErrorKind::NotFound, false).len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_one_refusal_of_a_change_is_doubted() {
        let call = Call::silent(Address::new("test/thing", "a"));
        let mut tries = Tries::new(&call);
        let refused = || CloudError::new(ErrorKind::Invalid, "test", "it is so already");
        assert_eq!(tries.pause_after_change(refused()).await, Ok(()));
        assert_eq!(tries.pause_after_change(refused()).await, Err(refused()));
        assert_eq!(tries.pause_after(refused()).await, Err(refused()));
    }
}
