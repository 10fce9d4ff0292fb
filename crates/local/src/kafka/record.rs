//! Records as this process reads and writes them, without a client.

use bytes::Bytes;

/// A record of a partition, decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch: of the producer, or of the append, as `message.timestamp.type` says.
    pub timestamp_millis: i64,
    /// What decides its partition.
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    /// In the order in which they were sent; a name may stand there twice.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// A record to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// What decides its partition.
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    /// In the order in which they are to be read.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Milliseconds since the epoch; `None` is now.
    pub timestamp_millis: Option<i64>,
}
