//! What the kinds share while they are read once: the answers of lists.
//!
//! Several kinds find themselves in one list, such as roles and their policies. Clients that [look](Clients::looking) ask
//! for each list once. The answers are never asked for again, so such clients are for one look at the cloud, and not for
//! changing it. Lists may know of changes some seconds late; who finds a difference looks again without.
//!
//! A look also knows what is recorded. What cannot have changed since, because a list tells its version or because AWS never
//! changes it, is taken from there and not read ([`Clients::recorded`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pinfra_engine::state::Status;
use pinfra_engine::{CloudError, Live, Resource, State};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::api_gateway::listing::{Deployments, Plans, Stages};
use crate::clients::Clients;
use crate::iam::listing::Roles;
use crate::msk::listing::{Configurations, Topics};
use crate::msk_connect::used::Connectors;
use crate::s3::listing::Objects;
use crate::tags::Tagged;

/// The lists that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) stack: String,
    /// Inputs and outputs of what is settled, by kind and id.
    recorded: HashMap<(String, String), (Value, Value)>,
    pub(crate) tagged: Memo<Tagged>,
    pub(crate) roles: Memo<Roles>,
    pub(crate) configurations: Memo<Configurations>,
    pub(crate) topics: Memo<Topics>,
    pub(crate) deployments: Memo<Deployments>,
    pub(crate) stages: Memo<Stages>,
    pub(crate) plans: Memo<Plans>,
    pub(crate) objects: Memo<Objects>,
    pub(crate) connectors: Memo<Connectors>,
}

impl Clients {
    /// The same clients for one look at the stack of `state`: what one list tells, several kinds share.
    pub fn looking(&self, state: &State) -> Clients {
        let mut recorded = HashMap::new();
        for (address, record) in &state.resources {
            if let (Some(id), Status::Settled) = (&record.id, &record.status) {
                let key = (address.kind().to_owned(), id.clone());
                recorded.insert(key, (record.inputs.clone(), record.outputs.clone()));
            }
        }
        let look = Look { stack: state.stack.clone(), recorded, ..Look::default() };
        Clients { look: Some(Arc::new(look)), ..self.clone() }
    }

    /// What is recorded of the object with that id, where this is a look. Secrets in it are hashes.
    pub(crate) fn recorded<R: Resource>(&self, id: &str) -> Option<Live<R::Inputs, R::Outputs>> {
        let key = (R::INFO.kind.to_owned(), id.to_owned());
        let (inputs, outputs) = self.look.as_ref()?.recorded.get(&key)?;
        let inputs = serde_json::from_value(inputs.clone()).ok()?;
        Some(Live { inputs, outputs: serde_json::from_value(outputs.clone()).ok()? })
    }

    /// The ids of all that is recorded of a kind, where this is a look.
    pub(crate) fn recorded_ids(&self, kind: &str) -> Vec<&str> {
        let recorded = self.look.iter().flat_map(|look| look.recorded.keys());
        recorded.filter(|(of, _)| of == kind).map(|(_, id)| id.as_str()).collect()
    }
}

type Cell<T> = Arc<OnceCell<Result<Arc<T>, CloudError>>>;

/// Answers by what they are about, each asked for once.
#[derive(Debug)]
pub(crate) struct Memo<T> {
    cells: Mutex<HashMap<String, Cell<T>>>,
}

impl<T> Default for Memo<T> {
    fn default() -> Memo<T> {
        Memo { cells: Mutex::default() }
    }
}

impl<T> Memo<T> {
    /// The answer about `about`, which `ask` gets where nobody has asked before.
    pub(crate) async fn get<F>(&self, about: &str, ask: impl FnOnce() -> F) -> Result<Arc<T>, CloudError>
    where
        F: Future<Output = Result<T, CloudError>>,
    {
        let cell = {
            // A map is as it should be even if a thread panicked while it held it.
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(about.to_owned()).or_default())
        };
        cell.get_or_init(|| async { ask().await.map(Arc::new) }).await.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_is_asked_at_the_same_time_is_asked_once() {
        let (memo, asked) = (Memo::default(), Cell::new(0));
        let ask = |about: &'static str| {
            memo.get(about, || async {
                asked.set(asked.get() + 1);
                tokio::task::yield_now().await;
                Ok(about.len())
            })
        };
        let (a, b, c) = futures::join!(ask("one"), ask("one"), ask("three"));
        assert_eq!((*a.unwrap(), *b.unwrap(), *c.unwrap(), asked.get()), (3, 3, 5, 2));
    }
}
