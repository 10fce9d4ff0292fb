//! MSK Connect and its S3 sink: real brokers, a real S3, a real IAM, and connectors between them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod control;
mod errors;
mod ground;
mod life;
mod objects;
#[expect(dead_code, clippy::needless_pass_by_value, reason = "it is another test's, which uses the rest of it")]
#[path = "../s3/client.rs"]
mod s3;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../support/mod.rs"]
mod support;
mod wire;
