//! What the cleaner tells about itself as a whole: healthy when all its tables are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::report::Teller;

/// The state of all tables, behind one report.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    teller: Teller,
    state: Arc<Mutex<Whole>>,
}

#[derive(Debug)]
struct Whole {
    /// Those that are cleaned as they stream.
    tables: BTreeMap<String, State>,
    /// How batch cleaning goes, where it is on a schedule.
    batch: Option<Result<String, String>>,
}

#[derive(Clone, Debug)]
enum State {
    Works { shards: usize, behind: Duration },
    Starts,
    Fails(String),
}

impl Health {
    pub(crate) fn new(teller: Teller, tables: impl Iterator<Item = String>) -> Health {
        let tables = tables.map(|table| (table, State::Starts)).collect();
        Health { teller, state: Arc::new(Mutex::new(Whole { tables, batch: None })) }
    }

    /// Where counters go.
    pub(crate) fn teller(&self) -> &Teller {
        &self.teller
    }

    /// A table is being read.
    pub(crate) fn works(&self, table: &str, shards: usize, behind: Duration) {
        self.set(table, State::Works { shards, behind });
    }

    /// A table waits for something to be put right.
    pub(crate) fn fails(&self, table: &str, error: &str) {
        self.set(table, State::Fails(format!("table `{table}`: {error}")));
    }

    /// Batch cleaning does what it should: what it does, or what is wrong with it.
    pub(crate) fn batch(&self, doing: Result<String, String>) {
        let mut whole = self.lock();
        whole.batch = Some(doing);
        self.tell(&whole);
    }

    fn set(&self, table: &str, state: State) {
        let mut whole = self.lock();
        whole.tables.insert(table.to_owned(), state);
        self.tell(&whole);
    }

    fn lock(&self) -> MutexGuard<'_, Whole> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, whole: &Whole) {
        let (mut shards, mut behind, mut starting) = (0, Duration::ZERO, false);
        let mut errors = Vec::new();
        for state in whole.tables.values() {
            match state {
                State::Works { shards: more, behind: by } => {
                    shards += more;
                    behind = behind.max(*by);
                }
                State::Starts => starting = true,
                State::Fails(error) => errors.push(error.as_str()),
            }
        }
        let mut doing = Vec::new();
        if !whole.tables.is_empty() {
            let plural = if shards == 1 { "" } else { "s" };
            doing.push(format!("{shards} shard{plural}, {} ms behind", behind.as_millis()));
        }
        match &whole.batch {
            Some(Ok(batch)) => doing.push(batch.clone()),
            Some(Err(error)) => errors.push(error),
            None => {}
        }
        if !errors.is_empty() {
            self.teller.fails(errors.join("; "));
        } else if !starting {
            self.teller.works(doing.join("; "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_that_fails_is_not_hidden_by_the_others() {
        let teller = Teller::default();
        let health = Health::new(teller.clone(), ["geo", "pin"].map(str::to_owned).into_iter());
        health.works("pin", 2, Duration::from_millis(34));
        assert!(!teller.report().healthy);
        health.works("geo", 1, Duration::ZERO);
        assert_eq!((teller.report().healthy, teller.report().doing.as_str()), (true, "3 shards, 34 ms behind"));
        health.fails("geo", "no stream");
        health.works("pin", 2, Duration::ZERO);
        assert!(!teller.report().healthy);
        assert_eq!(teller.report().last_error.unwrap().message, "table `geo`: no stream");
    }
}
