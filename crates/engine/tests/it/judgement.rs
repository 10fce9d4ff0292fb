//! What a kind tells the planner besides which field costs what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinfra_engine::state::State;
use pinfra_engine::{
    Action, Address, Call, Catalog, CloudError, Field, Found, Graph, KindInfo, Live, Node, Observation, OnChange, Plan,
    Resource, plan,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A disk that only grows, and has settings that the cloud fills in.
struct Disk;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiskInputs {
    size: u64,
    settings: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct DiskOutputs {
    broken: Option<String>,
    #[serde(default)]
    parked: bool,
}

type LiveDisk = Live<DiskInputs, DiskOutputs>;

impl Resource for Disk {
    const INFO: KindInfo = KindInfo {
        kind: "test/disk",
        summary: "",
        fields: &[
            Field { name: "size", on_change: OnChange::Update, doc: "" },
            Field { name: "settings", on_change: OnChange::Update, doc: "" },
        ],
        outputs: &[],
        loses: "",
        usual_create: Duration::ZERO,
        usual_update: Duration::ZERO,
        usual_delete: Duration::ZERO,
    };
    const BEYOND_UPDATE: Option<fn(&LiveDisk, &DiskInputs) -> Option<String>> = Some(|live, new| {
        let shrinks = (new.size < live.inputs.size).then(|| "disks do not shrink".to_owned());
        live.outputs.broken.clone().or(shrinks)
    });
    const IDLE: Option<fn(&LiveDisk) -> Option<String>> =
        Some(|live| live.outputs.parked.then(|| "its heads are parked".to_owned()));
    const COMPARABLE: Option<fn(LiveDisk, &[DiskInputs]) -> DiskInputs> = Some(|live, asked| {
        let mut inputs = live.inputs;
        inputs.settings.retain(|key, _| asked.iter().any(|asked| asked.settings.contains_key(key)));
        inputs
    });

    type Inputs = DiskInputs;
    type Outputs = DiskOutputs;

    async fn create(&self, _: &Call, _: &DiskInputs) -> Result<String, CloudError> {
        unreachable!("planning calls nothing")
    }
    async fn settle(&self, _: &Call, _: &str, _: &DiskInputs) -> Result<LiveDisk, CloudError> {
        unreachable!("planning calls nothing")
    }
    async fn read(&self, _: &str) -> Result<Option<LiveDisk>, CloudError> {
        unreachable!("planning calls nothing")
    }
    async fn find(&self, _: &DiskInputs) -> Result<Option<Found>, CloudError> {
        unreachable!("planning calls nothing")
    }
    async fn update(&self, _: &Call, _: &str, _: &DiskInputs, _: &DiskInputs) -> Result<(), CloudError> {
        unreachable!("planning calls nothing")
    }
    async fn delete(&self, _: &Call, _: &str) -> Result<(), CloudError> {
        unreachable!("planning calls nothing")
    }
}

/// The steps of a stack that asks for a disk of ten with `wanted` settings, where `live` is there, made of `recorded` settings.
fn planned(wanted: &serde_json::Value, live: serde_json::Value, recorded: &serde_json::Value) -> Plan {
    let address = Address::new("test/disk", "a");
    let mut state = State::new("pins", "lineage");
    let record = json!({
        "status": "settled", "id": "d-1", "inputs": {"size": 10, "settings": recorded}, "outputs": {}, "needs": []
    });
    state.resources.insert(address.clone(), serde_json::from_value(record).unwrap());
    let node = Node {
        address: address.clone(),
        inputs: json!({"size": 10, "settings": wanted}),
        secrets: BTreeSet::new(),
        after: Vec::new(),
        declared_at: String::new(),
    };
    let live =
        Observation::Present { id: "d-1".to_owned(), live: serde_json::from_value::<Seen>(live).unwrap().into() };
    let graph = Graph::new(vec![node]).unwrap();
    plan(&graph, &state, &BTreeMap::from([(address, live)]), &Catalog::default().with(Disk)).unwrap()
}

#[derive(Deserialize)]
struct Seen {
    inputs: serde_json::Value,
    outputs: serde_json::Value,
}

impl From<Seen> for Live<serde_json::Value, serde_json::Value> {
    fn from(seen: Seen) -> Self {
        Live { inputs: seen.inputs, outputs: seen.outputs }
    }
}

#[test]
fn what_is_broken_for_good_or_would_have_to_shrink_is_replaced() {
    for (size, broken, reason) in [(10, Some("it burned"), "it burned"), (11, None, "disks do not shrink")] {
        let live = json!({"inputs": {"size": size, "settings": {}}, "outputs": {"broken": broken}});
        let plan = planned(&json!({}), live, &json!({}));
        let steps: Vec<(Action, bool, &str)> =
            plan.steps.iter().map(|step| (step.action, step.replaces, step.reason.as_str())).collect();
        assert_eq!(steps, [(Action::Delete, true, reason), (Action::Create, true, reason)]);
    }
    let smaller = json!({"inputs": {"size": 9, "settings": {}}, "outputs": {"broken": null}});
    assert_eq!(planned(&json!({}), smaller, &json!({})).steps[0].action, Action::Update);
}

#[test]
fn what_the_cloud_filled_in_is_no_change_and_what_is_asked_for_no_more_is_one() {
    let live = json!({"inputs": {"size": 10, "settings": {"a": "1", "b": "2"}}, "outputs": {"broken": null}});
    assert!(planned(&json!({"a": "1"}), live.clone(), &json!({"a": "1"})).is_empty());
    let plan = planned(&json!({}), live, &json!({"a": "1"}));
    assert_eq!(plan.steps[0].changes[0].path, "settings.a");
    assert_eq!(plan.steps[0].live, Some(json!({"size": 10, "settings": {"a": "1"}})), "an update learns no more");
}

#[test]
fn what_is_as_asked_for_and_idle_is_set_going() {
    let live = |size: u64, parked: bool| json!({"inputs": {"size": size, "settings": {}}, "outputs": {"broken": null, "parked": parked}});
    let told = |plan: &Plan| plan.steps.iter().map(|step| (step.action, step.reason.clone())).collect::<Vec<_>>();
    let idle = planned(&json!({}), live(10, true), &json!({}));
    assert_eq!(told(&idle), [(Action::Update, "its heads are parked".to_owned())]);
    assert_eq!(idle.steps[0].changes, []);
    let both = planned(&json!({}), live(9, true), &json!({}));
    assert_eq!(told(&both), [(Action::Update, "inputs differ; its heads are parked".to_owned())]);
    assert!(planned(&json!({}), live(10, false), &json!({})).is_empty());
}
