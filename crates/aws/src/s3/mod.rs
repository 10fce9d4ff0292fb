//! Amazon S3.

pub mod bucket;
pub mod discover;
pub mod existing;
pub mod object;
mod settings;
pub(crate) mod upload;
