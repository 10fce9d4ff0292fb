//! `pinfra schema`: the JSON Schema of the stack file.

use crate::report::{Failure, out};
use crate::spec;

/// Prints the schema.
pub(super) fn run() -> Result<(), Failure> {
    out::data(&format!("{:#}\n", spec::schema()))
}
