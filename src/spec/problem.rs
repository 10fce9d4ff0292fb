//! What is wrong with a stack file, or with a file that it names: problems with their places, all of them, in the order of
//! the stack file.

use std::fmt;
use std::sync::Arc;

use super::place::Place;
use super::source::Source;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is done before this is put right.
    Error,
    /// Allowed, though hardly meant.
    Warning,
}

impl Severity {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a line.
    pub message: String,
    /// The places that show it, the one to change first.
    pub labels: Vec<(Place, String)>,
    /// What to do.
    pub help: Option<String>,
    /// The other file that the labels are places in, such as one with SQL; absent when it is the stack file.
    pub file: Option<Arc<Source>>,
    /// Where the stack file names that other file.
    pub named_at: Option<Place>,
}

impl Problem {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
            file: None,
            named_at: None,
        }
    }

    /// A warning without a place yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Adds a place and what it shows.
    #[must_use]
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.labels.push((place, label.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says that the places are in another file, and where the stack file names it.
    #[must_use]
    pub fn in_file(mut self, file: Arc<Source>, named_at: Place) -> Self {
        self.file = Some(file);
        self.named_at = Some(named_at);
        self
    }

    /// Says what to do, when there is something to say.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// All that is wrong with one stack file.
#[derive(Clone)]
pub struct Problems {
    /// The stack file, to show the places in.
    pub source: Arc<Source>,
    list: Vec<Problem>,
}

impl Problems {
    /// Problems of one file, put in the order of the file.
    pub fn new(source: Arc<Source>, mut list: Vec<Problem>) -> Self {
        let first = |problem: &Problem| problem.labels.first().map(|(place, _)| *place);
        let file = |problem: &Problem| problem.file.as_ref().map(|file| file.path.clone());
        list.sort_by_key(|problem| (problem.named_at.or_else(|| first(problem)), file(problem), first(problem)));
        // An alias (`*name`) brings the same mistake to every place that uses it.
        list.dedup();
        Self { source, list }
    }

    /// The problems in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// The file that a problem's labels are places in.
    pub fn source_of<'a>(&'a self, problem: &'a Problem) -> &'a Source {
        problem.file.as_ref().unwrap_or(&self.source)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.list.len() - self.errors()
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One plain line a problem, as compilers print for editors: `file:line:column: error: message`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match problem.labels.first() {
                Some((place, _)) => f.write_str(&self.source_of(problem).location(*place))?,
                None => write!(f, "{}", self.source_of(problem).path.display())?,
            }
            write!(f, ": {}: {}", problem.severity.name(), problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
