//! Bytes to requests and answers to bytes: the AWS protocols, driven by the official API models. No I/O.

pub mod error;
