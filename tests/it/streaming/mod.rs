//! The streaming path through the program itself: rows, API, streams, cleaner, Delta tables, and what goes wrong there.
//!
//! Every test has a pipeline of its own on a local cloud of its own, with real agents and workers. Nothing is waited for
//! by time: a condition is looked at again and again until a deadline that is far away.

mod gone;
pub(crate) mod judge;
mod kills;
mod malformed;
mod path;
mod permissions;
