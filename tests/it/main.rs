//! The program as people meet it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test that calls them")]

mod chaos;
mod ci_templates;
mod client_machine;
mod deployed_worker;
mod drift;
mod drift_reports;
mod interrupted;
mod kafka;
mod kill;
mod pipeline;
mod query;
mod scale;
mod stack_file;
mod stacks;
mod streaming;
mod support;
mod user_data;
