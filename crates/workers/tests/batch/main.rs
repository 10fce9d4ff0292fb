//! Batch cleaning against a real local cloud: what the sink has stored is in the tables exactly once, whatever breaks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod crashes;
mod flow;
mod full;
mod schedule;
#[expect(dead_code, reason = "the streaming cleaner's tests use all of it")]
#[path = "../cleaner/store.rs"]
mod store;
mod together;
mod world;
