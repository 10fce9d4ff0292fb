//! Amazon MSK Connect: connectors, and the plugins and worker configurations that they run with.

pub mod connector;
pub mod plugin;
pub mod worker_configuration;
