//! Every service of the local cloud under the real AWS SDK for Rust: its serialisers, its parsers, its typed errors, its
//! paginators and waiters. What the catalogue of kinds does with them is in `lifecycle.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test that calls them")]

mod cloud;
mod faults;
mod identity;
mod kinesis_records;
mod kinesis_shards;
mod kinesis_streams;
mod s3_buckets;
mod s3_conditions;
mod s3_objects;
mod s3_uploads;
mod s3_versions;
mod state_shelf;
