//! What runs on client machines.

pub(crate) mod health;
mod heartbeat;
pub mod keys;
pub mod process;
