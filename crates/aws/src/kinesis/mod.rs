//! Amazon Kinesis Data Streams.

pub mod stream;
