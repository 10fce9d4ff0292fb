//! `pinfra completions SHELL`: a completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::report::{Failure, out};

/// Prints the script.
pub(super) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pinfra", &mut script);
    out::data(&String::from_utf8_lossy(&script))
}
