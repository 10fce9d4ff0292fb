//! Deployed APIs over raw HTTP, on a running local cloud: made with its own control plane, called without a signature.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::panic, reason = "the shared client says what it got")]

mod access;
mod http;
mod kinesis;
mod pipeline;
#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "../support/mod.rs"]
mod support;
