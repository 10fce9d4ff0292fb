//! What is written on: whether it takes colour, and how wide it is.

use super::Paint;

/// Where nothing says how wide the page is: a log, a pipe.
const USUAL_COLUMNS: usize = 100;

/// A page of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its colour.
    pub paint: Paint,
    /// After how many columns long values are cut; never where there is none.
    pub columns: Option<usize>,
}

impl Page {
    /// As wide as the terminal, or as `COLUMNS` says, or 100 columns; `whole` cuts nothing.
    pub fn new(paint: Paint, whole: bool) -> Page {
        if whole {
            return Page { paint, columns: None };
        }
        let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let columns = asked.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)));
        Page { paint, columns: Some(columns.unwrap_or(USUAL_COLUMNS).clamp(40, 400)) }
    }

    /// The same without colour, for a file.
    pub fn without_colour(self) -> Page {
        Page { paint: Paint::OFF, ..self }
    }

    /// How many columns are left after so many, but no fewer than a value needs to be told from another one.
    pub fn room_after(self, taken: usize) -> Option<usize> {
        const LEAST: usize = 24;
        self.columns.map(|columns| columns.saturating_sub(taken).max(LEAST))
    }
}
