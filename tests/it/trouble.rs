//! Trouble from the cloud over a whole pipeline: a tenth of all calls goes wrong, in each way that calls go wrong on AWS, while
//! the local cloud enforces AWS's request rates. `up` and `down` get through, and nothing is made twice.
//!
//! `PINFRA_TROUBLE_SEEDS=20 cargo test --workspace --test it trouble -- --nocapture` is the whole: so many rounds of each
//! class, with the table that `docs/reliability.md` has. `PINFRA_TROUBLE_FIRST=8` goes on with the ninth seed where a run was
//! ended. Without them there is one round of all classes mixed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chaos::setting;
use crate::interrupted;
use crate::pipeline::{share_packed_program, wait_for};
use crate::support::{Said, Sandbox};

/// What goes wrong, with its rules. `{p}` is the chance in percent.
const CLASSES: [(&str, &str); 8] = [
    ("throttled", "on *:* chance={p}% do throttle"),
    ("error 500", "on *:* chance={p}% do error 500"),
    ("error 503", "on *:* chance={p}% do error 503"),
    ("connection reset", "on *:* chance={p}% do reset"),
    ("answer lost", "on *:* chance={p}% do lose-answer"),
    ("slow", "on *:* chance={p}% do delay 400ms"),
    (
        "conflict",
        "on apigateway:* chance={p}% writes do refuse ConflictException status=409\n\
         on iam:* chance={p}% writes do refuse ConcurrentModification status=409\n\
         on s3:PutBucketTagging chance={p}% do refuse OperationAborted status=409\n\
         on s3:PutBucketPolicy chance={p}% do refuse OperationAborted status=409\n\
         on s3:PutBucketEncryption chance={p}% do refuse OperationAborted status=409",
    ),
    ("all of these", ""),
];

/// The codes of throttles, by which a rate that was exceeded shows beside those that a rule refused.
const THROTTLES: [&str; 6] = [
    "TooManyRequestsException",
    "LimitExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "SlowDown",
];

/// Rounds at the same time; another number by `PINFRA_TROUBLE_LANES`.
const LANES: u64 = 2;

/// What one round came to.
#[derive(Debug, Default)]
struct Round {
    calls: usize,
    troubled: usize,
    duplicates: usize,
    left: usize,
    over_rate: usize,
    up: Duration,
    down: Duration,
}

/// The rules of a round; the same calls meet the same in each round of this seed.
fn rules(class: &str, seed: usize) -> String {
    let of = |text: &str, percent: &str| text.replace("{p}", percent);
    let rules = match CLASSES.iter().find(|(name, _)| *name == class) {
        Some((_, text)) if !text.is_empty() => of(text, "10"),
        // Together a tenth.
        _ => CLASSES.iter().map(|(_, text)| of(text, "1.5")).collect::<Vec<_>>().join("\n"),
    };
    format!("seed {seed}\n{rules}\n")
}

/// Runs the program against AWS's rates, as on AWS.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Said {
    let output = sandbox.command(arguments).env("PINFRA_KEEP_RATES", "1").output().unwrap();
    let said = crate::support::said(&output);
    assert_eq!(said.code, 0, "{arguments:?}\n{}\n{}", said.stdout, said.stderr);
    said
}

async fn round(class: &str, seed: usize) -> Round {
    let (sandbox, stack) = everything(&["--rates"]);
    let stack = stack.as_str();
    sandbox.ok(&["local", "calls", "--reset"]);
    let file = sandbox.write("rules", &rules(class, seed));
    sandbox.ok(&["local", "faults", "set", file.to_str().unwrap()]);
    let mut round = Round::default();

    let since = Instant::now();
    run(&sandbox, &["up", stack]);
    round.up = since.elapsed();
    sandbox.ok(&["local", "faults", "clear"]);
    let there = inventory(&sandbox).await;
    round.duplicates = there.values().filter(|ids| ids.len() > 1).map(|ids| ids.len() - 1).sum();
    let plan = run(&sandbox, &["plan", stack, "--detailed-exitcode"]);
    assert!(plan.stdout.starts_with("no changes"), "{class}: {}", plan.stdout);

    sandbox.ok(&["local", "faults", "set", file.to_str().unwrap()]);
    let since = Instant::now();
    run(&sandbox, &["down", "pinterest"]);
    round.down = since.elapsed();
    sandbox.ok(&["local", "faults", "clear"]);
    round.left = inventory(&sandbox).await.values().map(Vec::len).sum();

    let calls = json_lines(&sandbox.ok(&["local", "calls", "--json"]));
    let is_throttled = |call: &Value| call["code"].as_str().is_some_and(|code| THROTTLES.contains(&code));
    round.calls = calls.len();
    round.troubled = calls.iter().filter(|call| !call["fault"].is_null()).count();
    round.over_rate = calls.iter().filter(|call| is_throttled(call) && call["fault"].is_null()).count();
    round
}

/// The rules with how often each has fired.
fn fired(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let listed = json_lines(&sandbox.ok(&["local", "faults", "list", "--json"])).remove(0);
    let rules = listed["rules"].as_array().unwrap().iter();
    rules.map(|rule| (rule["rule"].as_str().unwrap().to_owned(), rule["fired"].as_u64().unwrap())).collect()
}

fn json_lines(said: &Said) -> Vec<Value> {
    said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything that carries the stack's tags or its name, by what it is for: kind and address, or kind and name.
async fn inventory(sandbox: &Sandbox) -> BTreeMap<String, Vec<String>> {
    let clients = sandbox.clients().await;
    let mut there: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |what: String, id: Option<&str>| there.entry(what).or_default().push(id.unwrap_or("?").to_owned());
    // What has names of its own that are unique cannot be there twice: these are the others, and who holds them.
    let apis = clients.apigateway.get_rest_apis().limit(500).send().await.unwrap();
    for api in apis.items() {
        add(format!("REST API {}", api.name().unwrap_or_default()), api.id());
        let deployments = clients.apigateway.get_deployments().rest_api_id(api.id().unwrap()).send().await.unwrap();
        for deployment in deployments.items() {
            add(format!("deployment {}", api.id().unwrap()), deployment.id());
        }
    }
    let keys = clients.apigateway.get_api_keys().limit(500).send().await.unwrap();
    keys.items().iter().for_each(|key| add(format!("API key {}", key.name().unwrap_or_default()), key.id()));
    let plans = clients.apigateway.get_usage_plans().limit(500).send().await.unwrap();
    plans.items().iter().for_each(|plan| add(format!("usage plan {}", plan.name().unwrap_or_default()), plan.id()));
    let machines = clients.ec2.describe_instances().send().await.unwrap();
    for machine in machines.reservations().iter().flat_map(|reservation| reservation.instances()) {
        let state = machine.state().and_then(|state| state.name()).map(|name| name.as_str().to_owned());
        if !["terminated", "shutting-down"].contains(&state.unwrap_or_default().as_str()) {
            let name =
                machine.tags().iter().find(|tag| tag.key() == Some("pinfra:address")).and_then(|tag| tag.value());
            add(format!("machine {}", name.unwrap_or_default()), machine.instance_id());
        }
    }
    let addresses = clients.ec2.describe_addresses().send().await.unwrap();
    addresses.addresses().iter().for_each(|address| add("address".to_owned(), address.allocation_id()));
    let endpoints = clients.ec2.describe_vpc_endpoints().send().await.unwrap();
    for endpoint in endpoints.vpc_endpoints() {
        add(format!("endpoint {}", endpoint.service_name().unwrap_or_default()), endpoint.vpc_endpoint_id());
    }
    let groups = clients.ec2.describe_security_groups().send().await.unwrap();
    for group in groups.security_groups().iter().filter(|group| group.group_name() != Some("default")) {
        add(format!("security group {}", group.group_name().unwrap_or_default()), group.group_id());
    }
    for name in clients.kinesis.list_streams().send().await.unwrap().stream_names() {
        add(format!("stream {name}"), Some(name));
    }
    let clusters = clients.kafka.list_clusters_v2().send().await.unwrap();
    for cluster in clusters.cluster_info_list() {
        add(format!("cluster {}", cluster.cluster_name().unwrap_or_default()), cluster.cluster_arn());
    }
    let configurations = clients.kafka.list_configurations().send().await.unwrap();
    for configuration in configurations.configurations() {
        add(format!("configuration {}", configuration.name().unwrap_or_default()), configuration.arn());
    }
    let connectors = clients.kafkaconnect.list_connectors().send().await.unwrap();
    for connector in connectors.connectors() {
        add(format!("connector {}", connector.connector_name().unwrap_or_default()), connector.connector_arn());
    }
    let plugins = clients.kafkaconnect.list_custom_plugins().send().await.unwrap();
    for plugin in plugins.custom_plugins() {
        add(format!("plugin {}", plugin.name().unwrap_or_default()), plugin.custom_plugin_arn());
    }
    for bucket in clients.s3.list_buckets().send().await.unwrap().buckets() {
        add(format!("bucket {}", bucket.name().unwrap_or_default()), bucket.name());
    }
    for role in clients.iam.list_roles().path_prefix("/pinfra/").send().await.unwrap().roles() {
        add(format!("role {}", role.role_name()), Some(role.role_name()));
    }
    let profiles = clients.iam.list_instance_profiles().path_prefix("/pinfra/").send().await.unwrap();
    for profile in profiles.instance_profiles() {
        add(format!("instance profile {}", profile.instance_profile_name()), Some(profile.arn()));
    }
    there
}

/// A stack of everything in a sandbox of its own, and a local cloud that was started by name.
fn everything(start: &[&str]) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    share_packed_program(sandbox.folder.path());
    let mut arguments = vec!["local", "start"];
    arguments.extend(start);
    sandbox.ok(&arguments);
    let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/pinterest.yaml");
    (sandbox, stack.to_str().unwrap().to_owned())
}

/// The operations by which a run that nothing disturbs changes something, as the local cloud has logged them.
fn changes_of(sandbox: &Sandbox, arguments: &[&str]) -> BTreeSet<String> {
    sandbox.ok(&["local", "calls", "--reset"]);
    sandbox.ok(arguments);
    let calls = json_lines(&sandbox.ok(&["local", "calls", "--json"]));
    let name = |call: &Value| format!("{}:{}", call["service"].as_str().unwrap(), call["operation"].as_str().unwrap());
    calls.iter().filter(|call| call["mutating"] == true).map(name).collect()
}

/// Plays the same trouble to the first call of each of these.
fn first_of_each(sandbox: &Sandbox, calls: &BTreeSet<String>, act: &str) {
    let rules: Vec<String> = calls.iter().map(|call| format!("on {call} nth=1 do {act}")).collect();
    let file = sandbox.write("rules", &rules.join("\n"));
    sandbox.ok(&["local", "faults", "set", file.to_str().unwrap()]);
}

/// Each rule has fired: the calls that it names are made.
fn all_fired(sandbox: &Sandbox) {
    for (rule, fired) in fired(sandbox) {
        assert_eq!(fired, 1, "{rule}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_that_is_lost_makes_anything_twice_or_leaves_anything() {
    let (sandbox, stack) = everything(&[]);
    let creates = changes_of(&sandbox, &["up", &stack]);
    let deletes = changes_of(&sandbox, &["down", "pinterest"]);
    assert!(creates.len() > 20 && deletes.len() > 15, "{creates:?} {deletes:?}");
    first_of_each(&sandbox, &creates, "lose-answer");
    sandbox.ok(&["up", &stack]);
    all_fired(&sandbox);
    for (what, ids) in inventory(&sandbox).await {
        assert_eq!(ids.len(), 1, "{what}: {ids:?}");
    }
    first_of_each(&sandbox, &deletes, "lose-answer");
    sandbox.ok(&["down", "pinterest"]);
    all_fired(&sandbox);
    assert_eq!(inventory(&sandbox).await, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_late_is_waited_for() {
    // Roles and profiles are new to their consumers, and reads do not see what was just made.
    let (sandbox, stack) = everything(&["--propagation", "4", "--stale", "1500"]);
    sandbox.ok(&["up", &stack]);
    for (what, ids) in inventory(&sandbox).await {
        assert_eq!(ids.len(), 1, "{what}: {ids:?}");
    }
    sandbox.ok(&["down", "pinterest"]);
    assert_eq!(inventory(&sandbox).await, BTreeMap::new());
}

#[test]
fn a_quota_is_told_by_its_name_and_not_asked_for_again() {
    let sandbox = interrupted::sandbox("50");
    let rule = "on kinesis:CreateStream do refuse LimitExceededException \
                message=\"This request would exceed the shard limit for the account\"";
    let file = sandbox.write("rules", rule);
    sandbox.ok(&["local", "faults", "set", file.to_str().unwrap()]);
    let up = sandbox.run(&["up", "pins.yaml"]);
    assert_eq!(up.code, 1, "{}", up.stderr);
    assert!(up.stderr.contains("hint: the quota is \"Shards per Region\" of Kinesis"), "{}", up.stderr);
    assert_eq!(fired(&sandbox)[0].1, u64::try_from(interrupted::STREAMS).unwrap(), "each once");
}

#[tokio::test]
async fn credentials_that_expire_stop_the_run_and_the_next_one_goes_on() {
    let sandbox = interrupted::sandbox("3000");
    let child = interrupted::run_until(&sandbox, &["up", "pins.yaml"], 6);
    let file = sandbox.write("rules", "on *:* do refuse ExpiredTokenException status=400 message=\"it has expired\"");
    sandbox.ok(&["local", "faults", "set", file.to_str().unwrap()]);
    let stopped = crate::support::said(&child.wait_with_output().unwrap());
    assert_eq!(stopped.code, 1, "{}", stopped.stderr);
    let of = |name: &str| interrupted::events(&stopped, name);
    assert_eq!((of("halted").len(), of("step_failed").len()), (1, 0), "{}", stopped.stdout);
    let summary = &of("summary")[0];
    assert!(summary["halted"].as_str().unwrap().contains("ExpiredTokenException"), "{summary}");
    assert!(!summary["under_way"].as_array().unwrap().is_empty(), "{summary}");
    // As long as nobody signs in again, a run says so before it begins.
    let refused = sandbox.run(&["up", "pins.yaml"]);
    assert!(refused.code == 1 && refused.stderr.contains("these credentials have expired"), "{}", refused.stderr);

    sandbox.ok(&["local", "faults", "clear"]);
    sandbox.ok(&["up", "pins.yaml"]);
    assert_eq!(sandbox.streams().await.len(), interrupted::STREAMS);
    sandbox.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
}

#[test]
fn an_interrupt_while_planning_ends_with_a_word() {
    let sandbox = interrupted::sandbox("50");
    let file = sandbox.write("rules", "on kinesis:ListStreams do hang 30s");
    for command in [["up", "pins.yaml"], ["plan", "pins.yaml"]] {
        sandbox.ok(&["local", "faults", "set", file.to_str().unwrap()]);
        let child = sandbox.command(&command).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        wait_for("the call that hangs", || (fired(&sandbox)[0].1 > 0).then_some(()));
        let since = Instant::now();
        let said = interrupted::interrupt(child);
        assert_eq!(said.code, 130, "{command:?}: {}", said.stderr);
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        assert!(said.stderr.contains("interrupted: that was while planning"), "{}", said.stderr);
    }
}

/// A round and what it came to, or what went wrong in it.
type Tried = (usize, Result<Round, String>);

/// The rounds that are still to be gone through, each once. Most of a round is waiting for rates, so several go at a time.
fn go_rounds(todo: &Mutex<VecDeque<(usize, usize)>>, tried: &Mutex<Vec<Tried>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    loop {
        let next = todo.lock().unwrap().pop_front();
        let Some((class, seed)) = next else { return };
        // A round that fails is a line of the table, and the others go on.
        let result = std::panic::catch_unwind(|| runtime.block_on(round(CLASSES[class].0, seed)));
        let result = result.map_err(|_| format!("{}, seed {seed}: see above", CLASSES[class].0));
        let mut tried = tried.lock().unwrap();
        tried.push((class, result));
        // A whole run takes an hour: what is known of it can be looked at, also when it is ended.
        std::fs::write(table_path(), table(&tried)).unwrap();
    }
}

fn table_path() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("trouble.md")
}

/// One line for each class that was tried.
fn table(tried: &[Tried]) -> String {
    let mut table = "| what goes wrong | rounds | calls | gone wrong | converged | duplicates | left after `down` | rates exceeded | `up`, longest | `down`, longest |\n\
                     |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (class, (name, _)) in CLASSES.iter().enumerate() {
        let of_class: Vec<_> = tried.iter().filter(|(of, _)| *of == class).map(|(_, round)| round).collect();
        if of_class.is_empty() {
            continue;
        }
        let rounds: Vec<&Round> = of_class.iter().filter_map(|round| round.as_ref().ok()).collect();
        let sum = |of: fn(&Round) -> usize| rounds.iter().map(|round| of(round)).sum::<usize>();
        let longest = |of: fn(&Round) -> Duration| rounds.iter().map(|round| of(round)).max().unwrap_or_default();
        table.push_str(&format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {:.1} s | {:.1} s |\n",
            of_class.len(),
            sum(|round| round.calls),
            sum(|round| round.troubled),
            rounds.len(),
            sum(|round| round.duplicates),
            sum(|round| round.left),
            sum(|round| round.over_rate),
            longest(|round| round.up).as_secs_f64(),
            longest(|round| round.down).as_secs_f64(),
        ));
    }
    table
}

#[expect(clippy::print_stdout, reason = "the table is what the whole run is for")]
#[test]
fn up_and_down_get_through_trouble() {
    let seeds = std::env::var("PINFRA_TROUBLE_SEEDS").ok().map(|text| text.parse::<usize>().unwrap());
    let mixed = CLASSES.len() - 1;
    let rounds = match seeds {
        Some(seeds) => {
            let first = usize::try_from(setting("PINFRA_TROUBLE_FIRST", 0)).unwrap();
            (first..seeds).flat_map(|seed| (0..CLASSES.len()).map(move |class| (class, seed))).collect()
        }
        None => VecDeque::from([(mixed, 0)]),
    };
    let (todo, tried) = (Mutex::new(rounds), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..setting("PINFRA_TROUBLE_LANES", LANES) {
            scope.spawn(|| go_rounds(&todo, &tried));
        }
    });
    let tried = tried.into_inner().unwrap();
    println!("{}", table(&tried));
    let is_good = |round: &Round| round.duplicates + round.left + round.over_rate == 0;
    let bad: Vec<&Tried> = tried.iter().filter(|(_, round)| !round.as_ref().is_ok_and(is_good)).collect();
    assert!(bad.is_empty(), "{} of {} rounds went wrong: {bad:?}", bad.len(), tried.len());
}
