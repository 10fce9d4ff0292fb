//! Colour, where it is wanted. Everything is readable without it.

use std::io::IsTerminal;

use owo_colors::OwoColorize;

use crate::cli::ColorArg;

/// Whether to colour what is written to one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// No colour.
    pub const OFF: Paint = Paint { on: false };

    /// For stdout.
    pub fn stdout(asked: ColorArg) -> Paint {
        Paint::for_stream(asked, std::io::stdout().is_terminal())
    }

    /// For stderr.
    pub fn stderr(asked: ColorArg) -> Paint {
        Paint::for_stream(asked, std::io::stderr().is_terminal())
    }

    /// `NO_COLOR` (no-color.org) and `TERM=dumb` count where nothing else was asked for.
    fn for_stream(asked: ColorArg, is_terminal: bool) -> Paint {
        let unwanted = || {
            std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
                || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
        };
        let on = match asked {
            ColorArg::Always => true,
            ColorArg::Never => false,
            ColorArg::Auto => is_terminal && !unwanted(),
        };
        Paint { on }
    }

    /// Whether there is colour.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// What comes to be.
    pub fn good(self, text: &str) -> String {
        if self.on { text.green().to_string() } else { text.to_owned() }
    }

    /// What changes.
    pub fn change(self, text: &str) -> String {
        if self.on { text.yellow().to_string() } else { text.to_owned() }
    }

    /// What goes, or went wrong.
    pub fn bad(self, text: &str) -> String {
        if self.on { text.red().to_string() } else { text.to_owned() }
    }

    /// What matters.
    pub fn strong(self, text: &str) -> String {
        if self.on { text.bold().to_string() } else { text.to_owned() }
    }

    /// What matters less.
    pub fn faint(self, text: &str) -> String {
        if self.on { text.dimmed().to_string() } else { text.to_owned() }
    }
}
