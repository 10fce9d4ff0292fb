//! The gateway over HTTP, with brokers behind it: every resource, every refusal, and what happens when brokers go.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod produce;
mod refusals;
mod resources;
mod roles;
mod trouble;
mod world;
