//! Kafka Connect of the local cloud: connectors run in this process, on the brokers of this process.
//!
//! [`launch`](launch()) starts a connector. `config` reads what it is asked to do and refuses what is not honoured; `run`
//! finds its cluster, its role and its bucket, and spreads partitions over tasks; a `task` reads records, makes values
//! of them (`converter`), and gives them to one [`writer`] a partition, which is pure: it decides what goes into which
//! object, and when an object is whole. Objects are stored first and offsets committed then (`pending`), and an object's
//! name says where it begins, so a crash in between writes it to the same key once more.
//!
//! The one connector class is the S3 sink of Confluent, written from its documentation and its observable behaviour
//! (keys, rotation, bytes). No Java runs, and the plugin's archive is checked but not opened for code.

mod access;
mod config;
mod converter;
mod dead_letters;
mod fault;
mod java;
mod json;
mod keys;
mod log;
mod partitioner;
mod path_format;
mod pending;
mod properties;
mod run;
mod schema;
mod spool;
mod task;
mod timestamps;
mod upload;
mod value;
mod writer;
#[cfg(test)]
mod writer_tests;

pub(crate) use config::{CONNECTOR_CLASS, TASKS_MAX};
pub(crate) use fault::Fault;
pub(crate) use log::Log;
pub(crate) use properties::parse as parse_properties;
pub(crate) use run::{Ground, Health, Launch, Running, launch};
pub(crate) use spool::clear as clear_spool;
