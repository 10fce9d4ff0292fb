//! Amazon MSK: clusters, their configurations, and topics made through the AWS API.
//!
//! A cluster takes a quarter of an hour or more to make, and runs one operation at a time, each under the version that the
//! cluster has then: [`cluster`] says what a cluster is, `families` which change is which operation, `operation` waits for
//! one, `live` reads a cluster back.

pub mod cluster;
pub mod configuration;
pub(crate) mod discover;
pub mod existing;
mod families;
pub(crate) mod listing;
mod live;
mod operation;
mod properties;
pub mod topic;
