//! The cleaner against a real local cloud: everything is committed exactly once, whatever breaks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod crashes;
mod flow;
mod health;
mod pace;
mod store;
mod world;
