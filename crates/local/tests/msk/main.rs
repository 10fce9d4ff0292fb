//! MSK over the wire: requests as SDKs send them, answers as the API model shapes them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod account;
mod clusters;
mod configurations;
mod operations;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../support/mod.rs"]
mod support;
mod topics;
