//! What runs on the client machine: the agent, the event emulator, the gateway, the cleaner.
//!
//! Workers know neither the planner nor the local cloud. Each is told all it needs by a config of its own
//! ([`config`]), reaches AWS as any SDK program does, and tells how it goes on by a [`report`].

pub mod agent;
pub mod batch;
pub mod clean;
pub mod cleaner;
pub mod config;
pub mod emulator;
pub mod gateway;
pub mod hash;
pub mod keys;
pub mod lake;
mod log;
pub mod query;
pub mod report;
pub mod sample;
pub mod sql;
