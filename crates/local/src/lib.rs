//! The local cloud: one process on loopback that speaks the AWS protocols and keeps what it is given.
//!
//! It knows nothing of stacks, plans or this project's other crates: it answers any AWS SDK or CLI, which is how
//! it is tested. A request comes in at [`server`], [`wire`] finds out which operation it is, checks its signature
//! and its shape against the official API model, a [`services`] module answers from its own store, and `wire`
//! writes the answer in the protocol of the service. S3 is the exception: the `s3s` crate speaks its protocol.

pub mod clock;
mod connect;
pub mod credentials;
mod execute_api;
pub mod faults;
pub mod kafka;
pub mod log;
mod machine;
mod private_file;
pub mod server;
pub mod services;
pub mod settings;
pub mod store;
pub mod wire;

pub use server::{LocalCloud, StartError};
pub use settings::Settings;
