//! One file a command.

mod completions;
mod init;
mod schema;
mod validate;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::report::out;

/// Runs one command and returns its exit code.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { command, global } = cli;
    match command {
        Command::Init { dir } => init::run(&dir, &global),
        Command::Validate { stack } => validate::run(&stack, &global),
        Command::Schema => schema::run(),
        Command::Completions { shell } => completions::run(shell),
        _ => {
            out::note("error: this command is not part of this build");
            ExitCode::FAILURE
        }
    }
}

/// Prints a command's result to stdout; when that fails (a full disk), says so.
fn print(text: &str) -> ExitCode {
    match out::data(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::note(&format!("error: cannot write to stdout: {error}"));
            ExitCode::FAILURE
        }
    }
}
