//! The broker as Kafka clients see it: librdkafka, and bytes by hand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod durability;
mod groups;
mod iam;
mod records;
mod support;
mod topics;
mod wire;
