//! Amazon MSK Connect: connectors, and the plugins and worker configurations that they run with.
//!
//! Plugins and worker configurations never change: other content is another object, under another name and address
//! (ADR 11), so that a connector can move from the old one to the new one
//! before the old one goes.

pub mod connector;
mod folder;
mod live;
mod operation;
pub mod plugin;
mod tagging;
pub(crate) mod used;
pub mod worker_configuration;
