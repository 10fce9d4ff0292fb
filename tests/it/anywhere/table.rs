//! What came of all points, as a table: steps, kill points, outcome.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::inventory::Differences;
use super::points::{MOMENTS, Next, Point};
use super::scenario::Scenario;

/// A point that was tried.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) scenario: Scenario,
    pub(super) point: Point,
    pub(super) outcome: Outcome,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Killed, and the next run finished the job.
    Converged,
    /// The run made fewer of these calls than the one before, and ended by itself.
    NotReached,
    /// The next run left something to do, or something behind.
    Failed {
        /// What the cloud holds otherwise than after an undisturbed run.
        differences: Differences,
        /// What was said.
        said: String,
    },
}

#[derive(Default)]
struct Row {
    tried: [usize; 3],
    converged: [usize; 3],
    not_reached: usize,
    orphans: usize,
    duplicates: usize,
}

impl Row {
    fn add(&mut self, trial: &Trial) {
        let column = MOMENTS.iter().position(|moment| *moment == trial.point.moment).unwrap();
        match &trial.outcome {
            Outcome::NotReached => {
                self.not_reached += 1;
                return;
            }
            Outcome::Converged => self.converged[column] += 1,
            Outcome::Failed { differences, .. } => {
                self.orphans += differences.orphans.len();
                self.duplicates += differences.duplicates.len();
            }
        }
        self.tried[column] += 1;
    }

    fn cells(&self) -> String {
        let cell = |column: usize| match self.tried[column] {
            0 => "–".to_owned(),
            tried => format!("{} of {tried}", self.converged[column]),
        };
        let number = |count: usize| if count == 0 { "–".to_owned() } else { count.to_string() };
        format!("{} | {} | {} | {} | {}", cell(0), cell(1), cell(2), number(self.orphans), number(self.duplicates))
    }
}

/// The table in Markdown.
pub(super) fn markdown(trials: &[Trial]) -> String {
    let mut rows: BTreeMap<(Scenario, &str), Row> = BTreeMap::new();
    for trial in trials {
        rows.entry((trial.scenario, &trial.point.step)).or_default().add(trial);
    }
    let mut text = String::from(
        "| run | call | before it | after its effect | after its answer | orphans | duplicates |\n|---|---|---|---|---|---|---|\n",
    );
    for ((scenario, step), row) in &rows {
        writeln!(text, "| {} | `{step}` | {} |", scenario.word(), row.cells()).unwrap();
    }
    let mut all = Row::default();
    trials.iter().for_each(|trial| all.add(trial));
    writeln!(text, "| all | | {} |", all.cells()).unwrap();
    text
}

/// The figures in a line.
pub(super) fn summary(trials: &[Trial], took: Duration) -> String {
    let mut all = Row::default();
    trials.iter().for_each(|trial| all.add(trial));
    let of = |next: Next| trials.iter().filter(|trial| trial.point.next == next).count();
    format!(
        "{} points tried ({} of them with the state lost, {} with the opposite run next), {} converged, {} orphans, \
         {} duplicates, {} not reached, {:.0} s",
        all.tried.iter().sum::<usize>(),
        of(Next::WithoutState),
        of(Next::Opposite),
        all.converged.iter().sum::<usize>(),
        all.orphans,
        all.duplicates,
        all.not_reached,
        took.as_secs_f64(),
    )
}
