//! S3 of the local cloud over a real socket, with requests signed here: no AWS SDK in this crate.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests; clippy exempts only the functions themselves")]
#![expect(clippy::needless_pass_by_value, reason = "a request reads better with `.header(name, 5)`")]

mod client;

mod bucket_tests;
mod condition_tests;
mod durability_tests;
mod listing_tests;
mod multipart_tests;
mod object_tests;
mod version_tests;
