//! The server properties that MSK lets a configuration set, and which values they take ("Custom Amazon MSK
//! configurations", MSK developer guide; types and bounds from "Broker Configs", Apache Kafka documentation).

use self::Takes::{Flag, Number, OneOf, SomeOf, Whole};

/// The values of a property.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Takes {
    Flag,
    /// A whole number from one bound to the other.
    Whole(i64, i64),
    /// A number from one bound to the other.
    Number(f64, f64),
    OneOf(&'static [&'static str]),
    /// Some of these, with commas between them.
    SomeOf(&'static [&'static str]),
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;

/// By name.
pub(super) const PROPERTIES: [(&str, Takes); 57] = [
    ("allow.everyone.if.no.acl.found", Flag),
    ("auto.create.topics.enable", Flag),
    ("compression.type", OneOf(&["gzip", "snappy", "lz4", "zstd", "uncompressed", "producer"])),
    ("connections.max.idle.ms", Whole(0, LONG)),
    ("default.replication.factor", Whole(1, 15)),
    ("delete.topic.enable", Flag),
    ("group.initial.rebalance.delay.ms", Whole(0, INT)),
    ("group.max.session.timeout.ms", Whole(0, INT)),
    ("group.min.session.timeout.ms", Whole(0, INT)),
    ("leader.imbalance.per.broker.percentage", Whole(0, 100)),
    ("log.cleaner.delete.retention.ms", Whole(0, LONG)),
    ("log.cleaner.max.compaction.lag.ms", Whole(1, LONG)),
    ("log.cleaner.min.cleanable.ratio", Number(0.0, 1.0)),
    ("log.cleaner.min.compaction.lag.ms", Whole(0, LONG)),
    ("log.cleanup.policy", SomeOf(&["delete", "compact"])),
    ("log.flush.interval.messages", Whole(1, LONG)),
    ("log.flush.interval.ms", Whole(0, LONG)),
    ("log.local.retention.bytes", Whole(-2, LONG)),
    ("log.local.retention.ms", Whole(-2, LONG)),
    ("log.message.timestamp.after.max.ms", Whole(0, LONG)),
    ("log.message.timestamp.before.max.ms", Whole(0, LONG)),
    ("log.message.timestamp.difference.max.ms", Whole(0, LONG)),
    ("log.message.timestamp.type", OneOf(&["CreateTime", "LogAppendTime"])),
    ("log.preallocate", Flag),
    ("log.retention.bytes", Whole(-1, LONG)),
    ("log.retention.hours", Whole(-1, INT)),
    ("log.retention.minutes", Whole(-1, INT)),
    ("log.retention.ms", Whole(-1, LONG)),
    ("log.roll.jitter.ms", Whole(0, LONG)),
    ("log.roll.ms", Whole(1, LONG)),
    ("log.segment.bytes", Whole(14, INT)),
    ("max.incremental.fetch.session.cache.slots", Whole(0, INT)),
    ("message.max.bytes", Whole(0, INT)),
    ("min.insync.replicas", Whole(1, 15)),
    ("num.io.threads", Whole(1, INT)),
    ("num.network.threads", Whole(1, INT)),
    ("num.partitions", Whole(1, INT)),
    ("num.recovery.threads.per.data.dir", Whole(1, INT)),
    ("num.replica.fetchers", Whole(1, INT)),
    ("offsets.retention.minutes", Whole(1, INT)),
    ("offsets.topic.replication.factor", Whole(1, 15)),
    ("remote.log.msk.disable.policy", OneOf(&["Delete", "Retain"])),
    ("replica.fetch.max.bytes", Whole(0, INT)),
    ("replica.fetch.response.max.bytes", Whole(0, INT)),
    ("replica.lag.time.max.ms", Whole(0, LONG)),
    ("replica.selector.class", OneOf(&["org.apache.kafka.common.replica.RackAwareReplicaSelector"])),
    ("replica.socket.receive.buffer.bytes", Whole(-1, INT)),
    ("socket.receive.buffer.bytes", Whole(-1, INT)),
    ("socket.request.max.bytes", Whole(1, INT)),
    ("socket.send.buffer.bytes", Whole(-1, INT)),
    ("transaction.max.timeout.ms", Whole(1, INT)),
    ("transaction.state.log.min.isr", Whole(1, 15)),
    ("transaction.state.log.replication.factor", Whole(1, 15)),
    ("transactional.id.expiration.ms", Whole(1, INT)),
    ("unclean.leader.election.enable", Flag),
    ("zookeeper.connection.timeout.ms", Whole(1_000, 18_000)),
    ("zookeeper.session.timeout.ms", Whole(6_000, 18_000)),
];
