//! The program as people meet it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test that calls them")]

mod anywhere;
mod change;
mod chaos;
mod ci_templates;
mod client_machine;
mod deployed_worker;
mod drift;
mod drift_reports;
mod faults;
mod half_made;
mod interrupted;
mod kafka;
mod kill;
mod lost_state;
mod made_again;
mod pipeline;
mod prefixes;
mod query;
mod remote_state;
mod scale;
mod stack_file;
mod stacks;
mod state;
mod streaming;
mod support;
mod told;
mod trouble;
mod user_data;
