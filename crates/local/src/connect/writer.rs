//! What goes into which object, and when an object is whole: pure, but for the spool of large ones.
//!
//! One writer a Kafka partition. Records come in the order of their offsets; all open objects of the partition become
//! whole together, when `flush.size` records are in them (the sum, not each), or when time says so:
//!
//! - `rotate.interval.ms` counts by the times that the extractor takes from records: a record that is so much younger than
//!   the first of the open ones, or belongs to another directory, closes them. With an extractor only, which is with
//!   a time-based partitioner: the connector ignores it otherwise and says so in its log.
//! - `rotate.schedule.interval.ms` counts by the clock from midnight of `timezone`.
//!
//! An object is named by the offset of its first record. So, where the clock has no say ([`Plan::is_repeatable`]), the same
//! records make the same objects, however often they are read.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use time::UtcOffset;

use super::json;
use super::partitioner::Partitioner;
use super::spool::{Spool, SpoolFolder, Spooled};
use super::timestamps::Extractor;
use super::value::Data;

const DAY_MILLIS: i64 = 86_400_000;

/// How objects are made.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) topics_dir: String,
    pub(super) file_delim: String,
    /// Digits of the offset in a name.
    pub(super) pad_width: usize,
    pub(super) flush_size: u32,
    /// Not above 0: never.
    pub(super) rotate_millis: i64,
    pub(super) schedule: Option<Schedule>,
    /// With the dot, and with that of the compression.
    pub(super) extension: String,
    /// The level; -1 is zlib's own choice.
    pub(super) gzip: Option<i32>,
    pub(super) format: Format,
    pub(super) partitioner: Partitioner,
}

/// `rotate.schedule.interval.ms` with `timezone`.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) interval_millis: i64,
    pub(super) zone: UtcOffset,
}

/// `format.class`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A line of JSON a record.
    Json,
    /// The bytes of each record and a separator.
    Bytes { separator: Vec<u8> },
}

/// A record with its converted value.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) offset: i64,
    /// Below 0: it has none.
    pub(super) timestamp_millis: i64,
    pub(super) value: Data,
}

/// Objects that are whole, of one partition.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) objects: Vec<Object>,
    /// The offset to commit once they are stored.
    pub(super) commit: i64,
}

/// An object to store.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) body: Spooled,
}

/// Why a record is not written.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// The record is at fault: it goes to the dead letters, where there are any.
    Record { exception: &'static str, message: String },
    /// The task has to stop.
    Task(String),
    /// The spool failed.
    Disk(io::Error),
}

/// Writes the records of one partition.
#[derive(Debug)]
pub(super) struct PartitionWriter {
    plan: Arc<Plan>,
    folder: SpoolFolder,
    topic: String,
    partition: i32,
    open: BTreeMap<String, Open>,
    /// Records in all open objects.
    records: u32,
    last_offset: i64,
    last_directory: String,
    last_time: Option<i64>,
    first_time: Option<i64>,
    next_rotation: Option<i64>,
}

#[derive(Debug)]
struct Open {
    first_offset: i64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Plain(Spool),
    Gzip(Box<GzEncoder<Spool>>),
}

impl PartitionWriter {
    pub(super) fn new(plan: Arc<Plan>, folder: SpoolFolder, topic: &str, partition: i32, now: i64) -> PartitionWriter {
        let next_rotation = plan.schedule.as_ref().map(|schedule| schedule.next(now));
        PartitionWriter {
            plan,
            folder,
            topic: topic.to_owned(),
            partition,
            open: BTreeMap::new(),
            records: 0,
            last_offset: -1,
            last_directory: String::new(),
            last_time: None,
            first_time: None,
            next_rotation,
        }
    }

    /// Whether records wait in open objects.
    pub(super) fn has_open(&self) -> bool {
        self.records > 0
    }

    /// Takes one record. What becomes whole by it is added to `whole`.
    pub(super) fn take(&mut self, record: &Incoming, now: i64, whole: &mut Vec<Whole>) -> Result<(), Unwritten> {
        self.skip_missed_rotation(now);
        let plan = Arc::clone(&self.plan);
        let extractor = plan.partitioner.extractor();
        let time = extractor.map(|extractor| extractor.extract(record.timestamp_millis, &record.value, now));
        // The connector extracts times before it asks for a directory, where nobody catches what goes wrong.
        let time = time.transpose().map_err(Unwritten::Task)?;
        let directory = plan.partitioner.directory(self.partition, &record.value, time).map_err(|message| {
            Unwritten::Record { exception: "io.confluent.connect.storage.errors.PartitionException", message }
        })?;
        self.last_time = time;
        self.first_time = self.first_time.or(time);
        if self.is_time(&directory, now) {
            self.plan_rotation(now);
            whole.push(self.seal().map_err(Unwritten::Disk)?);
            self.first_time = time;
        }
        let bytes = encoded(&plan.format, &record.value)?;
        self.append(&directory, record.offset, &bytes).map_err(Unwritten::Disk)?;
        self.last_directory = directory;
        self.last_offset = record.offset;
        self.records += 1;
        if self.records >= plan.flush_size {
            whole.push(self.seal().map_err(Unwritten::Disk)?);
        }
        Ok(())
    }

    /// What time alone makes whole, when there is nothing to read.
    pub(super) fn tick(&mut self, now: i64) -> io::Result<Option<Whole>> {
        self.skip_missed_rotation(now);
        let directory = self.last_directory.clone();
        if !self.is_time(&directory, now) {
            return Ok(None);
        }
        self.plan_rotation(now);
        self.seal().map(Some)
    }

    fn is_time(&self, directory: &str, now: i64) -> bool {
        if self.records == 0 {
            return false;
        }
        let spanned = self.last_time.zip(self.first_time).map(|(last, first)| last - first);
        let interval = self.plan.rotate_millis;
        let by_records =
            interval > 0 && spanned.is_some_and(|spanned| spanned >= interval || directory != self.last_directory);
        by_records || self.next_rotation.is_some_and(|next| now >= next)
    }

    /// A schedule that came while nothing was open starts anew.
    fn skip_missed_rotation(&mut self, now: i64) {
        if self.records == 0 && self.next_rotation.is_some_and(|next| now >= next) {
            self.plan_rotation(now);
        }
    }

    fn plan_rotation(&mut self, now: i64) {
        self.next_rotation = self.plan.schedule.as_ref().map(|schedule| schedule.next(now));
    }

    fn append(&mut self, directory: &str, offset: i64, bytes: &[u8]) -> io::Result<()> {
        if !self.open.contains_key(directory) {
            let spool = Spool::new(self.folder.clone());
            let body = match self.plan.gzip {
                None => Body::Plain(spool),
                Some(level) => {
                    let level = u32::try_from(level).map_or(Compression::default(), Compression::new);
                    // No time stamp: the same records make the same bytes.
                    Body::Gzip(Box::new(flate2::GzBuilder::new().mtime(0).write(spool, level)))
                }
            };
            self.open.insert(directory.to_owned(), Open { first_offset: offset, body });
        }
        match self.open.get_mut(directory).map(|open| &mut open.body) {
            Some(Body::Plain(spool)) => spool.write_all(bytes),
            Some(Body::Gzip(encoder)) => encoder.write_all(bytes),
            None => Ok(()),
        }
    }

    /// Closes all that is open.
    fn seal(&mut self) -> io::Result<Whole> {
        let mut objects = Vec::new();
        for (directory, open) in std::mem::take(&mut self.open) {
            let body = match open.body {
                Body::Plain(spool) => spool.finish()?,
                Body::Gzip(encoder) => encoder.finish()?.finish()?,
            };
            objects.push(Object { key: self.key(&directory, open.first_offset), body });
        }
        self.records = 0;
        self.first_time = None;
        Ok(Whole { objects, commit: self.last_offset + 1 })
    }

    /// `<topics.dir>/<topic>/<directory>/<topic>+<partition>+<offset>.json`.
    fn key(&self, directory: &str, offset: i64) -> String {
        let Plan { topics_dir, file_delim: delim, pad_width: width, extension, .. } = self.plan.as_ref();
        let (topic, partition) = (&self.topic, self.partition);
        let name = format!("{topic}/{directory}/{topic}{delim}{partition}{delim}{offset:0width$}{extension}");
        if topics_dir.is_empty() { name } else { format!("{topics_dir}/{name}") }
    }
}

impl Plan {
    /// Whether time can make an object whole when nothing arrives.
    pub(super) fn rotates_by_time(&self) -> bool {
        self.schedule.is_some() || self.rotate_millis > 0
    }

    /// Whether the same records make the same objects whenever they are read.
    pub(super) fn is_repeatable(&self) -> bool {
        self.schedule.is_none() && self.partitioner.extractor() != Some(&Extractor::Wallclock)
    }

    /// What the connector says in its log about settings that do nothing.
    pub(super) fn warning(&self) -> Option<String> {
        (self.rotate_millis > 0 && self.partitioner.extractor().is_none()).then(|| {
            format!(
                "Property 'rotate.interval.ms' is set to '{}ms' but partitioner is not an instance of \
                 'io.confluent.connect.storage.partitioner.TimeBasedPartitioner'. This property is ignored.",
                self.rotate_millis
            )
        })
    }
}

impl Schedule {
    /// The next whole interval since midnight; midnight itself always is one.
    fn next(&self, now: i64) -> i64 {
        let offset = i64::from(self.zone.whole_seconds()) * 1_000;
        let midnight = (now + offset).div_euclid(DAY_MILLIS) * DAY_MILLIS - offset;
        let periods = (now - midnight) / self.interval_millis + 1;
        (midnight + periods * self.interval_millis).min(midnight + DAY_MILLIS)
    }
}

fn encoded(format: &Format, value: &Data) -> Result<Vec<u8>, Unwritten> {
    match format {
        Format::Json => {
            let mut line = Vec::new();
            json::write(value, &mut line);
            line.push(b'\n');
            Ok(line)
        }
        Format::Bytes { separator } => match value {
            Data::Bytes(bytes) => Ok([bytes.as_slice(), separator].concat()),
            other => Err(Unwritten::Record {
                exception: "org.apache.kafka.connect.errors.DataException",
                message: format!(
                    "ByteArrayConverter is not compatible with {}: ByteArrayFormat needs a value.converter of \
                     org.apache.kafka.connect.converters.ByteArrayConverter",
                    other.kind()
                ),
            }),
        },
    }
}
