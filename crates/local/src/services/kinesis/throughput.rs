//! What one shard lets through: token buckets over the clock.
//!
//! Quotas: <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>.

const WRITE_BYTES_PER_SECOND: u32 = 1 << 20;
const WRITE_RECORDS_PER_SECOND: u32 = 1_000;
const READ_BYTES_PER_SECOND: u32 = 2 << 20;
const READ_CALLS_PER_SECOND: u32 = 5;

/// A bucket that holds one second's worth.
///
/// Something larger than the bucket is let through when it is full and leaves it in debt, so that a record of 10 MiB can
/// be written at all, and a read of 10 MiB keeps the next ones waiting, as on AWS.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    level: f64,
    filled_at: i64,
}

impl Bucket {
    fn full(per_second: u32, now: i64) -> Bucket {
        Bucket { per_second: f64::from(per_second), level: f64::from(per_second), filled_at: now }
    }

    fn fill(&mut self, now: i64) {
        let elapsed = now.saturating_sub(self.filled_at).max(0);
        self.level = (self.level + elapsed as f64 / 1_000.0 * self.per_second).min(self.per_second);
        self.filled_at = self.filled_at.max(now);
    }

    fn has(&self, cost: usize) -> bool {
        self.level >= (cost as f64).min(self.per_second)
    }

    fn take(&mut self, cost: usize) {
        self.level -= cost as f64;
    }
}

/// What may still be written now.
#[derive(Debug)]
pub(super) struct WriteBudget {
    bytes: Bucket,
    records: Bucket,
}

impl WriteBudget {
    pub(super) fn new(now: i64) -> WriteBudget {
        WriteBudget {
            bytes: Bucket::full(WRITE_BYTES_PER_SECOND, now),
            records: Bucket::full(WRITE_RECORDS_PER_SECOND, now),
        }
    }

    /// Takes one record of this size, if there is room for it.
    pub(super) fn admit(&mut self, bytes: usize, now: i64) -> bool {
        self.bytes.fill(now);
        self.records.fill(now);
        let admitted = self.bytes.has(bytes) && self.records.has(1);
        if admitted {
            self.bytes.take(bytes);
            self.records.take(1);
        }
        admitted
    }
}

/// What may still be read now.
#[derive(Debug)]
pub(super) struct ReadBudget {
    bytes: Bucket,
    calls: Bucket,
}

impl ReadBudget {
    pub(super) fn new(now: i64) -> ReadBudget {
        ReadBudget { bytes: Bucket::full(READ_BYTES_PER_SECOND, now), calls: Bucket::full(READ_CALLS_PER_SECOND, now) }
    }

    /// Takes one call, unless earlier ones used everything up.
    pub(super) fn admit_call(&mut self, now: i64) -> bool {
        self.bytes.fill(now);
        self.calls.fill(now);
        let admitted = self.bytes.has(1) && self.calls.has(1);
        if admitted {
            self.calls.take(1);
        }
        admitted
    }

    /// What the call turned out to return.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.bytes.take(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_a_thousand_records_or_one_mebibyte() {
        let mut budget = WriteBudget::new(0);
        assert_eq!((0..2_000).filter(|_| budget.admit(10, 0)).count(), 1_000);
        assert_eq!((0..2_000).filter(|_| budget.admit(10, 500)).count(), 500);
        let mut budget = WriteBudget::new(0);
        assert_eq!((0..200).filter(|_| budget.admit(1 << 18, 0)).count(), 4);
        assert!(!budget.admit(1, 0) && budget.admit(1 << 18, 250));
    }

    #[test]
    fn a_large_record_passes_and_is_paid_off_later() {
        let mut budget = WriteBudget::new(0);
        assert!(budget.admit(10 << 20, 0));
        assert!(!budget.admit(1, 9_000));
        assert!(budget.admit(1, 9_001));
    }

    #[test]
    fn five_calls_a_second_and_none_while_in_debt() {
        let mut budget = ReadBudget::new(0);
        assert_eq!((0..10).filter(|_| budget.admit_call(0)).count(), 5);
        let mut budget = ReadBudget::new(0);
        assert!(budget.admit_call(0));
        budget.spend(10 << 20);
        assert!(!budget.admit_call(3_900) && budget.admit_call(4_100));
    }
}
