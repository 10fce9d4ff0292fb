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
    // Libraries that do not choose a TLS implementation take the process's. Already installed means that it is this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    commands::run(cli::Cli::parse())
}
