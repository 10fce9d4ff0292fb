//! Amazon S3.

pub mod bucket;
pub mod discover;
pub mod existing;
pub(crate) mod label;
pub(crate) mod listing;
pub mod object;
mod settings;
mod upload;
