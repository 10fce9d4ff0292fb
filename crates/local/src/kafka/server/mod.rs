//! Brokers on loopback: listeners, connections, and what has to happen by time.

pub(crate) mod access;
mod connection;
mod dispatch;
pub(crate) mod listeners;
mod sasl;
mod skim;
pub(crate) mod timers;
pub(crate) mod versions;
