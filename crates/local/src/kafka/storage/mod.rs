//! What a cluster keeps on disk: partitions of record batches in segment logs, and what topics are.

pub(crate) mod batch;
pub(crate) mod partition;
pub(crate) mod partitioner;
pub(crate) mod producers;
pub(crate) mod records;
pub(crate) mod topics;
