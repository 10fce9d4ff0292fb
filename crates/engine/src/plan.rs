//! What must be done, as data: the steps, why each, and what each waits for.
//!
//! Order lives in the edges. A replacement is a delete and a create; destroying is the same graph with its edges
//! turned, taken from what state recorded, since the stack file may be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diff::{FieldChange, Views, diff};
use crate::observe::{Observation, Observed};
use crate::resource::{Catalog, KindInfo, OnChange};
use crate::state::{Record, State, Status};
use crate::value::{Reference, as_reference};
use crate::{Address, Graph, Node};

/// What is done to one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make it.
    Create,
    /// Change it where it is, or finish what an interrupted create began.
    Update,
    /// Take over an object that is there and ours, and make it what is asked for.
    Adopt,
    /// Destroy it.
    Delete,
    /// Drop it from state: it is gone.
    Forget,
}

/// One entry of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What it is done to.
    pub address: Address,
    /// What is done.
    pub action: Action,
    /// Whether it is half of a replacement.
    pub replaces: bool,
    /// Why, for people.
    pub reason: String,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// Indexes of the steps that must have succeeded before.
    pub needs: Vec<usize>,
    /// How long it usually takes on AWS.
    #[serde(skip)]
    pub usual: Duration,
    /// The object's id, where one is known.
    pub id: Option<String>,
    /// What is asked for; may hold references that earlier steps will resolve. Not for printing.
    #[serde(skip)]
    pub inputs: Value,
    /// Paths in `inputs` that came from the environment.
    #[serde(skip)]
    pub secrets: BTreeSet<String>,
    /// What the cloud holds now.
    #[serde(skip)]
    pub live: Option<Value>,
    /// The resources it will be recorded to need.
    #[serde(skip)]
    pub recorded_needs: Vec<Address>,
    /// Where it is declared; empty when the stack file has it no more.
    pub declared_at: String,
}

/// Steps with their order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// In an order in which they could run one by one.
    pub steps: Vec<Step>,
    /// How many resources are as they should be.
    pub unchanged: usize,
    /// The state it was made for.
    pub serial: u64,
    /// What the stack file protects, to be recorded.
    #[serde(skip)]
    pub protected: BTreeSet<String>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The name is taken.
    #[error("`{address}` cannot be made: `{id}` exists and is {owner}")]
    NotOurs {
        /// What should be made.
        address: Address,
        /// What is there.
        id: String,
        /// Whose.
        owner: String,
        /// Where it is declared.
        declared_at: String,
    },
    /// The stack file, or state, forbids it.
    #[error("`{address}` is protected, and this would {would} it{because}")]
    Protected {
        /// Which.
        address: Address,
        /// `destroy` or `replace`.
        would: &'static str,
        /// Which fields make it so.
        because: String,
        /// Where it is declared.
        declared_at: String,
    },
    /// A kind this version does not have.
    #[error("`{0}` is of a kind that this version of pinfra does not have")]
    UnknownKind(Address),
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How long it should take on AWS: the longest chain of steps.
    pub fn usual_duration(&self) -> Duration {
        let mut ends: Vec<Duration> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let start = step.needs.iter().filter_map(|need| ends.get(*need)).max().copied().unwrap_or_default();
            ends.push(start + step.usual);
        }
        ends.into_iter().max().unwrap_or_default()
    }
}

/// What one resource needs done, before edges are drawn.
enum Decision {
    Nothing,
    InPlace { action: Action, reason: String, changes: Vec<FieldChange> },
    Replace { reason: String, changes: Vec<FieldChange> },
}

/// The plan that makes the cloud what `graph` asks for.
pub fn plan(graph: &Graph, state: &State, observed: &Observed, catalog: &Catalog) -> Result<Plan, Vec<PlanError>> {
    let mut planning = Planning { state, observed, plan: Plan::default(), wrong: Vec::new(), fresh: BTreeSet::new() };
    planning.plan.serial = state.serial;
    planning.plan.protected = graph.protected().clone();
    let mut decided: Vec<(&Node, Value, Decision)> = Vec::new();
    for node in graph.nodes() {
        let Some(kind) = catalog.get(node.address.kind()) else {
            planning.wrong.push(PlanError::UnknownKind(node.address.clone()));
            continue;
        };
        let inputs = planning.resolve_known(&node.inputs);
        let decision = planning.decide(node, &inputs, kind.info());
        let creates = matches!(decision, Decision::Replace { .. } | Decision::InPlace { action: Action::Create, .. });
        if creates {
            planning.fresh.insert(node.address.clone());
        }
        decided.push((node, inputs, decision));
    }
    planning.deletes(graph, &decided, catalog);
    planning.makes(graph, decided, catalog);
    if planning.wrong.is_empty() { Ok(planning.plan) } else { Err(planning.wrong) }
}

/// The plan that destroys all that `state` records.
pub fn plan_destroy(state: &State, observed: &Observed, catalog: &Catalog) -> Result<Plan, Vec<PlanError>> {
    let wrong: Vec<PlanError> = state
        .resources
        .keys()
        .filter(|address| is_protected(&state.protected, address))
        .map(|address| PlanError::Protected {
            address: address.clone(),
            would: "destroy",
            because: String::new(),
            declared_at: String::new(),
        })
        .collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    plan(&Graph::default(), state, observed, catalog)
}

/// Whether a list of kinds and addresses names this one.
fn is_protected(protected: &BTreeSet<String>, address: &Address) -> bool {
    protected.contains(address.kind()) || protected.contains(&address.to_string())
}

struct Planning<'a> {
    state: &'a State,
    observed: &'a Observed,
    plan: Plan,
    wrong: Vec<PlanError>,
    /// Resources that will be made anew, so that their outputs are not known yet.
    fresh: BTreeSet<Address>,
}

impl Planning<'_> {
    /// `inputs` with every reference resolved whose target stays as it is.
    fn resolve_known(&self, inputs: &Value) -> Value {
        match inputs {
            Value::Object(map) => match as_reference(inputs) {
                Some(reference) => self.output(&reference).unwrap_or_else(|| inputs.clone()),
                None => Value::Object(map.iter().map(|(k, v)| (k.clone(), self.resolve_known(v))).collect()),
            },
            Value::Array(items) => Value::Array(items.iter().map(|v| self.resolve_known(v)).collect()),
            other => other.clone(),
        }
    }

    fn output(&self, reference: &Reference) -> Option<Value> {
        if self.fresh.contains(&reference.address) {
            return None;
        }
        match self.observed.get(&reference.address)? {
            Observation::Present { live, .. } => live.outputs.get(&reference.output).cloned(),
            _ => None,
        }
    }

    fn decide(&mut self, node: &Node, inputs: &Value, info: &KindInfo) -> Decision {
        let record = self.state.resources.get(&node.address);
        let (id, live) = match self.observed.get(&node.address) {
            Some(Observation::Present { id, live }) => (id, &live.inputs),
            Some(Observation::Theirs { id, owner }) => {
                self.wrong.push(PlanError::NotOurs {
                    address: node.address.clone(),
                    id: id.clone(),
                    owner: owner.clone(),
                    declared_at: node.declared_at.clone(),
                });
                return Decision::Nothing;
            }
            Some(Observation::Absent) | None => {
                let reason = match record.and_then(|r| r.id.as_ref()) {
                    Some(id) => format!("recorded as `{id}`, but it is gone"),
                    None => "new".to_owned(),
                };
                return Decision::InPlace {
                    action: Action::Create,
                    reason,
                    changes: self.changes(node, inputs, info, None),
                };
            }
        };
        let changes = self.changes(node, inputs, info, Some(live));
        let replacing: Vec<&str> =
            changes.iter().filter(|c| c.on_change == OnChange::Replace).map(|c| c.path.as_str()).collect();
        if !replacing.is_empty() {
            let fields = replacing.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ");
            if is_protected(&self.plan.protected, &node.address) {
                self.wrong.push(PlanError::Protected {
                    address: node.address.clone(),
                    would: "replace",
                    because: format!(", because {fields} cannot be changed in place"),
                    declared_at: node.declared_at.clone(),
                });
            }
            return Decision::Replace { reason: format!("{fields} cannot be changed in place"), changes };
        }
        let Some(record) = record else {
            return Decision::InPlace { action: Action::Adopt, reason: format!("`{id}` is there and ours"), changes };
        };
        match &record.status {
            Status::Settled if changes.is_empty() => Decision::Nothing,
            Status::Settled => {
                Decision::InPlace { action: Action::Update, reason: "inputs differ".to_owned(), changes }
            }
            Status::Tainted { reason } => {
                let reason = format!("it is half-made: {reason}");
                Decision::InPlace { action: Action::Update, reason, changes }
            }
            Status::Begun | Status::Named => {
                let reason = "an earlier run was interrupted while making it".to_owned();
                Decision::InPlace { action: Action::Update, reason, changes }
            }
        }
    }

    fn changes(&self, node: &Node, inputs: &Value, info: &KindInfo, live: Option<&Value>) -> Vec<FieldChange> {
        let recorded = self.state.resources.get(&node.address).map(|record| &record.inputs);
        let recorded = recorded.filter(|_| live.is_some());
        diff(info, &Views { desired: inputs, secrets: &node.secrets, recorded, live, salt: &self.state.lineage })
    }

    /// Adds the delete steps: what the graph has no more, and the first halves of replacements. A resource goes
    /// after all that is recorded to need it.
    fn deletes(&mut self, graph: &Graph, decided: &[(&Node, Value, Decision)], catalog: &Catalog) {
        let replaced: BTreeMap<&Address, (&Node, &str)> = decided
            .iter()
            .filter_map(|(node, _, decision)| match decision {
                Decision::Replace { reason, .. } => Some((&node.address, (*node, reason.as_str()))),
                _ => None,
            })
            .collect();
        let mut going: BTreeSet<&Address> =
            self.state.resources.keys().filter(|address| graph.get(address).is_none()).collect();
        going.extend(replaced.keys());
        let mut dependents: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
        for (address, record) in self.state.resources.iter().filter(|(address, _)| going.contains(address)) {
            for need in &record.needs {
                dependents.entry(need).or_default().push(address);
            }
        }
        let mut index_of: BTreeMap<&Address, usize> = BTreeMap::new();
        for address in dependents_first(&going, &dependents) {
            let Some(kind) = catalog.get(address.kind()) else {
                self.wrong.push(PlanError::UnknownKind(address.clone()));
                continue;
            };
            let replacement = replaced.get(address);
            if replacement.is_none() && is_protected(&self.plan.protected, address) {
                self.wrong.push(PlanError::Protected {
                    address: address.clone(),
                    would: "destroy",
                    because: ", because the stack file has it no more".to_owned(),
                    declared_at: String::new(),
                });
            }
            let needs =
                dependents.get(address).into_iter().flatten().filter_map(|d| index_of.get(d).copied()).collect();
            index_of.insert(address, self.plan.steps.len());
            let reason = match replacement {
                Some((_, reason)) => (*reason).to_owned(),
                None => "not in the stack file".to_owned(),
            };
            let record = self.state.resources.get(address);
            let step = self.delete_step(address, record, kind.info(), reason, needs);
            self.plan.steps.push(Step {
                replaces: replacement.is_some(),
                declared_at: replacement.map(|(node, _)| node.declared_at.clone()).unwrap_or_default(),
                ..step
            });
        }
    }

    fn delete_step(
        &self,
        address: &Address,
        record: Option<&Record>,
        info: &KindInfo,
        reason: String,
        needs: Vec<usize>,
    ) -> Step {
        let (action, id, reason) = match self.observed.get(address) {
            Some(Observation::Present { id, .. }) => (Action::Delete, Some(id.clone()), reason),
            Some(Observation::Theirs { id, owner }) => (Action::Forget, None, format!("`{id}` is {owner}")),
            Some(Observation::Absent) | None => (Action::Forget, None, "it is gone".to_owned()),
        };
        Step {
            address: address.clone(),
            action,
            replaces: false,
            reason,
            changes: Vec::new(),
            needs,
            usual: info.usual_delete,
            id,
            inputs: Value::Null,
            secrets: BTreeSet::new(),
            live: None,
            recorded_needs: record.map(|r| r.needs.clone()).unwrap_or_default(),
            declared_at: String::new(),
        }
    }

    /// Adds the steps that make or change, each after the makes of what it needs, and after its own delete.
    fn makes(&mut self, graph: &Graph, decided: Vec<(&Node, Value, Decision)>, catalog: &Catalog) {
        let deletes: BTreeMap<Address, usize> =
            self.plan.steps.iter().enumerate().map(|(n, step)| (step.address.clone(), n)).collect();
        let mut index_of: BTreeMap<Address, usize> = BTreeMap::new();
        for (node, inputs, decision) in decided {
            let (action, replaces, reason, changes) = match decision {
                Decision::Nothing => {
                    self.plan.unchanged += 1;
                    continue;
                }
                Decision::InPlace { action, reason, changes } => (action, false, reason, changes),
                Decision::Replace { reason, changes } => (Action::Create, true, reason, changes),
            };
            let Some(kind) = catalog.get(node.address.kind()) else { continue };
            let mut needs: Vec<usize> =
                graph.needs(&node.address).filter_map(|need| index_of.get(need).copied()).collect();
            needs.extend(deletes.get(&node.address));
            let (id, live) = match self.observed.get(&node.address) {
                Some(Observation::Present { id, live }) if action != Action::Create => {
                    (Some(id.clone()), Some(live.inputs.clone()))
                }
                _ => (None, None),
            };
            index_of.insert(node.address.clone(), self.plan.steps.len());
            self.plan.steps.push(Step {
                address: node.address.clone(),
                action,
                replaces,
                reason,
                changes,
                needs,
                usual: if action == Action::Create { kind.info().usual_create } else { kind.info().usual_update },
                id,
                inputs,
                secrets: node.secrets.clone(),
                live,
                recorded_needs: graph.needs(&node.address).cloned().collect(),
                declared_at: node.declared_at.clone(),
            });
        }
        self.release_before_delete(&index_of);
    }

    /// What stays but was recorded to need a deleted resource lets go of it first, where no cycle comes of it.
    fn release_before_delete(&mut self, index_of: &BTreeMap<Address, usize>) {
        for delete in 0..self.plan.steps.len() {
            let step = &self.plan.steps[delete];
            if step.replaces || !matches!(step.action, Action::Delete | Action::Forget) {
                continue;
            }
            let users = index_of.iter().filter(|(user, _)| {
                self.state.resources.get(*user).is_some_and(|record| record.needs.contains(&step.address))
            });
            let users: Vec<usize> = users.map(|(_, index)| *index).collect();
            for user in users {
                if !reaches(&self.plan.steps, user, delete) {
                    self.plan.steps[delete].needs.push(user);
                }
            }
        }
        sort_by_needs(&mut self.plan.steps);
    }
}

/// Whether step `from` waits, directly or not, for step `to`.
fn reaches(steps: &[Step], from: usize, to: usize) -> bool {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
    while let Some(at) = todo.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            todo.extend(&steps[at].needs);
        }
    }
    false
}

/// Puts every step after what it needs and renumbers the needs; steps that are in order already stay as they are.
fn sort_by_needs(steps: &mut Vec<Step>) {
    let mut order: Vec<usize> = Vec::with_capacity(steps.len());
    let mut placed = vec![false; steps.len()];
    for start in 0..steps.len() {
        let mut stack = vec![(start, false)];
        while let Some((at, ready)) = stack.pop() {
            if placed[at] {
                continue;
            }
            if ready {
                placed[at] = true;
                order.push(at);
                continue;
            }
            stack.push((at, true));
            stack.extend(steps[at].needs.iter().rev().filter(|need| !placed[**need]).map(|need| (*need, false)));
        }
    }
    let mut new_index = vec![0; steps.len()];
    for (new, old) in order.iter().enumerate() {
        new_index[*old] = new;
    }
    let mut old_steps: Vec<Option<Step>> = std::mem::take(steps).into_iter().map(Some).collect();
    for old in order {
        if let Some(mut step) = old_steps[old].take() {
            step.needs.iter_mut().for_each(|need| *need = new_index[*need]);
            step.needs.sort_unstable();
            step.needs.dedup();
            steps.push(step);
        }
    }
}

/// Every address after those that depend on it. Recorded needs come from graphs, so they have no cycles; should a
/// hand-edited state have one, its members come in the order of their names.
fn dependents_first<'a>(
    going: &BTreeSet<&'a Address>,
    dependents: &BTreeMap<&'a Address, Vec<&'a Address>>,
) -> Vec<&'a Address> {
    let (mut order, mut seen) = (Vec::with_capacity(going.len()), BTreeSet::new());
    for start in going {
        let mut stack = vec![(*start, false)];
        while let Some((at, ready)) = stack.pop() {
            if ready {
                order.push(at);
            } else if seen.insert(at) {
                stack.push((at, true));
                stack.extend(dependents.get(at).into_iter().flatten().map(|d| (*d, false)));
            }
        }
    }
    order
}
