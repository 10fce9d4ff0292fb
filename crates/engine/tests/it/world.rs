//! A stack with its state folder and its cloud, and the runs that `pinfra up` and `pinfra down` make.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use pinfra_engine::state::{FolderShelf, Status};
use pinfra_engine::testing::{FakeCloud, Inputs, Object, node};
use pinfra_engine::value::resolve;
use pinfra_engine::{
    Address, Event, Graph, Lock, Node, Options, Outcome, Plan, PlanError, State, StateStore, execute, observe, plan,
    plan_destroy,
};
use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

/// One stack.
pub(crate) struct World {
    pub(crate) cloud: FakeCloud,
    pub(crate) folder: TempDir,
    pub(crate) width: usize,
    pub(crate) stop: CancellationToken,
    pub(crate) leave: CancellationToken,
    pub(crate) detach: bool,
}

/// What one run did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) outcome: Outcome,
    pub(crate) events: Vec<Event>,
    /// What was recorded before it and after it.
    pub(crate) before: State,
    pub(crate) after: State,
}

impl World {
    pub(crate) fn new() -> World {
        World::on(FakeCloud::new())
    }

    pub(crate) fn on(cloud: FakeCloud) -> World {
        World {
            cloud,
            folder: tempfile::tempdir().unwrap(),
            width: 4,
            stop: CancellationToken::new(),
            leave: CancellationToken::new(),
            detach: false,
        }
    }

    pub(crate) fn store(&self) -> StateStore {
        StateStore::open(Lock::take(Arc::new(self.shelf()), "test").unwrap(), "stack").unwrap()
    }

    pub(crate) fn state(&self) -> State {
        StateStore::load(&self.shelf(), "stack").unwrap().unwrap_or_else(|| State::new("stack", "none"))
    }

    fn shelf(&self) -> FolderShelf {
        FolderShelf::new(self.folder.path())
    }

    /// What `up` would do.
    pub(crate) async fn plan(&self, graph: &Graph) -> Result<Plan, Vec<PlanError>> {
        let (state, catalog) = (self.state(), self.cloud.catalog());
        plan(graph, &state, &observe(graph, &state, &catalog).await.unwrap(), &catalog)
    }

    /// What `down` would do.
    pub(crate) async fn plan_destroy(&self) -> Result<Plan, Vec<PlanError>> {
        let (state, catalog) = (self.state(), self.cloud.catalog());
        let observed = observe(&Graph::default(), &state, &catalog).await.unwrap();
        plan_destroy(&state, &observed, &catalog)
    }

    pub(crate) async fn up(&self, graph: &Graph) -> Run {
        let plan = self.plan(graph).await.unwrap();
        self.run(plan, true).await
    }

    pub(crate) async fn down(&self) -> Run {
        let plan = self.plan_destroy().await.unwrap();
        self.run(plan, true).await
    }

    /// Kills `up` as soon as a call is parked.
    pub(crate) async fn up_killed_at_park(&self, graph: &Graph) {
        tokio::select! {
            run = self.up(graph) => panic!("no call was parked: {run:#?}"),
            () = self.cloud.wait_parked(1) => {}
        }
    }

    /// Carries `plan` out. Without `close` the files stay as a kill at the end would leave them.
    pub(crate) async fn run(&self, plan: Plan, close: bool) -> Run {
        let mut store = self.store();
        let before = store.state().clone();
        let (sender, mut inbox) = unbounded_channel();
        let (stop, leave) = (self.stop.clone(), self.leave.clone());
        let options = Options { width: self.width, stop, leave, detach: self.detach, events: sender };
        let outcome = execute(&plan, &self.cloud.catalog(), &mut store, &options).await.unwrap();
        let mut events = Vec::new();
        while let Ok(event) = inbox.try_recv() {
            events.push(event);
        }
        let mut after = store.state().clone();
        if close {
            after = store.close().unwrap();
        }
        assert_eq!(self.state(), if after.serial == 0 { self.state() } else { after.clone() }, "it reads back");
        Run { plan, outcome, events, before, after }
    }
}

/// Runs a test with time paused, so that a wait takes none.
pub(crate) fn paused<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

pub(crate) fn graph(nodes: impl IntoIterator<Item = Node>) -> Graph {
    Graph::new(nodes.into_iter().collect()).unwrap()
}

/// `fake/thing.<name>` with default inputs changed by `edit`.
pub(crate) fn thing(name: &str, edit: impl FnOnce(&mut Inputs)) -> Node {
    let mut inputs = Inputs::default();
    edit(&mut inputs);
    node(&format!("fake/thing.{name}"), inputs)
}

/// `fake/item.<name>`, likewise.
pub(crate) fn item(name: &str, edit: impl FnOnce(&mut Inputs)) -> Node {
    let mut inputs = Inputs::default();
    edit(&mut inputs);
    node(&format!("fake/item.{name}"), inputs)
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// `create a`, `delete b` … in the order of their starts, as `start create a` and `end create a`.
pub(crate) fn story(events: &[Event]) -> Vec<String> {
    let name = |action: &pinfra_engine::Action| format!("{action:?}").to_lowercase();
    events
        .iter()
        .filter_map(|event| match event {
            Event::Started { address, action, .. } => Some(format!("start {} {}", name(action), address.name())),
            Event::Done { address, action, .. } => Some(format!("end {} {}", name(action), address.name())),
            Event::Failed { address, action, .. } => Some(format!("fail {} {}", name(action), address.name())),
            Event::Blocked { address, action, .. } => Some(format!("block {} {}", name(action), address.name())),
            Event::Parked { address, action, .. } => Some(format!("park {} {}", name(action), address.name())),
            Event::Named { .. } | Event::Waiting { .. } | Event::Stopping | Event::Halted { .. } => None,
        })
        .collect()
}

/// Whether `first` comes before `second` in a story that has both.
pub(crate) fn comes_before(story: &[String], first: &str, second: &str) -> bool {
    let place = |wanted: &str| {
        story.iter().position(|line| line == wanted).unwrap_or_else(|| panic!("no `{wanted}` in {story:#?}"))
    };
    place(first) < place(second)
}

/// The cloud holds what the graph asks for, once, finished, and nothing else; state says so; and a plan is empty.
pub(crate) async fn assert_converged(world: &World, graph: &Graph) {
    let state = world.state();
    let objects = world.cloud.objects();
    let mut by_address: BTreeMap<Address, (&String, &Object)> = BTreeMap::new();
    for (id, object) in &objects {
        let address = address(&object.inputs.tags["address"]);
        assert!(graph.get(&address).is_some(), "`{id}` of `{address}` is an orphan");
        assert!(by_address.insert(address.clone(), (id, object)).is_none(), "`{address}` was made twice");
    }
    for node in graph.nodes() {
        let (id, object) = by_address.get(&node.address).unwrap_or_else(|| panic!("`{}` is missing", node.address));
        let known = |reference: &pinfra_engine::value::Reference| {
            by_address.get(&reference.address).map(|(id, object)| match reference.output.as_str() {
                "arn" => serde_json::json!(format!("arn:{id}")),
                _ => serde_json::json!(object.version),
            })
        };
        let desired: Inputs = serde_json::from_value(resolve(&node.inputs, &known).unwrap()).unwrap();
        assert_eq!(object.inputs, desired, "{}", node.address);
        assert!(object.ready, "`{}` was never settled", node.address);
        let record = &state.resources[&node.address];
        assert_eq!(record.status, Status::Settled);
        assert_eq!(record.id.as_ref(), Some(*id));
        assert_eq!(record.outputs["arn"], serde_json::json!(format!("arn:{id}")));
        assert_eq!(record.outputs["version"], serde_json::json!(object.version));
        assert!(record.needs.iter().eq(graph.needs(&node.address)), "the needs of `{}`", node.address);
    }
    assert_eq!(state.resources.len(), graph.len(), "{:?}", state.resources.keys());
    assert_eq!(state.open, BTreeMap::new(), "nothing is left open");
    let again = world.plan(graph).await.unwrap();
    assert!(again.steps.is_empty() && again.seen.is_empty(), "{again:#?}");
    assert_eq!(again.unchanged, graph.len());
}

/// Nothing is left, neither in the cloud nor in state.
pub(crate) fn assert_empty(world: &World) {
    assert_eq!(world.cloud.objects(), BTreeMap::new());
    let state = world.state();
    assert_eq!((state.resources.len(), state.open.len()), (0, 0), "{state:#?}");
}
