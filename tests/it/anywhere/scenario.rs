//! The runs that are killed, in the order in which they follow each other: each begins where the one before has ended.

/// A run of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scenario {
    /// `up` where nothing is.
    Up,
    /// `up` after an edit of all that goes in place.
    Update,
    /// `up` after an edit that nothing but replacements can follow.
    Replacement,
    /// `down`.
    Down,
}

/// All of them.
pub(super) const SCENARIOS: [Scenario; 4] = [Scenario::Up, Scenario::Update, Scenario::Replacement, Scenario::Down];

impl Scenario {
    /// Its name in the table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Scenario::Up => "`up`",
            Scenario::Update => "update",
            Scenario::Replacement => "replacement",
            Scenario::Down => "`down`",
        }
    }

    /// The stack file that it goes by.
    pub(super) fn file(self) -> &'static str {
        match self {
            Scenario::Up => "first.yaml",
            Scenario::Update => "second.yaml",
            Scenario::Replacement | Scenario::Down => "third.yaml",
        }
    }

    /// Its command line. `down` goes by name, as long as there is state.
    pub(super) fn arguments(self) -> [&'static str; 2] {
        match self {
            Scenario::Down => ["down", super::stack::NAME],
            _ => ["up", self.file()],
        }
    }

    /// What is done when it is to be taken back: the scenario that makes what is then there.
    pub(super) fn opposite(self) -> Scenario {
        match self {
            Scenario::Down => Scenario::Replacement,
            _ => Scenario::Down,
        }
    }
}
