//! Rates and quotas: token buckets for stages, methods and keys. They are in memory: a restart fills them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;

use crate::services::apigateway::{Quota, Throttle};

/// More buckets than methods and keys of any test; then those that are full again are forgotten.
const MAX_BUCKETS: usize = 10_000;

/// All that has been taken so far.
#[derive(Debug, Default)]
pub(super) struct Meters {
    buckets: Mutex<HashMap<String, Bucket>>,
    /// Calls by plan and key, with the period they were made in.
    used: Mutex<HashMap<String, (i64, u64)>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    /// Milliseconds since the Unix epoch.
    at: i64,
}

impl Meters {
    /// Takes one call out of the bucket of that name, if there is one left.
    pub(super) fn take(&self, name: &str, throttle: Throttle, now_millis: i64) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = f64::from(throttle.burst);
        if buckets.len() >= MAX_BUCKETS {
            buckets.retain(|_, bucket| now_millis - bucket.at < 60_000);
        }
        if !buckets.contains_key(name) {
            buckets.insert(name.to_owned(), Bucket { tokens: full, at: now_millis });
        }
        let Some(bucket) = buckets.get_mut(name) else { return true };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since the last call")]
        let seconds = (now_millis - bucket.at).max(0) as f64 / 1000.0;
        // A burst that was made smaller counts at once.
        bucket.tokens = (bucket.tokens + seconds * throttle.rate).min(full);
        bucket.at = now_millis;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    /// Takes one call out of the quota of that name.
    pub(super) fn take_quota(&self, name: &str, quota: &Quota, now: OffsetDateTime) -> bool {
        let period = period(&quota.period, now);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let (in_period, calls) = used.entry(name.to_owned()).or_insert((period, quota.offset));
        if *in_period != period {
            (*in_period, *calls) = (period, 0);
        }
        if *calls >= quota.limit {
            return false;
        }
        *calls += 1;
        true
    }
}

/// The number of the day, week (from Sunday) or month, in UTC ("Create a usage plan", API Gateway developer guide).
fn period(name: &str, now: OffsetDateTime) -> i64 {
    let day = i64::from(now.to_julian_day());
    match name {
        "WEEK" => (day + 1) / 7,
        "MONTH" => i64::from(now.year()) * 12 + i64::from(u8::from(now.month())),
        _ => day,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let meters = Meters::default();
        let throttle = Throttle { rate: 10.0, burst: 3 };
        let taken = |at| (0..10).filter(|_| meters.take("a", throttle, at)).count();
        assert_eq!(taken(1_000), 3);
        assert_eq!(taken(1_050), 0);
        assert_eq!(taken(1_100), 1);
        assert_eq!(taken(60_000), 3);
        assert!(meters.take("b", throttle, 60_000));
        assert!(!meters.take("c", Throttle { rate: 0.0, burst: 0 }, 60_000));
    }

    #[test]
    fn a_quota_begins_anew_with_its_period() {
        let meters = Meters::default();
        let quota = Quota { limit: 3, offset: 1, period: "WEEK".to_owned() };
        let taken = |now| (0..5).filter(|_| meters.take_quota("k", &quota, now)).count();
        // A Saturday, then a Sunday.
        assert_eq!(taken(datetime!(2026-11-21 23:59 UTC)), 2);
        assert_eq!(taken(datetime!(2026-11-22 00:00 UTC)), 3);
    }

    #[test]
    fn periods() {
        let now = datetime!(2026-11-30 12:00 UTC);
        for (name, same, next) in [
            ("DAY", datetime!(2026-11-30 23:00 UTC), datetime!(2026-12-01 00:00 UTC)),
            ("WEEK", datetime!(2026-12-05 23:00 UTC), datetime!(2026-12-06 00:00 UTC)),
            ("MONTH", datetime!(2026-11-01 00:00 UTC), datetime!(2026-12-01 00:00 UTC)),
        ] {
            assert_eq!(period(name, now), period(name, same), "{name}");
            assert_ne!(period(name, now), period(name, next), "{name}");
        }
    }
}
