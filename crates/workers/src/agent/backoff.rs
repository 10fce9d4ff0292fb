//! How long a worker that ended waits before it is started again. Pure: the caller has the clock and the dice.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest: a worker that cannot run is tried about once a minute.
const LONGEST: Duration = Duration::from_secs(60);
/// A worker that was healthy for so long is given the short waits again.
pub(super) const HEALTHY: Duration = Duration::from_secs(60);

/// The waits of one worker, each twice as long as the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait. `chance` is from 0 to 1 and moves it by a fifth to either side, so that workers that one cause
    /// ended do not come back all at once.
    pub(super) fn next(&mut self, chance: f64) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        doubled.min(LONGEST).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
    }

    /// It has been healthy for so long.
    pub(super) fn was_healthy(&mut self, time: Duration) {
        if time >= HEALTHY {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_again_after_a_minute_of_health() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.next(0.5).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.was_healthy(Duration::from_secs(59));
        assert_eq!(backoff.next(0.5).as_secs(), 60);
        backoff.was_healthy(Duration::from_secs(60));
        assert_eq!(backoff.next(0.5).as_secs(), 1);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_nothing_and_never_longer_than_a_minute_and_a_fifth(failures: u32, chance in 0.0..=1.0_f64) {
            let wait = Backoff { failures }.next(chance);
            prop_assert!(wait >= Duration::from_millis(800) && wait <= Duration::from_secs(72));
        }
    }
}
