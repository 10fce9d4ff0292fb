//! What every command is given: the global options, and how to talk.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use pinfra_aws::Clients;
use serde_json::{Value, json};

use super::home::{Home, WORK};
use crate::cli::{Global, StateArg};
use crate::report::diagnostic::{self, Look};
use crate::report::progress::Reader;
use crate::report::{Failure, Paint, out, summary};
use crate::spec::Problems;

/// The global options, resolved.
pub(super) struct Context {
    /// As given on the command line.
    pub(super) global: Global,
    /// Colour of what goes to stdout.
    pub(super) paint_out: Paint,
    /// Colour of what goes to stderr.
    pub(super) paint: Paint,
    /// Ends the command's first line: when it was started.
    pub(super) started: Instant,
    home: OnceLock<Home>,
}

impl Context {
    /// From the command line.
    pub(super) fn new(global: Global) -> Context {
        let (paint_out, paint) = (Paint::stdout(global.color), Paint::stderr(global.color));
        Context { global, paint_out, paint, started: Instant::now(), home: OnceLock::new() }
    }

    /// Where the states of stacks are kept. One in S3 is looked for when this is first asked.
    pub(super) fn home(&self) -> Result<&Home, Failure> {
        if let Some(home) = self.home.get() {
            return Ok(home);
        }
        let opened = Home::open(&self.global.state)?;
        Ok(self.home.get_or_init(|| opened))
    }

    /// The folder for what is of this machine wherever state is kept: the local cloud, packed programs.
    pub(super) fn work_dir(&self) -> &Path {
        match &self.global.state {
            StateArg::Folder(folder) => folder,
            StateArg::S3(_) => Path::new(WORK),
        }
    }

    /// Tells people something, unless they want quiet or a program reads.
    pub(super) fn tell(&self, text: &str) {
        if !self.global.quiet && !self.global.json {
            out::note(text);
        }
    }

    /// Prints a result: `text` for people, `value` as a line of JSON for programs.
    pub(super) fn result(&self, text: &str, event: &str, value: Value) -> Result<(), Failure> {
        if !self.global.json {
            return out::data(text);
        }
        let mut line = json!({ "event": event });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), value) {
            line.extend(fields);
        }
        out::data(&format!("{line}\n"))
    }

    /// Tells what is wrong with a stack file without stopping at it.
    pub(super) fn warn(&self, problems: &Problems) -> Result<(), Failure> {
        if self.global.json {
            return out::data(&diagnostic::events(problems));
        }
        if !problems.is_empty() && !self.global.quiet {
            out::note(&diagnostic::draw(problems, Look::for_stderr(self.paint)));
        }
        Ok(())
    }

    /// Tells what went wrong: people on stderr, programs as JSON events.
    pub(super) fn fail(&self, failure: &Failure) {
        if self.global.json {
            // Where stdout takes nothing, stderr is what is left.
            let _ = out::data(&failure.events());
            return;
        }
        let text = failure.draw(self.paint);
        if !text.is_empty() {
            out::note(text.trim_end());
        }
    }

    /// With `--verbose`, how many requests were made.
    pub(super) fn tell_requests(&self, clients: &Clients) -> Result<(), Failure> {
        if !self.global.verbose {
            return Ok(());
        }
        let counts = clients.meter.counts();
        if self.global.json {
            return self.result("", "requests", json!({"total": counts.values().sum::<u64>(), "by_operation": counts}));
        }
        out::note(&summary::requests(&counts));
        Ok(())
    }

    /// Who reads the progress of a run.
    pub(super) fn reader(&self) -> Reader {
        use std::io::IsTerminal;
        if self.global.json {
            Reader::Program
        } else if self.global.quiet {
            Reader::Nobody
        } else if std::io::stderr().is_terminal() {
            Reader::Terminal
        } else {
            Reader::Log
        }
    }
}
