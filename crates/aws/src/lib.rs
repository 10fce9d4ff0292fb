//! The catalogue: one file a kind of AWS resource, with its inputs, its rules and its calls.
//!
//! [`mod@catalog`] lists the kinds. Each implements [`pinfra_engine::Resource`] on the official SDK clients of
//! [`clients`]; `wait` is the one way to wait, [`error`] the one place that reads AWS's error codes, and [`meter`]
//! counts every request and keeps below AWS's published rates.

pub mod api_gateway;
pub mod catalog;
pub mod claims;
pub mod clients;
mod delete;
pub mod ec2;
pub mod error;
pub mod iam;
pub mod kinesis;
mod look;
pub mod meter;
pub mod msk;
pub mod msk_connect;
pub mod policy;
mod readonly;
mod retries;
pub mod s3;
pub mod state;
pub mod tags;
pub mod unmanaged;
mod wait;
pub mod worker;

pub use catalog::catalog;
pub use clients::{Clients, Connection};
