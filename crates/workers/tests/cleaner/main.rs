//! The cleaner against a real local cloud: everything is committed exactly once, whatever breaks.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

mod crashes;
mod flow;
mod store;
mod world;
