//! Amazon S3.

pub mod bucket;
mod settings;
