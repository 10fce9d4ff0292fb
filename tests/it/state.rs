//! State that somebody or something has damaged, locks, and disks that take no more.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::{STREAMS, Said, Sandbox, said};

const PLAN: &[&str] = &["plan", "streams.yaml", "--detailed-exitcode"];

/// The stack of three streams and a lake, made. The local cloud stays when the stack goes.
fn made() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    sandbox.ok(&["up", "streams.yaml"]);
    sandbox
}

fn folder(sandbox: &Sandbox) -> PathBuf {
    sandbox.folder.path().join(".pinfra/pins")
}

fn edit(sandbox: &Sandbox, name: &str, edit: impl FnOnce(String) -> String) {
    let path = folder(sandbox).join(name);
    fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
}

/// A run that has just told of its first event: it holds the lock.
fn running(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.command(arguments);
    let mut child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    BufReader::new(child.stdout.as_mut().unwrap()).lines().next().unwrap().unwrap();
    child
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn lock_status(sandbox: &Sandbox) -> serde_json::Value {
    serde_json::from_str(&sandbox.ok(&["lock", "status", "pins", "--json"]).stdout).unwrap()
}

/// What somebody does to the text of a file.
type Damage<'a> = &'a dyn Fn(String) -> String;

#[tokio::test]
async fn damaged_state_is_named_and_not_acted_on_and_recovered_from_the_cloud() {
    let sandbox = made();
    let shorter = |text: String| text[..text.len() / 2].to_owned();
    let edited = |text: String| text.replace("\"shards\": 1", "\"shards\": 2");
    let cases: [(&str, Damage<'_>, &str); 3] = [
        ("state.json", &shorter, "it ends in the middle"),
        ("state.json", &edited, "its checksum does not hold"),
        ("journal.ndjson", &|text| text.replace("\"serial\":", "\"serial\":1"), "line 1 does not follow"),
    ];
    for (name, damage, sentence) in cases {
        edit(&sandbox, name, damage);
        let path = folder(&sandbox).join(name);
        let damaged = fs::read(&path).unwrap();
        let before = sandbox.requests();
        for command in [PLAN, &["up", "streams.yaml"], &["down", "pins"], &["status"], &["outputs"]] {
            let said = sandbox.run(command);
            assert_eq!(said.code, 1, "{command:?}: {}", said.stdout);
            assert!(said.stderr.contains(sentence) && said.stderr.contains(name), "{command:?}: {}", said.stderr);
            assert!(said.stderr.contains("pinfra up STACK.yaml --recover"), "{}", said.stderr);
        }
        assert_eq!(sandbox.requests(), before, "nobody was asked anything");
        assert_eq!(fs::read(&path).unwrap(), damaged);

        let up = sandbox.ok(&["up", "streams.yaml", "--recover"]);
        assert!(up.stderr.contains("set aside as"), "{}", up.stderr);
        let aside = fs::read_dir(folder(&sandbox)).unwrap().filter_map(Result::ok).any(|entry| {
            let is_it = entry.file_name().to_string_lossy().starts_with(&format!("{name}.damaged-"));
            is_it && fs::read(entry.path()).unwrap() == damaged
        });
        assert!(aside, "{name} was kept");
        assert_eq!(sandbox.ok(PLAN).stdout, "no changes: 4 resources are as the stack file says\n");
        assert_eq!(sandbox.streams().await.len(), 3);
    }
    let again = sandbox.ok(&["up", "streams.yaml", "--recover"]);
    assert!(again.stderr.contains("there is nothing to recover"), "{}", again.stderr);
    sandbox.ok(&["down", "pins"]);
    assert_eq!(sandbox.streams().await, [""; 0]);
}

#[tokio::test]
async fn what_was_recorded_and_is_in_the_stack_file_no_more_goes_though_state_was_damaged() {
    let sandbox = made();
    edit(&sandbox, "state.json", |_| String::new());
    sandbox.write("streams.yaml", &STREAMS.replace("  user: { key: ind }\n", ""));
    let up = sandbox.ok(&["up", "streams.yaml", "--recover"]);
    assert!(up.stderr.contains("kinesis/stream.user"), "{}", up.stderr);
    assert_eq!(sandbox.streams().await.len(), 2);
    assert_eq!(sandbox.ok(PLAN).stdout, "no changes: 3 resources are as the stack file says\n");
}

#[tokio::test]
async fn a_stack_whose_state_is_damaged_is_taken_down_by_its_file() {
    let sandbox = made();
    let shorter = |text: String| text[..text.len() / 2].to_owned();
    edit(&sandbox, "state.json", shorter);
    let by_name = sandbox.run(&["down", "pins", "--recover"]);
    assert_eq!(by_name.code, 1, "where it lives stands in what is damaged: {}", by_name.stderr);
    assert!(by_name.stderr.contains("pinfra down STACK.yaml --recover"), "{}", by_name.stderr);
    let before = sandbox.requests();
    let without = sandbox.run(&["down", "streams.yaml"]);
    assert_eq!((without.code, sandbox.requests()), (1, before), "{}", without.stderr);
    assert_eq!(sandbox.streams().await.len(), 3);

    // What the file has no more goes as well.
    sandbox.write("streams.yaml", &STREAMS.replace("  user: { key: ind }\n", ""));
    let down = sandbox.ok(&["down", "streams.yaml", "--recover"]);
    assert!(down.stderr.contains("set aside as"), "{}", down.stderr);
    assert_eq!(sandbox.streams().await, [""; 0]);
    assert!(sandbox.clients().await.s3.list_buckets().send().await.unwrap().buckets().is_empty());
    assert!(!sandbox.requests().contains_key("kinesis.AddTagsToStream"), "nothing was adopted");

    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);
    let whole = sandbox.ok(&["down", "streams.yaml", "--recover"]);
    assert!(whole.stderr.contains("there is nothing to recover"), "{}", whole.stderr);
    assert_eq!(sandbox.streams().await, [""; 0]);
}

#[tokio::test]
async fn a_damaged_state_that_says_that_its_stack_lives_elsewhere_is_not_looked_for_here() {
    let sandbox = made();
    edit(&sandbox, "state.json", |text| text.replace("\"us-east-1\"", "\"eu-west-1\""));
    for command in [["down", "streams.yaml", "--recover"], ["up", "streams.yaml", "--recover"]] {
        let refused = sandbox.run(&command);
        assert_eq!(refused.code, 1, "{command:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("lives on `local` in `eu-west-1`"), "{}", refused.stderr);
        assert!(!refused.stderr.contains("set aside"), "{}", refused.stderr);
    }
    assert_eq!(sandbox.streams().await.len(), 3);
    edit(&sandbox, "state.json", |text| text.replace("\"eu-west-1\"", "\"us-east-1\""));
    sandbox.ok(PLAN);
}

#[test]
fn the_state_of_another_stack_and_of_a_newer_program_are_named() {
    let sandbox = made();
    fs::create_dir_all(sandbox.folder.path().join(".pinfra/other")).unwrap();
    for name in ["state.json", "journal.ndjson"] {
        fs::copy(folder(&sandbox).join(name), sandbox.folder.path().join(".pinfra/other").join(name)).unwrap();
    }
    let down = sandbox.run(&["down", "other"]);
    assert_eq!(down.code, 1);
    assert!(down.stderr.contains("it is the state of the stack `pins`, not of `other`"), "{}", down.stderr);
    fs::remove_dir_all(sandbox.folder.path().join(".pinfra/other")).unwrap();

    edit(&sandbox, "state.json", |text| text.replace("\"format\": 2", "\"format\": 3"));
    for command in [PLAN, &["up", "streams.yaml", "--recover"]] {
        let said = sandbox.run(command);
        assert_eq!(said.code, 1);
        assert!(said.stderr.contains("use a newer pinfra"), "{}", said.stderr);
    }
    edit(&sandbox, "state.json", |text| text.replace("\"format\": 3", "\"format\": 2"));
    sandbox.ok(PLAN);
}

#[tokio::test]
async fn of_two_runs_at_once_one_works_and_the_other_is_told_who_does() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start", "--settle-ms", "400"]);
    let mut first = running(&sandbox, &["up", "streams.yaml"]);
    // It shall not be done before the others have tried.
    signal(&first, "STOP");
    for command in [&["up", "streams.yaml"][..], &["up", "streams.yaml", "--recover"], &["down", "streams.yaml"]] {
        let second = sandbox.run(command);
        assert_eq!(second.code, 1);
        let who = format!("(pid {})", first.id());
        assert!(second.stderr.contains("is being changed by `pinfra up`"), "{}", second.stderr);
        assert!(second.stderr.contains(&who), "{}", second.stderr);
    }
    let status = lock_status(&sandbox);
    assert_eq!((&status["life"], &status["pid"]), (&"held".into(), &first.id().into()));
    assert_eq!(status["process_lives"], true);
    let refused = sandbox.run(&["lock", "break", "pins"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("held by `pinfra up`"), "{}", refused.stderr);
    signal(&first, "CONT");
    assert!(first.wait().unwrap().success(), "the first was left alone");
    assert_eq!(lock_status(&sandbox)["life"], "free");
    sandbox.ok(PLAN);
    assert_eq!(sandbox.streams().await.len(), 3);
}

#[tokio::test]
async fn a_run_whose_lock_was_broken_writes_no_more_and_the_next_one_finishes_the_job() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start", "--settle-ms", "1500"]);
    let late = running(&sandbox, &["up", "streams.yaml"]);
    // Stopped, as by Ctrl-Z: it cannot notice before the other one is at work.
    signal(&late, "STOP");
    let broken = sandbox.ok(&["lock", "break", "pins", "--force"]);
    assert!(broken.stderr.contains("warning: its holder is at work"), "{}", broken.stderr);
    let next = running(&sandbox, &["up", "streams.yaml"]);
    signal(&late, "CONT");
    let late = said(&late.wait_with_output().unwrap());
    assert_eq!(late.code, 1, "{}", late.stdout);
    assert!(late.stdout.contains("lost its lock"), "{}", late.stdout);
    let next = said(&next.wait_with_output().unwrap());
    assert_eq!(next.code, 0, "{}", next.stdout);
    assert_eq!(sandbox.ok(PLAN).stdout, "no changes: 4 resources are as the stack file says\n");
    assert_eq!(sandbox.streams().await.len(), 3);
}

#[test]
fn a_holder_that_was_killed_is_none_and_a_damaged_lock_has_a_way_out() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start", "--settle-ms", "400"]);
    let mut killed = running(&sandbox, &["up", "streams.yaml"]);
    killed.kill().unwrap();
    // Nobody has asked yet how it ended: its process is still listed.
    assert_eq!(lock_status(&sandbox)["life"], "dead");
    sandbox.ok(&["up", "streams.yaml"]);
    killed.wait().unwrap();

    edit(&sandbox, "lock.json", |text| text[..20].to_owned());
    let up = sandbox.run(&["up", "streams.yaml"]);
    assert_eq!(up.code, 1);
    assert!(up.stderr.contains("lock.json` is not a lock file"), "{}", up.stderr);
    assert!(up.stderr.contains("pinfra lock break"), "{}", up.stderr);
    assert_eq!(lock_status(&sandbox)["life"], "damaged");
    sandbox.ok(&["lock", "break"]);
    sandbox.ok(&["up", "streams.yaml"]);
    let nobody = sandbox.ok(&["lock", "break", "streams.yaml"]);
    assert!(nobody.stdout.contains("nothing to break"), "{}", nobody.stdout);
}

/// As on a full disk, the journal takes no more: files of this run may not grow beyond so many blocks of 1,024 bytes
/// (`ulimit -f`, setrlimit(2)), and the signal that goes with it is ignored.
#[tokio::test]
async fn a_journal_that_cannot_grow_stops_the_run_and_the_next_one_goes_on() {
    let sandbox = Sandbox::new();
    let tables: String = (0..30).map(|n| format!("  t{n:02}: {{ key: ind }}\n")).collect();
    sandbox.write("many.yaml", &format!("name: pins\ntables:\n{tables}streams: {{ shards: 1 }}\n"));
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    for blocks in ["1", "4", "8"] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let full = through(&sandbox, &script, &["up", "many.yaml", "--parallelism", "4"]);
        assert_eq!(full.code, 1, "with {blocks}: {}", full.stderr);
        assert!(full.stderr.contains("cannot write `.pinfra/pins/"), "{}", full.stderr);
        assert!(full.stderr.contains("File too large"), "{}", full.stderr);
        let left = fs::read_dir(folder(&sandbox)).unwrap().filter_map(Result::ok);
        let left: Vec<_> =
            left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().contains("tmp")).collect();
        assert!(left.is_empty(), "{left:?}");

        sandbox.ok(&["up", "many.yaml"]);
        assert_eq!(sandbox.streams().await.len(), 30);
        sandbox.ok(&["plan", "many.yaml", "--detailed-exitcode"]);
        sandbox.ok(&["down", "pins"]);
        assert_eq!(sandbox.streams().await, [""; 0]);
    }
}

#[test]
fn in_a_folder_that_may_not_be_written_to_everything_can_be_read_and_nothing_is_done() {
    let sandbox = made();
    // Modes do not bind root, who may make a folder read-only for one process.
    let script = "cd .pinfra/pins; if [ $(id -u) = 0 ]; then
            mount --bind . . && mount -o remount,bind,ro \"$PWD\" || exit 77
        else
            chmod a-w . *
        fi; cd ../..; exec \"$@\"";
    let script = format!("if [ $(id -u) = 0 ]; then exec unshare --mount bash -c '{script}' bash \"$@\"; fi; {script}");
    let down = through(&sandbox, &script, &["down", "pins"]);
    if down.code == 77 || down.stderr.contains("unshare failed") {
        return; // This root may not mount.
    }
    assert_eq!(down.code, 1, "{}", down.stderr);
    assert!(down.stderr.contains("cannot write `.pinfra/pins/lock.json`"), "{}", down.stderr);
    assert!(down.stderr.contains("caused by: "), "{}", down.stderr);
    for command in [PLAN, &["lock", "status"], &["outputs"]] {
        let said = through(&sandbox, &script, command);
        assert_eq!(said.code, 0, "{command:?}: {}", said.stderr);
    }
    assert!(Command::new("chmod").args(["-R", "u+w"]).arg(folder(&sandbox)).status().unwrap().success());
    sandbox.ok(PLAN);
    sandbox.ok(&["down", "pins"]);
}

/// Runs the program as `"$@"` of a script.
fn through(sandbox: &Sandbox, script: &str, arguments: &[&str]) -> Said {
    let program = sandbox.command(arguments);
    let mut shell = Command::new("bash");
    shell.args(["-c", script, "bash"]).arg(program.get_program()).args(program.get_args());
    shell.current_dir(sandbox.folder.path()).stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    said(&shell.output().unwrap())
}
