//! One line that says how far something is, while somebody looks.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::progress::Reader;

/// How often it turns.
const TURN: Duration = Duration::from_millis(100);

/// A line on stderr that is gone at the end; nothing where nobody looks at a terminal.
pub struct Spinner {
    bar: ProgressBar,
}

impl Spinner {
    /// For this reader.
    pub fn new(reader: Reader) -> Spinner {
        let bar = match reader {
            Reader::Terminal => ProgressBar::new_spinner(),
            Reader::Log | Reader::Program | Reader::Nobody => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TURN);
        Spinner { bar }
    }

    /// Where it stands.
    pub fn say(&self, text: String) {
        self.bar.set_message(text);
    }

    /// It is done.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
