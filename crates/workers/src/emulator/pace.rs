//! How fast events go out: a bucket of tokens that fills at the rate, which may grow from nothing at first.

use std::time::Duration;

/// Tokens to post events with. It reads no clock: it is told how long the emulator has been running.
#[derive(Debug)]
pub(super) struct Pace {
    rate: f64,
    burst: f64,
    ramp: f64,
    tokens: f64,
    /// Up to when tokens have been filled in, in seconds.
    filled: f64,
}

/// Timers are no finer than this, so the bucket holds at least what comes together meanwhile.
const TIMER: f64 = 0.02;

impl Pace {
    /// `rate` tokens a second after `ramp` of growing evenly towards it; at most `burst` at once after a pause. The
    /// first is there from the start.
    pub(super) fn new(rate: f64, burst: u32, ramp: Duration) -> Pace {
        let burst = f64::from(burst).max(rate * TIMER).max(1.0);
        Pace { rate, burst, ramp: ramp.as_secs_f64(), tokens: 1.0, filled: 0.0 }
    }

    /// Takes a token, or says for how long there is none.
    pub(super) fn take(&mut self, running: Duration) -> Result<(), Duration> {
        let now = running.as_secs_f64();
        if now > self.filled {
            self.tokens = (self.tokens + self.given(now) - self.given(self.filled)).min(self.burst);
            self.filled = now;
        }
        // Sums of fractions fall short of the whole by a little.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let full = self.when(self.given(now) + 1.0 - self.tokens);
        // A rate of one event a century is none that has to be waited for at once.
        Err(Duration::try_from_secs_f64((full - now).clamp(0.0005, 60.0)).unwrap_or(Duration::from_secs(1)))
    }

    /// Tokens given out from the start until `at`, had the bucket no bottom.
    fn given(&self, at: f64) -> f64 {
        if at < self.ramp { self.rate * at * at / (2.0 * self.ramp) } else { self.rate * (at - self.ramp / 2.0) }
    }

    /// When so many have been given: the inverse of `given`.
    fn when(&self, tokens: f64) -> f64 {
        let at = tokens / self.rate + self.ramp / 2.0;
        if at < self.ramp { (2.0 * self.ramp * tokens / self.rate).sqrt() } else { at }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes whatever there is for `seconds`, sleeping as told, and says how much that was.
    fn taken(pace: &mut Pace, seconds: f64) -> u32 {
        let (mut now, mut taken) = (Duration::ZERO, 0);
        while now.as_secs_f64() < seconds {
            match pace.take(now) {
                Ok(()) => taken += 1,
                Err(wait) => now += wait,
            }
        }
        taken
    }

    #[test]
    fn the_rate_is_kept() {
        for rate in [0.5, 2.0, 33.3, 1_000.0, 20_000.0] {
            let found = f64::from(taken(&mut Pace::new(rate, 1, Duration::ZERO), 100.0));
            assert!((found - rate * 100.0).abs() <= 2.0 + rate * 0.01, "{rate}: {found}");
        }
    }

    #[test]
    fn a_ramp_gives_half_as_much() {
        let found = taken(&mut Pace::new(100.0, 5, Duration::from_secs(10)), 10.0);
        assert!((495..=505).contains(&found), "{found}");
        let early = taken(&mut Pace::new(100.0, 5, Duration::from_secs(10)), 1.0);
        assert!((4..=8).contains(&early), "{early}");
    }

    #[test]
    fn a_pause_is_made_up_for_by_one_burst() {
        let mut pace = Pace::new(10.0, 25, Duration::ZERO);
        let mut at_once = 0;
        while pace.take(Duration::from_secs(3600)).is_ok() {
            at_once += 1;
        }
        assert_eq!(at_once, 25);
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_a_burst(
            rate in 0.001_f64..5_000.0, burst in 0_u32..100, ramp in 0_u64..20, steps in prop::collection::vec(0_u64..3_000, 1..200)
        ) {
            let mut pace = Pace::new(rate, burst, Duration::from_secs(ramp));
            let (mut now, mut taken) = (Duration::ZERO, 0.0);
            for step in steps {
                now += Duration::from_millis(step);
                for _ in 0..50 {
                    match pace.take(now) {
                        Ok(()) => taken += 1.0,
                        Err(wait) => {
                            prop_assert!(wait >= Duration::from_micros(500));
                            break;
                        }
                    }
                }
                prop_assert!(taken <= 1.01 + rate * now.as_secs_f64());
            }
        }
    }
}
