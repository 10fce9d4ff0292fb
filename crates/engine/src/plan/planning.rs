//! How a plan comes about: what each resource needs done, then the deletes, then the rest, then the edges between.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::order;
use super::{Action, Plan, PlanError, Step, Would};
use crate::diff::{FieldChange, Views, diff};
use crate::observe::{Observation, Observed};
use crate::resource::{Catalog, Kind, KindInfo, LiveValue, OnChange};
use crate::state::{Entry, Record, State, Status};
use crate::value::{Reference, redact, references, resolve_known};
use crate::{Address, Graph, Node};

/// What one resource needs done, before edges are drawn.
enum Decision {
    Nothing,
    InPlace { action: Action, reason: String, changes: Vec<FieldChange> },
    Replace { reason: String, changes: Vec<FieldChange> },
}

/// Why a recorded resource that the graph has not goes.
pub(super) struct Unwanted {
    pub(super) reason: &'static str,
    pub(super) because: &'static str,
}

pub(super) fn plan_with(
    graph: &Graph,
    state: &State,
    observed: &Observed,
    catalog: &Catalog,
    why: &Unwanted,
) -> Result<Plan, Vec<PlanError>> {
    let plan = Plan { serial: state.serial, protected: graph.protected().clone(), ..Plan::default() };
    let open = state.open.values().map(|begun| &begun.address).collect();
    let unknown = BTreeMap::new();
    let comparable = BTreeMap::new();
    let mut planning = Planning { graph, state, observed, plan, wrong: Vec::new(), unknown, open, comparable };
    let mut decided: Vec<(&Node, Decision)> = Vec::new();
    for node in graph.nodes() {
        let Some(kind) = catalog.get(node.address.kind()) else {
            planning.wrong.push(PlanError::UnknownKind(node.address.clone()));
            continue;
        };
        let decision = planning.decide(node, kind.as_ref());
        let unknown = match &decision {
            Decision::Nothing => Unknown::These(&[]),
            Decision::Replace { .. } | Decision::InPlace { action: Action::Create, .. } => Unknown::All,
            Decision::InPlace { .. } => Unknown::These(kind.changing_outputs()),
        };
        planning.unknown.insert(&node.address, unknown);
        decided.push((node, decision));
    }
    planning.deletes(&decided, catalog, why);
    planning.makes(decided, catalog);
    if planning.wrong.is_empty() { Ok(planning.plan) } else { Err(planning.wrong) }
}

/// Outputs that a step will tell.
enum Unknown {
    All,
    These(&'static [&'static str]),
}

struct Planning<'a> {
    graph: &'a Graph,
    state: &'a State,
    observed: &'a Observed,
    plan: Plan,
    wrong: Vec<PlanError>,
    /// The outputs that are not known until the step on the resource is done.
    unknown: BTreeMap<&'a Address, Unknown>,
    /// Resources of which a step was begun and has not ended.
    open: BTreeSet<&'a Address>,
    /// Live inputs without what the cloud filled in, of kinds that have such.
    comparable: BTreeMap<&'a Address, Value>,
}

impl<'a> Planning<'a> {
    /// Whether the stack file protects it, or did at the last run: an edit that takes something away together with its
    /// protection is likelier a slip than a wish.
    fn is_protected(&self, address: &Address, would: Would) -> bool {
        [&self.plan.protected, &self.state.protected].iter().any(|list| would.is_forbidden(list, address))
    }

    /// `inputs` with every reference resolved whose target stays as it is.
    fn resolve_known(&self, inputs: &Value) -> Value {
        resolve_known(inputs, &|reference| self.output(reference))
    }

    fn output(&self, reference: &Reference) -> Option<Value> {
        match self.unknown.get(&reference.address)? {
            Unknown::All => return None,
            Unknown::These(outputs) if outputs.contains(&reference.output.as_str()) => return None,
            Unknown::These(_) => {}
        }
        match self.observed.get(&reference.address)? {
            Observation::Present { live, .. } => live.outputs.get(&reference.output).cloned(),
            _ => None,
        }
    }

    fn decide(&mut self, node: &'a Node, kind: &dyn Kind) -> Decision {
        let info = kind.info();
        let resolved = self.resolve_known(&node.inputs);
        // What a reference stood for may change how the kind writes its inputs, such as the order of a list.
        let normal = references(&resolved).is_empty().then(|| kind.normalise(&resolved).ok()).flatten();
        let inputs = &normal.unwrap_or(resolved);
        let record = self.state.resources.get(&node.address);
        let (id, live) = match self.observed.get(&node.address) {
            Some(Observation::Present { id, live }) => (id, live),
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
                let reason = match record.and_then(|record| Some((record.id.as_ref()?, &record.status))) {
                    Some((id, Status::Tainted { reason })) => {
                        format!("recorded as `{id}`, which was half-made and is gone: {reason}")
                    }
                    Some((id, _)) => format!("recorded as `{id}`, but it is gone"),
                    None => "new".to_owned(),
                };
                if record.is_some_and(|record| self.would_be_made_twice(node, inputs, kind, record)) {
                    self.plan.unseen.insert(node.address.clone());
                }
                return Decision::InPlace {
                    action: Action::Create,
                    reason,
                    changes: self.changes(node, inputs, info, None),
                };
            }
        };
        let comparable = kind.comparable(live, inputs, record.map(|record| &record.inputs));
        let changes = self.changes(node, inputs, info, Some(comparable.as_ref().unwrap_or(&live.inputs)));
        self.comparable.extend(comparable.map(|inputs| (&node.address, inputs)));
        let replacing: Vec<&str> =
            changes.iter().filter(|c| c.on_change == OnChange::Replace).map(|c| c.path.as_str()).collect();
        let fields = replacing.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ");
        let reason = match replacing.is_empty() {
            true => kind.beyond_update(live, inputs),
            false => Some(format!("{fields} cannot be changed in place")),
        };
        if let Some(reason) = reason {
            if self.is_protected(&node.address, Would::Replace) {
                self.wrong.push(PlanError::Protected {
                    address: node.address.clone(),
                    would: Would::Replace,
                    because: format!(", because {reason}"),
                    declared_at: node.declared_at.clone(),
                });
            }
            return Decision::Replace { reason, changes };
        }
        if let Some(why) = kind.refused(live, inputs) {
            let (address, declared_at) = (node.address.clone(), node.declared_at.clone());
            self.wrong.push(PlanError::Refused { address, why, declared_at });
        }
        let Some(record) = record else {
            return Decision::InPlace { action: Action::Adopt, reason: format!("`{id}` is there and ours"), changes };
        };
        match &record.status {
            Status::Settled => {
                let reason = match (changes.is_empty(), kind.idle(live)) {
                    (true, None) => {
                        self.see(node, inputs, id, outputs_with_mark(kind, live, record), record);
                        return Decision::Nothing;
                    }
                    (true, Some(idle)) => idle,
                    (false, None) => "inputs differ".to_owned(),
                    (false, Some(idle)) => format!("inputs differ; {idle}"),
                };
                Decision::InPlace { action: Action::Update, reason, changes }
            }
            Status::Tainted { reason } => {
                let reason = format!("it is half-made, and is finished: {reason}");
                Decision::InPlace { action: Action::Update, reason, changes }
            }
            Status::Begun | Status::Named => {
                let reason = "an earlier run was interrupted while making or changing it".to_owned();
                Decision::InPlace { action: Action::Update, reason, changes }
            }
        }
    }

    /// Whether a create would make another object beside one that the cloud may only not show yet. The same create is known
    /// again where the kind has names or tokens for that ([`Entry::Begin`] keeps its number).
    fn would_be_made_twice(&self, node: &Node, inputs: &Value, kind: &dyn Kind, record: &Record) -> bool {
        match record.status {
            Status::Settled => false,
            Status::Tainted { .. } => true,
            Status::Begun | Status::Named => {
                let same = redact(inputs, &node.secrets, &self.state.lineage) == record.inputs;
                !same || record.made_by.is_none() || !kind.is_known_again()
            }
        }
    }

    /// Notes what is recorded otherwise than it was found: an output that has changed, another order, an id that
    /// was lost, a step whose end nobody saw.
    fn see(&mut self, node: &Node, inputs: &Value, id: &str, outputs: Value, record: &Record) {
        // A field that costs nothing to change may still refer to what is made later.
        let known = references(inputs).is_empty();
        let inputs = if known { redact(inputs, &node.secrets, &self.state.lineage) } else { record.inputs.clone() };
        let same = record.id.as_deref() == Some(id)
            && record.inputs == inputs
            && record.outputs == outputs
            && record.needs.iter().eq(self.graph.needs(&node.address))
            && !self.open.contains(&node.address);
        if !same {
            let (address, id) = (node.address.clone(), id.to_owned());
            let needs = self.graph.needs(&node.address).cloned().collect();
            self.plan.seen.push(Entry::Seen { address, id, inputs, outputs, needs });
        }
    }

    fn changes(&self, node: &Node, inputs: &Value, info: &KindInfo, live: Option<&Value>) -> Vec<FieldChange> {
        let recorded = self.state.resources.get(&node.address).map(|record| &record.inputs);
        let recorded = recorded.filter(|_| live.is_some());
        diff(info, &Views { desired: inputs, secrets: &node.secrets, recorded, live, salt: &self.state.lineage })
    }

    /// Adds the delete steps: what the graph has no more, and the first halves of replacements. A resource goes
    /// after all that is recorded to need it.
    fn deletes(&mut self, decided: &[(&Node, Decision)], catalog: &Catalog, why: &Unwanted) {
        let replaced: BTreeMap<&Address, (&Node, &str)> = decided
            .iter()
            .filter_map(|(node, decision)| match decision {
                Decision::Replace { reason, .. } => Some((&node.address, (*node, reason.as_str()))),
                _ => None,
            })
            .collect();
        let mut going: BTreeSet<&Address> =
            self.state.resources.keys().filter(|address| self.graph.get(address).is_none()).collect();
        going.extend(replaced.keys());
        let mut dependents: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
        for address in &going {
            match self.state.resources.get(*address) {
                Some(record) => record.needs.iter().for_each(|need| dependents.entry(need).or_default().push(address)),
                // Found, though it was never recorded: it was made from a graph like this one.
                None => self.graph.needs(address).for_each(|need| dependents.entry(need).or_default().push(address)),
            }
        }
        let mut index_of: BTreeMap<&Address, usize> = BTreeMap::new();
        for (address, before) in order::dependents_first(&going, &dependents) {
            let Some(kind) = catalog.get(address.kind()) else {
                self.wrong.push(PlanError::UnknownKind(address.clone()));
                continue;
            };
            let needs = before.into_iter().filter_map(|dependent| index_of.get(dependent).copied()).collect();
            let replacement = replaced.get(address);
            let reason = replacement.map_or(why.reason, |(_, reason)| reason).to_owned();
            let record = self.state.resources.get(address);
            let step = self.delete_step(address, record, kind.info(), reason, needs);
            // `decide` has looked at replacements.
            let deletes = step.action == Action::Delete && replacement.is_none();
            if deletes && self.is_protected(address, Would::Destroy) {
                self.wrong.push(PlanError::Protected {
                    address: address.clone(),
                    would: Would::Destroy,
                    because: why.because.to_owned(),
                    declared_at: String::new(),
                });
            }
            index_of.insert(address, self.plan.steps.len());
            self.plan.steps.push(Step {
                replaces: replacement.is_some(),
                declared_at: replacement.map(|(node, _)| node.declared_at.clone()).unwrap_or_default(),
                ..step
            });
        }
    }

    fn delete_step(
        &mut self,
        address: &Address,
        record: Option<&Record>,
        info: &KindInfo,
        reason: String,
        needs: Vec<usize>,
    ) -> Step {
        let (action, id, reason) = match self.observed.get(address) {
            Some(Observation::Present { id, .. }) => (Action::Delete, Some(id.clone()), reason),
            Some(Observation::Theirs { id, owner }) => (Action::Forget, Some(id.clone()), format!("`{id}` is {owner}")),
            // It may be going still, which counts as gone. What it needs has to wait for its end.
            Some(Observation::Absent) | None => match record.and_then(|record| record.id.clone()) {
                Some(id) if self.is_being_deleted(address) => {
                    (Action::Delete, Some(id), "an earlier run began to destroy it".to_owned())
                }
                _ => {
                    if record.is_some_and(|record| record.status != Status::Settled) {
                        self.plan.unseen.insert(address.clone());
                    }
                    (Action::Forget, None, "it is gone".to_owned())
                }
            },
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

    /// Whether an earlier run sent its delete and did not see its end.
    fn is_being_deleted(&self, address: &Address) -> bool {
        self.state.open.values().any(|begun| begun.address == *address && begun.action == Action::Delete)
    }

    /// Adds the steps that make or change, each after the makes of what it needs, and after its own delete.
    fn makes(&mut self, decided: Vec<(&Node, Decision)>, catalog: &Catalog) {
        let deletes: BTreeMap<Address, usize> =
            self.plan.steps.iter().enumerate().map(|(n, step)| (step.address.clone(), n)).collect();
        let mut index_of: BTreeMap<&Address, usize> = BTreeMap::new();
        // By address, the first halves of what is replaced and was recorded to need it. What is made again must not be
        // met by what is still there of the old world: a sink by a topic that begins anew.
        let mut leaving: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
        for (index, step) in self.plan.steps.iter().enumerate().filter(|(_, step)| step.replaces) {
            for need in &step.recorded_needs {
                leaving.entry(need.clone()).or_default().push(index);
            }
        }
        // By address, the steps that change a resource which was recorded to need it.
        let mut released_by: BTreeMap<&Address, Vec<usize>> = BTreeMap::new();
        for (node, decision) in decided {
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
                self.graph.needs(&node.address).filter_map(|need| index_of.get(need).copied()).collect();
            needs.extend(deletes.get(&node.address));
            if action == Action::Create {
                needs.extend(leaving.get(&node.address).into_iter().flatten());
            }
            let (id, live) = match self.observed.get(&node.address) {
                Some(Observation::Present { id, live }) if action != Action::Create => {
                    let inputs = self.comparable.remove(&node.address).unwrap_or_else(|| live.inputs.clone());
                    (Some(id.clone()), Some(inputs))
                }
                _ => (None, None),
            };
            let index = self.plan.steps.len();
            index_of.insert(&node.address, index);
            let record = self.state.resources.get(&node.address).filter(|_| action != Action::Create);
            for need in record.into_iter().flat_map(|record| &record.needs) {
                released_by.entry(need).or_default().push(index);
            }
            self.plan.steps.push(Step {
                address: node.address.clone(),
                action,
                replaces,
                reason,
                changes,
                needs,
                usual: if action == Action::Create { kind.info().usual_create } else { kind.info().usual_update },
                id,
                inputs: node.inputs.clone(),
                secrets: node.secrets.clone(),
                live,
                recorded_needs: self.graph.needs(&node.address).cloned().collect(),
                declared_at: node.declared_at.clone(),
            });
        }
        order::release_before_delete(&mut self.plan.steps, &released_by);
        order::sort_by_needs(&mut self.plan.steps);
    }
}

/// The outputs to be recorded of an object that is as it should be: a read may have left its mark out.
fn outputs_with_mark(kind: &dyn Kind, live: &LiveValue, record: &Record) -> Value {
    let mut outputs = live.outputs.clone();
    let Some(mark) = kind.mark() else { return outputs };
    let recorded = record.outputs.get(mark).filter(|_| live.outputs.get(mark).is_none());
    if let (Some(outputs), Some(recorded)) = (outputs.as_object_mut(), recorded) {
        outputs.insert(mark.to_owned(), recorded.clone());
    }
    outputs
}
