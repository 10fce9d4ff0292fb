//! What runs on client machines.

mod heartbeat;
pub mod process;
