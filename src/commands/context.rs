//! What every command is given: the global options, and how to talk.

use std::path::PathBuf;
use std::time::Instant;

use pinfra_aws::Clients;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::report::progress::Reader;
use crate::report::{Failure, Paint, out, summary};

/// The global options, resolved.
pub struct Context {
    /// As given on the command line.
    pub global: Global,
    /// Colour of what goes to stdout.
    pub paint_out: Paint,
    /// Colour of what goes to stderr.
    pub paint: Paint,
    /// Ends the command's first line: when it was started.
    pub started: Instant,
}

impl Context {
    /// From the command line.
    pub fn new(global: Global) -> Context {
        let (paint_out, paint) = (Paint::stdout(global.color), Paint::stderr(global.color));
        Context { global, paint_out, paint, started: Instant::now() }
    }

    /// The folder under which everything of this project is kept.
    pub fn state_dir(&self) -> &PathBuf {
        &self.global.state
    }

    /// Tells people something, unless they want quiet or a program reads.
    pub fn tell(&self, text: &str) {
        if !self.global.quiet && !self.global.json {
            out::note(text);
        }
    }

    /// Prints a result: `text` for people, `value` as a line of JSON for programs.
    pub fn result(&self, text: &str, event: &str, value: Value) {
        if self.global.json {
            let mut line = json!({ "event": event });
            if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), value) {
                line.extend(fields);
            }
            out::data(&format!("{line}\n"));
        } else {
            out::data(text);
        }
    }

    /// Tells what went wrong: people on stderr, programs as a JSON event.
    pub fn fail(&self, failure: &Failure) {
        if self.global.json {
            for line in failure.as_json() {
                out::data(&format!("{line}\n"));
            }
        }
        out::note(failure.draw(self.paint).trim_end());
    }

    /// With `--verbose`, how many requests were made.
    pub fn tell_requests(&self, clients: &Clients) {
        if self.global.verbose {
            let counts = clients.meter.counts();
            if self.global.json {
                self.result("", "requests", json!({"total": counts.values().sum::<u64>(), "by_operation": counts}));
            } else {
                out::note(&summary::requests(&counts));
            }
        }
    }

    /// Who reads the progress of a run.
    pub fn reader(&self) -> Reader {
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
