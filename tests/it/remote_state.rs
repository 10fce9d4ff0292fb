//! State in S3: the bucket is one of the local cloud, reached as any SDK program reaches it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use crate::support::{STREAMS, Said, Sandbox, said};

const BUCKET: &str = "team-state";
const PLACE: &str = "s3://team-state/of/us";

/// A folder whose runs keep their state in a bucket.
struct Remote {
    sandbox: Sandbox,
}

impl Remote {
    async fn new(settle_ms: &str) -> Remote {
        let sandbox = Sandbox::new();
        sandbox.write("pins.yaml", STREAMS);
        sandbox.ok(&["local", "start", "--settle-ms", settle_ms]);
        sandbox.clients().await.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        Remote { sandbox }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let endpoint = self.sandbox.connection().endpoint.unwrap();
        let mut command = self.sandbox.command(arguments);
        command.env("AWS_ENDPOINT_URL", endpoint.url).env("AWS_ACCESS_KEY_ID", endpoint.access_key);
        command.env("AWS_SECRET_ACCESS_KEY", endpoint.secret_key).env("PINFRA_STATE", PLACE);
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        said(&self.command(arguments).output().unwrap())
    }

    fn ok(&self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}\n{}\n{}", said.stdout, said.stderr);
        said
    }

    /// A run that has just told of its `events`-th event.
    fn run_until(&self, arguments: &[&str], events: usize) -> Child {
        let mut command = self.command(arguments);
        command.args(["--json", "--parallelism", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.take(events).all(|line| line.is_ok()));
        child
    }

    /// The trouble of the local cloud from now on.
    fn rules(&self, rules: &str) {
        self.sandbox.write("rules", rules);
        self.sandbox.ok(&["local", "faults", "set", "rules"]);
    }

    /// Whether a rule has killed this run. If it has not, the run succeeds.
    fn killed_at(&self, rule: &str, arguments: &[&str]) -> bool {
        self.rules(rule);
        let ended = self.command(arguments).output().unwrap();
        self.sandbox.ok(&["local", "faults", "clear"]);
        let killed = ended.status.signal() == Some(9);
        assert!(killed || ended.status.success(), "{rule}: {:?}", said(&ended));
        killed
    }

    async fn keys(&self) -> BTreeSet<String> {
        let listed = self.sandbox.clients().await.s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
    }
}

#[tokio::test]
async fn a_stack_lives_with_its_state_in_s3() {
    let remote = Remote::new("20").await;
    let none = remote.run(&["status"]);
    assert!(none.stderr.contains("no stack is recorded under `s3://team-state/of/us`"), "{}", none.stderr);
    let up = remote.ok(&["up", "pins.yaml"]);
    assert!(up.stderr.contains("keeps no old versions"), "{}", up.stderr);
    let documents = ["journal.ndjson", "lock.json", "state.json"].map(|name| format!("of/us/pins/{name}"));
    assert_eq!(remote.keys().await, BTreeSet::from(documents));
    assert!(!remote.sandbox.folder.path().join(".pinfra/pins").exists());
    // The stack is found by its name, and by being the only one.
    remote.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
    for stack in [vec![], vec!["pins"], vec!["pins.yaml"]] {
        let outputs = remote.ok(&[vec!["outputs"], stack].concat());
        assert!(outputs.stdout.contains("stream_pin"), "{}", outputs.stdout);
    }
    assert!(remote.ok(&["status", "pins"]).stdout.contains("healthy"));
    // Without the place, nobody knows of it.
    assert!(remote.sandbox.run(&["status", "pins"]).stderr.contains("no stack `pins` is recorded under `.pinfra`"));
    remote.ok(&["down"]);
    assert_eq!(remote.sandbox.streams().await, [""; 0]);
    assert_eq!(remote.run(&["status", "pins"]).code, 1);
}

/// Every write to the bucket may be the last that a run makes, with and without its effect.
#[tokio::test]
async fn after_a_kill_at_any_write_of_state_the_next_run_finishes_the_job() {
    let remote = Remote::new("0").await;
    let moments = ["before", "after", "answered"];
    let (mut killed_ups, mut killed_downs) = (0, 0);
    for point in 1.. {
        let moment = moments[point % moments.len()];
        let rule = format!("on s3:PutObject nth={point} do kill {moment}");
        let up = remote.killed_at(&rule, &["up", "pins.yaml"]);
        remote.ok(&["up", "pins.yaml"]);
        let plan = remote.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
        assert_eq!(plan.stdout, "no changes: 4 resources are as the stack file says\n", "{rule}");
        let down = remote.killed_at(&rule, &["down", "pins"]);
        remote.ok(&["down", "pins.yaml"]);
        assert_eq!(remote.sandbox.streams().await, [""; 0], "{rule}");
        (killed_ups, killed_downs) = (killed_ups + u32::from(up), killed_downs + u32::from(down));
        if !up && !down {
            break;
        }
    }
    assert!(killed_ups > 8 && killed_downs > 8, "{killed_ups} runs of up and {killed_downs} of down were killed");
}

/// Nobody notices anything but time.
#[tokio::test]
async fn trouble_on_the_way_to_state_is_got_over() {
    let remote = Remote::new("0").await;
    for trouble in ["every=3 do lose-answer", "every=3 do reset", "chance=20% do error 503"] {
        remote.rules(&format!("on s3:* {trouble}"));
        remote.ok(&["up", "pins.yaml"]);
        remote.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
        remote.ok(&["down", "pins"]);
        assert_eq!(remote.sandbox.streams().await, [""; 0], "{trouble}");
    }
}

#[tokio::test]
async fn of_two_runs_at_once_one_is_told_who_has_the_stack() {
    let remote = Remote::new("1500").await;
    let first = remote.run_until(&["up", "pins.yaml"], 2);
    let second = remote.run(&["up", "pins.yaml"]);
    assert!(second.code == 1 && second.stderr.contains("is being changed by `pinfra up`"), "{}", second.stderr);
    assert!(second.stderr.contains(&format!("pid {}", first.id())), "{}", second.stderr);
    let first = said(&first.wait_with_output().unwrap());
    assert_eq!(first.code, 0, "{}\n{}", first.stdout, first.stderr);
    remote.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
}

#[tokio::test]
async fn who_was_overtaken_writes_no_more() {
    let remote = Remote::new("1500").await;
    let late = remote.run_until(&["up", "pins.yaml"], 2);
    // What the next holder of the lock does first: its journal replaces the one before.
    let s3 = remote.sandbox.clients().await.s3;
    let (journal, ours) = ("of/us/pins/journal.ndjson", b"the next holder's".to_vec());
    s3.put_object().bucket(BUCKET).key(journal).body(ours.clone().into()).send().await.unwrap();
    let late = said(&late.wait_with_output().unwrap());
    assert!(late.code == 1 && late.stdout.contains("has lost its lock"), "{}\n{}", late.stdout, late.stderr);
    let there = s3.get_object().bucket(BUCKET).key(journal).send().await.unwrap();
    assert_eq!(there.body.collect().await.unwrap().to_vec(), ours);
}

#[tokio::test]
async fn damaged_state_and_locks_have_the_same_ways_out() {
    let remote = Remote::new("20").await;
    remote.ok(&["up", "pins.yaml"]);
    let s3 = remote.sandbox.clients().await.s3;
    for document in ["state.json", "lock.json"] {
        let key = format!("of/us/pins/{document}");
        s3.put_object().bucket(BUCKET).key(key).body(b"{".to_vec().into()).send().await.unwrap();
    }
    let locked = remote.run(&["up", "pins.yaml"]);
    let file = "`s3://team-state/of/us/pins/lock.json` is not a lock file";
    assert!(locked.code == 1 && locked.stderr.contains(file), "{}", locked.stderr);
    remote.ok(&["lock", "break", "pins"]);
    assert!(remote.ok(&["lock", "status"]).stdout.starts_with("pins: free"));
    let damaged = remote.run(&["up", "pins.yaml"]);
    let file = "`s3://team-state/of/us/pins/state.json` is not to be trusted";
    assert!(damaged.code == 1 && damaged.stderr.contains(file), "{}", damaged.stderr);
    remote.ok(&["up", "pins.yaml", "--recover"]);
    remote.ok(&["plan", "pins.yaml", "--detailed-exitcode"]);
    let set_aside = remote.keys().await.into_iter().filter(|key| key.contains(".damaged-")).count();
    assert_eq!(set_aside, 2, "{:?}", remote.keys().await);
}

#[tokio::test]
async fn what_is_wrong_with_the_place_is_said_at_once() {
    let remote = Remote::new("20").await;
    let at = |place: &str| said(&remote.command(&["up", "pins.yaml"]).env("PINFRA_STATE", place).output().unwrap());
    let missing = at("s3://nobody-has-it/x");
    assert!(missing.code == 1 && missing.stderr.contains("there is no bucket `nobody-has-it`"), "{}", missing.stderr);
    assert!(missing.stderr.contains("pinfra does not make buckets for state"), "{}", missing.stderr);
    for place in ["gs://team-state", "s3://Team/x"] {
        assert_eq!(at(place).code, 2, "{place}");
    }
    let mut nobody = remote.command(&["status"]);
    let nobody = said(&nobody.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").output().unwrap());
    assert!(nobody.code == 1 && nobody.stderr.contains("no AWS credentials were found"), "{}", nobody.stderr);
    // `down` empties the lake, and state would go with it.
    remote.ok(&["up", "pins.yaml"]);
    let outputs = remote.ok(&["outputs", "--show", "bucket"]);
    let lake = at(&format!("s3://{}/state", outputs.stdout.trim()));
    assert!(lake.code == 1 && lake.stderr.contains("is the lake of this very stack"), "{}", lake.stderr);
}
