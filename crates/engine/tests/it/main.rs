//! The engine against the fake cloud: order, failures, kills, and what must hold after any of them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so")]

mod destroy;
mod drift;
mod endings;
mod execute;
mod judgement;
mod properties;
mod recorded;
mod scale;
mod secrets;
mod state_format;
mod unseen;
mod wishes;
mod world;
