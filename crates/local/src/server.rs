//! The HTTP server on loopback.
/// A running local cloud.
#[derive(Debug)]
pub struct LocalCloud {}
/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {}
