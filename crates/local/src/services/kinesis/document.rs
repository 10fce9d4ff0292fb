//! What is stored of a stream besides its records, and what follows from it at a given time.
//!
//! Nothing here waits: a change that takes time on AWS is stored as "UPDATING until", and everybody who looks decides by
//! the clock what that means. So states survive a restart without anybody having to resume them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hash_key;
use super::sequence::Sequence;

/// Retention of a new stream, and the least there is.
pub(super) const MIN_RETENTION_HOURS: u32 = 24;
/// A year.
pub(super) const MAX_RETENTION_HOURS: u32 = 8_760;
/// What an on-demand stream begins with.
pub(super) const ON_DEMAND_SHARDS: u32 = 4;
const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// A stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StreamDocument {
    /// Unlike the name, never used again; names the folder.
    #[serde(with = "decimal")]
    pub(super) id: u128,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) created_at: i64,
    pub(super) on_demand: bool,
    /// `AUTO` record distribution: shards are drawn by lot, whatever the partition key.
    pub(super) scatter: bool,
    pub(super) retention_hours: u32,
    /// Records older than this went with an earlier, shorter retention and do not come back with a longer one.
    pub(super) dropped_before: i64,
    pub(super) max_record_kib: u32,
    pub(super) key_id: Option<String>,
    pub(super) metrics: Vec<String>,
    pub(super) tags: BTreeMap<String, String>,
    /// In the order of their numbers.
    pub(super) shards: Vec<ShardDocument>,
    pub(super) next_shard: u32,
    pub(super) change: Option<Change>,
    pub(super) scalings: RollingDay,
    pub(super) mode_changes: RollingDay,
    pub(super) encryption_starts: RollingDay,
    pub(super) encryption_stops: RollingDay,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ShardDocument {
    pub(super) number: u32,
    pub(super) created_at: i64,
    /// Leads its sequence numbers; always later than that of its parents.
    pub(super) epoch_seconds: u64,
    #[serde(with = "decimal")]
    pub(super) first_hash: u128,
    #[serde(with = "decimal")]
    pub(super) last_hash: u128,
    pub(super) parent: Option<u32>,
    pub(super) adjacent_parent: Option<u32>,
    /// When it was split or merged.
    pub(super) closed_at: Option<i64>,
}

/// A change that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) status: Status,
    pub(super) until: i64,
}

/// `StreamStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    Creating,
    Active,
    Updating,
    Deleting,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::Creating => "CREATING",
            Status::Active => "ACTIVE",
            Status::Updating => "UPDATING",
            Status::Deleting => "DELETING",
        }
    }
}

impl StreamDocument {
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:kinesis:{}:{}:stream/{}", self.region, self.account, self.name)
    }

    /// `None` once its deletion is through.
    pub(super) fn status(&self, now: i64) -> Option<Status> {
        match self.change {
            Some(change) if now < change.until => Some(change.status),
            Some(Change { status: Status::Deleting, .. }) => None,
            _ => Some(Status::Active),
        }
    }

    /// Records that arrived before this are gone.
    pub(super) fn horizon(&self, now: i64) -> i64 {
        self.dropped_before.max(now - i64::from(self.retention_hours) * HOUR_MILLIS)
    }

    /// Sets the retention; what is expired now stays expired.
    pub(super) fn retain(&mut self, hours: u32, now: i64) {
        self.dropped_before = self.horizon(now);
        self.retention_hours = hours;
        self.dropped_before = self.horizon(now);
    }

    pub(super) fn shard(&self, number: u32) -> Option<&ShardDocument> {
        let at = self.shards.binary_search_by_key(&number, |shard| shard.number).ok()?;
        self.shards.get(at)
    }

    pub(super) fn open_shards(&self) -> impl Iterator<Item = &ShardDocument> {
        self.shards.iter().filter(|shard| shard.closed_at.is_none())
    }

    /// Shards that are open or may still have records.
    pub(super) fn readable_shards(&self, now: i64) -> impl Iterator<Item = &ShardDocument> {
        let horizon = self.horizon(now);
        self.shards.iter().filter(move |shard| shard.closed_at.is_none_or(|closed| closed >= horizon))
    }

    /// Adds the equal shards that a stream begins with.
    pub(super) fn add_uniform_shards(&mut self, count: u32) {
        for number in 0..count {
            let last_hash = match number + 1 {
                next if next == count => u128::MAX,
                next => hash_key::uniform_start(next, count) - 1,
            };
            self.shards.push(ShardDocument {
                number,
                created_at: self.created_at,
                epoch_seconds: seconds(self.created_at),
                first_hash: hash_key::uniform_start(number, count),
                last_hash,
                parent: None,
                adjacent_parent: None,
                closed_at: None,
            });
        }
        self.next_shard = count;
    }
}

impl ShardDocument {
    pub(super) fn id(&self) -> String {
        shard_id(self.number)
    }

    /// The number of the place before its first record.
    pub(super) fn starting_sequence(&self) -> Sequence {
        self.sequence(0, self.created_at)
    }

    /// The number of the place behind its last record, once it is closed.
    pub(super) fn ending_sequence(&self) -> Option<Sequence> {
        Some(self.sequence(Sequence::END, self.closed_at?))
    }

    fn sequence(&self, number: u64, at: i64) -> Sequence {
        Sequence { epoch_seconds: self.epoch_seconds, shard: self.number, number, arrival_seconds: seconds(at) }
    }
}

/// `shardId-000000000007`.
pub(super) fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// The number in a shard id; AWS also takes the digits alone.
pub(super) fn shard_number(id: &str) -> Option<u32> {
    let digits = id.split('-').nth(1).unwrap_or(id);
    let all_digits = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}

/// Whole seconds of a time in milliseconds.
pub(super) fn seconds(millis: i64) -> u64 {
    u64::try_from(millis / 1_000).unwrap_or(0)
}

/// When something was done lately, for the quotas that count a rolling 24 hours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct RollingDay(Vec<i64>);

impl RollingDay {
    /// Notes one more time, unless it was done `limit` times within the last 24 hours.
    pub(super) fn admit(&mut self, limit: usize, now: i64) -> bool {
        self.0.retain(|at| now - at < DAY_MILLIS);
        let admitted = self.0.len() < limit;
        if admitted {
            self.0.push(now);
        }
        admitted
    }
}

/// 128-bit numbers as decimal text: JSON readers, ours too, do not all take such numbers.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
