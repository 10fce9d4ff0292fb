//! The journals of a real `up` and a real `down` of the whole pipeline, cut off: from the state that is left the next run
//! converges. What the cut took away has happened in the cloud all the same, and is recorded nowhere.
//!
//! A sample runs by default; `PINFRA_JOURNAL_PREFIXES=all` cuts at every line's end and in the middle of each line. That every
//! single byte-prefix replays is tested in the engine, with journals that this test has recorded.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pinfra_aws::{catalog, claims};

use crate::pipeline::share_packed_program;
use crate::support::Sandbox;

const UP: &[&str] = &["up", "stacks/pinterest.yaml"];
const DOWN: &[&str] = &["down", "stacks/pinterest.yaml"];
const PLAN: &[&str] = &["plan", "stacks/pinterest.yaml", "--detailed-exitcode"];

/// A run's journal, and the snapshot that it began with.
struct Recorded {
    snapshot: Vec<u8>,
    journal: Vec<u8>,
}

fn state(sandbox: &Sandbox) -> PathBuf {
    sandbox.folder.path().join(".pinfra/pinterest")
}

/// Runs the program and keeps its journal, which the end of the run replaces: a second name keeps the file.
fn record(sandbox: &Sandbox, arguments: &[&str]) -> Recorded {
    let kept = sandbox.folder.path().join(format!("{}.ndjson", arguments[0]));
    let mut child = sandbox.command(arguments).arg("--json").stdout(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    // Of the first step it tells once the journal is there that the step was recorded in.
    assert!(events.by_ref().any(|line| line.unwrap().contains(r#""event":"step_started""#)));
    fs::hard_link(state(sandbox).join("journal.ndjson"), &kept).unwrap();
    let snapshot = fs::read(state(sandbox).join("state.json")).unwrap();
    events.for_each(|line| drop(line.unwrap()));
    assert!(child.wait().unwrap().success());
    let journal = fs::read(kept).unwrap();
    let serial = |text: &[u8]| {
        let line = text.split(|byte| *byte == b'\n').find(|line| line.windows(8).any(|eight| eight == b"\"serial\""));
        let line = String::from_utf8(line.unwrap().to_vec()).unwrap();
        line.split_once("\"serial\":").unwrap().1.trim_start().split([',', '}']).next().unwrap().to_owned()
    };
    assert_eq!(serial(&snapshot), serial(&journal), "they belong together");
    if let Ok(folder) = std::env::var("PINFRA_RECORD_JOURNALS") {
        let folder = Path::new(&folder).join(arguments[0]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("state.json"), &snapshot).unwrap();
        fs::write(folder.join("journal.ndjson"), &journal).unwrap();
    }
    Recorded { snapshot, journal }
}

/// Where the journal is cut off: at ends of lines and within lines.
fn cuts(journal: &[u8], sample: usize) -> Vec<usize> {
    let ends: Vec<usize> =
        journal.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let within = ends.windows(2).map(|two| two[0].midpoint(two[1]));
    let mut cuts: Vec<usize> = std::iter::once(0).chain(ends.iter().copied()).chain(within).collect();
    cuts.sort_unstable();
    if std::env::var("PINFRA_JOURNAL_PREFIXES").is_ok_and(|which| which == "all") {
        return cuts;
    }
    (0..sample).map(|n| cuts[n * (cuts.len() - 1) / (sample - 1)]).collect()
}

fn set_back(sandbox: &Sandbox, recorded: &Recorded, cut: usize) {
    fs::write(state(sandbox).join("state.json"), &recorded.snapshot).unwrap();
    fs::write(state(sandbox).join("journal.ndjson"), &recorded.journal[..cut]).unwrap();
}

/// What carries the stack's tags: addresses and ids.
async fn tagged(sandbox: &Sandbox) -> BTreeSet<(String, String)> {
    let clients = sandbox.clients().await;
    let tagged = claims::owned_by(&clients, &catalog(&clients), "pinterest").await.unwrap().found;
    tagged.into_iter().map(|(address, id)| (address.to_string(), id)).collect()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "how many were tried, for people who run it with `--nocapture`")]
async fn from_every_prefix_of_a_real_journal_the_next_run_converges() {
    let sandbox = Sandbox::new();
    share_packed_program(sandbox.folder.path());
    for folder in ["stacks", "templates"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        std::os::unix::fs::symlink(from, sandbox.folder.path().join(folder)).unwrap();
    }
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    let up = record(&sandbox, UP);
    let there = tagged(&sandbox).await;
    assert!(there.len() > 20, "{there:?}");
    let mut tried = [0, 0];
    for cut in cuts(&up.journal, 3) {
        set_back(&sandbox, &up, cut);
        sandbox.ok(UP);
        sandbox.ok(PLAN);
        assert_eq!(tagged(&sandbox).await, there, "cut off after {cut} bytes");
        tried[0] += 1;
    }
    let down = record(&sandbox, DOWN);
    assert_eq!(tagged(&sandbox).await, BTreeSet::new());
    for cut in cuts(&down.journal, 3) {
        set_back(&sandbox, &down, cut);
        sandbox.ok(DOWN);
        assert_eq!(tagged(&sandbox).await, BTreeSet::new(), "cut off after {cut} bytes");
        let left = sandbox.run(DOWN);
        assert!(left.stderr.contains("nothing to destroy"), "{}", left.stderr);
        tried[1] += 1;
    }
    let [up, down] = tried;
    println!("journal prefixes tried: {up} of `up`, {down} of `down`; converged: all");
}
