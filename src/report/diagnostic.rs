//! Problems of a stack file, drawn with the place underlined for people, or as events for programs.

use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde_json::json;
use terminal_size::terminal_size_of;

use super::Paint;
use crate::spec::{Place, Problem, Problems, Severity, Source};

/// Drawn one by one, more than this many would hide the first ones.
const MOST_DRAWN: usize = 50;

/// A line longer than this (a file without line ends) would fill screens: only its number is given.
const LONGEST_LINE: usize = 400;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// With colour.
    pub color: bool,
    /// Where to break lines of text, in columns.
    pub width: usize,
}

impl Look {
    /// As wide as stderr's terminal, or as `COLUMNS` says, or 100.
    pub fn for_stderr(paint: Paint) -> Self {
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let columns = columns.or_else(|| terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0)));
        Self { color: paint.is_on(), width: columns.unwrap_or(100).clamp(40, 160) }
    }
}

/// Draws every problem, and a last line that counts them. Empty when there are none.
pub fn draw(problems: &Problems, look: Look) -> String {
    let theme = if look.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(look.width)
        .with_links(false)
        .with_context_lines(1)
        .with_primary_span_start();
    let path = problems.source.path.display().to_string();
    let stack_file = named(&problems.source);
    let mut drawn = String::new();
    for problem in problems.iter().take(MOST_DRAWN) {
        let file = problems.source_of(problem);
        let too_long = problem.labels.iter().any(|(place, _)| longest_line_around(&file.text, *place) > LONGEST_LINE);
        let at = problem.labels.first().filter(|_| too_long).map(|(place, _)| file.location(*place));
        let other = problem.file.as_deref().map(named);
        let one = Drawn { problem, source: other.as_ref().unwrap_or(&stack_file), at };
        let mut text = String::new();
        // Writing to a string cannot fail, and drawing only if a label is outside of the text: then the line has to do.
        if handler.render_report(&mut text, &one).is_err() {
            text = format!("{}: {}\n", problem.severity.name(), problem.message);
        }
        drawn.push_str(text.trim_start_matches('\n'));
        if let Some(place) = problem.named_at {
            drawn.push_str(&format!("  named at {}\n", problems.source.location(place)));
        }
        drawn.push('\n');
    }
    if let Some(counts) = counts(problems) {
        let hidden = problems.iter().count().saturating_sub(MOST_DRAWN);
        if hidden > 0 {
            drawn.push_str(&format!("and {hidden} more\n"));
        }
        drawn.push_str(&format!("{path}: {counts}\n"));
    }
    drawn
}

/// A file as miette shows it, without what must not be shown.
fn named(file: &Source) -> NamedSource<String> {
    NamedSource::new(file.path.display().to_string(), file.shown())
}

/// The longest of the lines that would be drawn for a place: its own and those before and after.
fn longest_line_around(text: &str, place: Place) -> usize {
    let lines_before = text[..text.floor_char_boundary(place.start)].rsplit('\n').take(2).map(str::len);
    let lines_after = text[text.floor_char_boundary(place.start)..].split('\n').take(2).map(str::len);
    lines_before.chain(lines_after).max().unwrap_or(0)
}

/// `2 errors, 1 warning`.
fn counts(problems: &Problems) -> Option<String> {
    let count = |number: usize, word: &str| match number {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{number} {word}s")),
    };
    let parts: Vec<String> =
        [count(problems.errors(), "error"), count(problems.warnings(), "warning")].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Every problem as one JSON event a line. `file`, `line` and `column` are those of the first label; `named_at` says where the
/// stack file names that file, when it is another one.
pub fn events(problems: &Problems) -> String {
    let mut lines = String::new();
    for problem in problems.iter() {
        let file = problems.source_of(problem);
        let labels: Vec<_> = problem.labels.iter().map(|(place, text)| label_event(file, *place, text)).collect();
        let first = problem.labels.first().map(|(place, _)| file.line_column(place.start));
        let mut event = json!({
            "event": "diagnostic",
            "severity": problem.severity.name(),
            "message": problem.message,
            "file": file.path.display().to_string(),
            "line": first.map(|(line, _)| line),
            "column": first.map(|(_, column)| column),
            "labels": labels,
            "help": problem.help,
        });
        if let Some(place) = problem.named_at {
            event["named_at"] = problems.source.location(place).into();
        }
        lines.push_str(&event.to_string());
        lines.push('\n');
    }
    lines
}

fn label_event(file: &Source, place: Place, text: &str) -> serde_json::Value {
    let (line, column) = file.line_column(place.start);
    let (end_line, end_column) = file.line_column(place.end());
    json!({ "line": line, "column": column, "end_line": end_line, "end_column": end_column, "text": text })
}

/// A problem as miette wants it.
struct Drawn<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
    /// The place in words, when it cannot be drawn.
    at: Option<String>,
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)?;
        match &self.at {
            Some(at) => write!(f, " (at {at})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display + 'b>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.problem.labels.is_empty() && self.at.is_none()).then_some(self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.problem.labels.is_empty() || self.at.is_some() {
            return None;
        }
        let labels = self.problem.labels.iter().enumerate().map(|(index, (place, text))| {
            let span = (place.start, place.len);
            match index {
                0 => LabeledSpan::new_primary_with_span(Some(text.clone()), span),
                _ => LabeledSpan::new_with_span(Some(text.clone()), span),
            }
        });
        Some(Box::new(labels))
    }
}
