//! EC2 as its callers see it: without the wire, but for what only the wire can show.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod cloud;
mod endpoints;
mod groups;
mod instances;
mod machines;
mod metadata;
mod network;
mod objects;
mod power_cut;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../support/mod.rs"]
mod support;
mod wire;
