//! S3 of the local cloud over a real socket, with requests signed here: no AWS SDK in this crate.

mod client;

mod bucket_tests;
mod condition_tests;
mod durability_tests;
mod listing_tests;
mod multipart_tests;
mod object_tests;
mod version_tests;
