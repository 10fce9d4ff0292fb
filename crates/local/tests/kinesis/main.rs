//! Kinesis as its callers see it, without the wire: requests and answers as the API model shapes them.

mod control;
mod data;
mod durability;
mod resharding;
mod support;
