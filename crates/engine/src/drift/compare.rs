//! Compares every resource with what was found of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::members::{self, Member};
use super::secrets::{known, reveal};
use super::{CONDITION, Drift, FAILURE, Finding, What};
use crate::observe::{Observation, Observed, is_part_of_theirs};
use crate::resource::{Catalog, Kind, LiveValue, OnChange};
use crate::state::{Record, State, Status};
use crate::value::{Reference, has_secret, join, references, resolve_known, unknown};
use crate::{Address, Graph};

/// What differs from `graph`, or from what `state` records where there is no stack file. An output that something refers
/// to is taken as it was recorded, so that what was changed is told, and not all that hangs on it.
pub fn drift(graph: Option<&Graph>, state: &State, observed: &Observed, catalog: &Catalog) -> Drift {
    let comparison = Comparison { state, observed, catalog };
    let mut drift = Drift::default();
    for (address, record) in &state.resources {
        if graph.is_none_or(|graph| graph.get(address).is_some()) {
            continue;
        }
        if let Some(Observation::Present { id, .. }) = observed.get(address) {
            let detail = "the stack file has it no more, and it is still there: the next `up` destroys it";
            let finding = Finding { id: Some(id.clone()), ..about(address, What::Unmanaged, detail) };
            drift.findings.push(finding);
        }
        drift.compared += usize::from(record.id.is_some());
    }
    match graph {
        Some(graph) => {
            for node in graph.nodes() {
                let wanted = resolve_known(&node.inputs, &|reference| comparison.output(reference));
                let asked = Asked { address: &node.address, wanted, secrets: &node.secrets };
                drift.compared += 1;
                let of_file = |finding: Finding| Finding { declared_at: node.declared_at.clone(), ..finding };
                drift.findings.extend(comparison.resource(&asked).into_iter().map(of_file));
            }
        }
        None => {
            for (address, record) in &state.resources {
                let asked = Asked { address, wanted: record.inputs.clone(), secrets: &BTreeSet::new() };
                drift.compared += 1;
                drift.findings.extend(comparison.resource(&asked));
            }
        }
    }
    drift.sort();
    drift
}

/// A finding about the whole of a resource.
fn about(address: &Address, what: What, detail: impl Into<String>) -> Finding {
    Finding {
        address: address.clone(),
        id: None,
        what,
        field: None,
        wanted: None,
        live: None,
        detail: detail.into(),
        declared_at: String::new(),
        secret: false,
    }
}

struct Comparison<'a> {
    state: &'a State,
    observed: &'a Observed,
    catalog: &'a Catalog,
}

/// What is asked for of one resource; may hold hashes of secrets, and references to what is not there.
struct Asked<'a> {
    address: &'a Address,
    wanted: Value,
    secrets: &'a BTreeSet<String>,
}

impl Comparison<'_> {
    fn output(&self, reference: &Reference) -> Option<Value> {
        self.state.output(reference).or_else(|| match self.observed.get(&reference.address)? {
            Observation::Present { live, .. } => live.outputs.get(&reference.output).cloned(),
            Observation::Absent | Observation::Theirs { .. } => None,
        })
    }

    fn resource(&self, asked: &Asked<'_>) -> Vec<Finding> {
        let address = asked.address;
        let record = self.state.resources.get(address);
        let (id, live) = match self.observed.get(address) {
            Some(Observation::Present { id, live }) => (id, live),
            // It is told of what it is in.
            Some(Observation::Theirs { .. }) if is_part_of_theirs(self.state, self.observed, address) => {
                return Vec::new();
            }
            Some(Observation::Theirs { id, owner }) => {
                let detail = format!("`{id}` is there, but it is {owner}");
                return vec![Finding { id: Some(id.clone()), ..about(address, What::Missing, detail) }];
            }
            Some(Observation::Absent) | None => {
                let detail = match record.and_then(|record| record.id.as_ref()) {
                    Some(id) => format!("it is recorded as `{id}`, and it is gone"),
                    None => "nothing is recorded of it: it was never made, or was taken down. `pinfra up` makes it"
                        .to_owned(),
                };
                return vec![about(address, What::Missing, detail)];
            }
        };
        let Some(kind) = self.catalog.get(address.kind()) else {
            return vec![about(address, What::Unhealthy, "this version of pinfra does not have its kind")];
        };
        let mut found: Vec<Finding> =
            ills(kind.as_ref(), record, id, live).into_iter().map(|ill| about(address, What::Unhealthy, ill)).collect();
        found.extend(self.fields(asked, kind.as_ref(), record, live));
        for finding in &mut found {
            finding.id = Some(id.clone());
        }
        found
    }

    /// The fields that differ.
    fn fields(&self, asked: &Asked<'_>, kind: &dyn Kind, record: Option<&Record>, live: &LiveValue) -> Vec<Finding> {
        let (mut secrets, mut differ) = (asked.secrets.clone(), BTreeSet::new());
        let salt = &self.state.lineage;
        let live = &LiveValue { inputs: known(&live.inputs, Some(&asked.wanted), "", salt), ..live.clone() };
        let revealed = reveal(&asked.wanted, Some(&live.inputs), "", salt, &mut secrets, &mut differ);
        // What a reference stood for may change how the kind writes its inputs, such as the order of a list.
        let normal = references(&revealed).is_empty().then(|| kind.normalise(&revealed).ok()).flatten();
        let mut wanted = normal.unwrap_or(revealed);
        let comparable = kind.comparable(live, &wanted, record.map(|record| &record.inputs));
        let mut there = comparable.unwrap_or_else(|| live.inputs.clone());
        let mut fields = Fields { kind, secrets: &secrets, address: asked.address, found: Vec::new() };
        for path in &differ {
            fields.tell(path, None, None);
        }
        for pattern in kind.hints().members {
            for member in members::take(&mut wanted, &mut there, pattern) {
                fields.member(member);
            }
        }
        compare(Some(&wanted), Some(&there), "", &mut |path, wanted, live| fields.tell(path, wanted, live));
        fields.found
    }
}

struct Fields<'a> {
    kind: &'a dyn Kind,
    secrets: &'a BTreeSet<String>,
    address: &'a Address,
    found: Vec<Finding>,
}

impl Fields<'_> {
    fn tell(&mut self, path: &str, wanted: Option<&Value>, live: Option<&Value>) {
        if self.kind.info().on_change(path) == OnChange::Ignore {
            return;
        }
        let works = self.kind.hints().works.contains(&path);
        let (what, detail) = match (works, live) {
            (true, _) => (What::Unhealthy, "it does not serve what was made last".to_owned()),
            (false, None) if wanted.is_some() => (What::Changed, format!("`{path}` is gone")),
            (false, Some(_)) if wanted.is_none() => {
                (What::Changed, format!("`{path}` is there, and nobody asked for it"))
            }
            (false, _) => (What::Changed, format!("`{path}` is not what it should be")),
        };
        self.push(path, what, detail, wanted, live);
    }

    fn member(&mut self, member: Member) {
        let Member { path, wanted, live } = member;
        match (wanted, live) {
            (None, live) => {
                let detail = format!("one more in `{path}`, which is not of this stack");
                self.push(&path, What::Unmanaged, detail, None, live.as_ref());
            }
            (wanted, live) => self.tell(&path, wanted.as_ref(), live.as_ref()),
        }
    }

    fn push(&mut self, path: &str, what: What, detail: String, wanted: Option<&Value>, live: Option<&Value>) {
        let secret = has_secret(path, self.secrets);
        let shown = |value: Option<&Value>| value.filter(|value| !secret && !value.is_null()).cloned();
        self.found.push(Finding {
            field: Some(path.to_owned()),
            wanted: shown(wanted),
            live: shown(live),
            secret,
            ..about(self.address, what, detail)
        });
    }
}

/// What keeps a resource from its work, as far as its outputs and its record tell.
fn ills(kind: &dyn Kind, record: Option<&Record>, id: &str, live: &LiveValue) -> Vec<String> {
    let mut ills = Vec::new();
    for told in [FAILURE, CONDITION] {
        ills.extend(live.outputs.get(told).and_then(Value::as_str).map(str::to_owned));
    }
    let Some(record) = record else { return ills };
    match &record.status {
        Status::Settled => {}
        Status::Tainted { reason } => ills.push(format!("it is half-made: {reason}")),
        Status::Begun | Status::Named => ills.push("an interrupted run left it unfinished: run `pinfra up`".to_owned()),
    }
    if let Some(recorded) = record.id.as_deref().filter(|recorded| *recorded != id) {
        ills.push(format!("it was replaced: recorded as `{recorded}`, and now `{id}`"));
    } else if let Some(output) = another(kind, &record.outputs, &live.outputs) {
        ills.push(format!("it was made anew: its `{output}` is another one"));
    }
    ills
}

/// An output that stays for as long as an object lives, and is not what was recorded.
fn another<'a>(kind: &dyn Kind, recorded: &'a Value, live: &Value) -> Option<&'a str> {
    let stays = |name: &str| ![FAILURE, CONDITION].contains(&name) && !kind.changing_outputs().contains(&name);
    let outputs = recorded.as_object()?.iter().filter(|(name, _)| stays(name));
    let mut others = outputs.filter(|(name, recorded)| live.get(name).is_some_and(|live| live != *recorded));
    others.next().map(|(name, _)| name.as_str())
}

/// Takes a path with what is asked for and what is there.
type Differs<'a> = &'a mut dyn FnMut(&str, Option<&Value>, Option<&Value>);

/// Calls `differs` for each field that differs. An object that one side alone has is told as a whole; what is not known
/// yet is compared with nothing.
fn compare(wanted: Option<&Value>, live: Option<&Value>, path: &str, differs: Differs<'_>) {
    let (wanted, live) = (wanted.filter(|value| !is_nothing(value)), live.filter(|value| !is_nothing(value)));
    if wanted == live || wanted.is_some_and(|wanted| unknown(wanted).is_some()) {
        return;
    }
    let (Some(Value::Object(asked)), Some(Value::Object(there))) = (wanted, live) else {
        if wanted.is_none_or(|wanted| references(wanted).is_empty()) {
            differs(path, wanted, live);
        }
        return;
    };
    for (key, value) in asked {
        compare(Some(value), there.get(key), &join(path, key), differs);
    }
    for (key, value) in there.iter().filter(|(key, _)| !asked.contains_key(*key)) {
        compare(None, Some(value), &join(path, key), differs);
    }
}

/// Whether a value says no more than none does.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(wanted: &Value, live: &Value) -> Vec<String> {
        let mut found = Vec::new();
        compare(Some(wanted), Some(live), "", &mut |path, _, _| found.push(path.to_owned()));
        found
    }

    #[test]
    fn what_one_side_alone_has_is_told_once() {
        let wanted = json!({"a": {"x": 1, "y": {"z": 2}}, "same": [1], "none": null, "empty": {}, "gone": {"b": 1}});
        let live = json!({"a": {"x": 2}, "same": [1], "more": {"c": {"d": 1}}, "empty": null, "nothing": {"e": null}});
        assert_eq!(differences(&wanted, &live), ["a.x", "a.y", "gone", "more"]);
        assert_eq!(differences(&wanted, &wanted), [""; 0]);
    }

    #[test]
    fn what_is_not_known_yet_is_compared_with_nothing() {
        let wanted = json!({"id": {"$ref": "a/b.c#id"}, "list": [{"$ref": "a/b.c#id"}], "text": {"$join": ["x", {"$ref": "a/b.c#id"}]}});
        let live = json!({"id": "i-1", "list": ["i-1"], "text": "xi-1"});
        assert_eq!(differences(&wanted, &live), [""; 0]);
    }
}
