//! What the kinds share while they are read once: the answers of lists.
//!
//! Several kinds find themselves in one list, such as roles and their policies. Clients that [look](Clients::looking) ask
//! for each list once. The answers are never asked for again, so such clients are for one look at the cloud, and not for
//! changing it. Lists may know of changes some seconds late; who finds a difference looks again without.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pinfra_engine::CloudError;
use tokio::sync::OnceCell;

use crate::api_gateway::listing::{Deployments, Plans, Stages};
use crate::clients::Clients;
use crate::iam::listing::Roles;
use crate::msk::listing::{Configurations, Topics};
use crate::tags::Tagged;

/// The lists that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(crate) stack: String,
    pub(crate) tagged: Memo<Tagged>,
    pub(crate) roles: Memo<Roles>,
    pub(crate) configurations: Memo<Configurations>,
    pub(crate) topics: Memo<Topics>,
    pub(crate) deployments: Memo<Deployments>,
    pub(crate) stages: Memo<Stages>,
    pub(crate) plans: Memo<Plans>,
}

impl Clients {
    /// The same clients for one look at `stack`: what one list tells, several kinds share.
    pub fn looking(&self, stack: &str) -> Clients {
        let look = Look { stack: stack.to_owned(), ..Look::default() };
        Clients { look: Some(Arc::new(look)), ..self.clone() }
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
