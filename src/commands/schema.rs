//! `pinfra schema`: the JSON Schema of the stack file.

use std::process::ExitCode;

use crate::spec;

/// Prints the schema.
pub(super) fn run() -> ExitCode {
    super::print(&format!("{:#}\n", spec::schema()))
}
