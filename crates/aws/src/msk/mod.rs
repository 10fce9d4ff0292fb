//! Amazon MSK: clusters, their configurations, and topics made through the AWS API.

pub mod cluster;
pub mod configuration;
pub mod existing;
pub mod topic;
