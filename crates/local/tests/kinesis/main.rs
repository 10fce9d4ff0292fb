//! Kinesis as its callers see it, without the wire: requests and answers as the API model shapes them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod control;
mod data;
mod durability;
mod resharding;
mod support;
