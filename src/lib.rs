//! The tool: reads stack files, drives the engine, talks to people.

pub mod cli;
pub mod commands;
pub mod expand;
pub mod report;
pub mod spec;

use std::process::ExitCode;

use clap::Parser;

/// Runs the program with the process's own arguments.
pub fn run() -> ExitCode {
    commands::run(cli::Cli::parse())
}
