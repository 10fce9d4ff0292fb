//! A small pipeline: a stack file, the local cloud and the machine that it lives on, and ways to look at it.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Sandbox;

/// The stack's name, which its streams begin with.
pub(crate) const NAME: &str = "pins";
/// Its tables, each with the field that identifies a row of the cleaned table.
pub(crate) const TABLES: [&str; 3] = ["geo", "pin", "user"];
/// Far more than anything takes on two busy cores: a hang shall fail the test, not hold it.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Which ways events have.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Ways {
    /// Through Kinesis.
    Stream,
    /// Through Kafka and S3.
    Batch,
    /// Both of them.
    Both,
}

/// A stack that has been made, in a sandbox of its own.
pub(crate) struct Pipeline {
    /// Where it lives.
    pub(crate) sandbox: Sandbox,
    /// How long its events may take to be where they should.
    pub(crate) limit: Duration,
    ways: Ways,
}

impl Pipeline {
    /// Makes the streaming path, with an emulator of these settings or none.
    pub(crate) fn up(emulator: Option<&str>) -> Pipeline {
        Pipeline::with(Ways::Stream, emulator)
    }

    /// Makes these ways for events, with an emulator of these settings or none.
    pub(crate) fn with(ways: Ways, emulator: Option<&str>) -> Pipeline {
        let pipeline = Pipeline { sandbox: Sandbox::new(), limit: LIMIT, ways };
        share_packed_program(pipeline.sandbox.folder.path());
        pipeline.change(emulator);
        pipeline
    }

    /// Writes its stack file anew, runs `up`, and returns what that said.
    pub(crate) fn change(&self, emulator: Option<&str>) -> String {
        self.write(emulator);
        let said = self.sandbox.ok(&["up", "stack.yaml"]);
        assert!(said.stdout.contains("probe delivered in "), "{}\n{}", said.stdout, said.stderr);
        said.stdout + &said.stderr
    }

    /// Writes its stack file.
    pub(crate) fn write(&self, emulator: Option<&str>) {
        let emulator = emulator.map(|settings| format!("  emulator: {{ {settings} }}\n")).unwrap_or_default();
        let streams = if self.ways == Ways::Batch { "" } else { "streams: { shards: 1 }\n" };
        let (kafka, gateway) = match self.ways {
            Ways::Stream => ("", ""),
            // Of odd numbers, so that files end in the middle, by count and by time.
            _ => (
                "cluster: { partitions: 2 }\nconnector: { flush_size: 7, rotate_seconds: 2 }\n",
                "  gateway: { port: 8082 }\n",
            ),
        };
        let cleaner = match self.ways {
            Ways::Batch => "{ streaming: false, schedule: \"0 12 * * *\" }",
            _ => "{ streaming: true }",
        };
        let text = format!(
            "name: {NAME}
tables: {{ pin: {{ key: index }}, geo: {{ key: ind }}, user: {{ key: ind }} }}
{streams}{kafka}api: {{ stage: prod, auth: key }}
lake: {{}}
client: {{ instance: t3.small }}
workers:
{emulator}{gateway}  cleaner: {cleaner}
"
        );
        self.sandbox.write("stack.yaml", &text);
    }

    /// What `status --json` says, healthy or not.
    pub(crate) fn status(&self) -> Value {
        let said = self.sandbox.run(&["status", NAME, "--json"]);
        let last = said.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|_| panic!("{}\n{}", said.stdout, said.stderr))
    }

    /// Asks for the status until it is so.
    pub(crate) fn status_when(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + self.limit;
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(Instant::now() < until, "not {what}: {status:#}");
        }
    }

    /// The rows of an answer.
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        self.query_from("stream", sql)
    }

    /// The rows of an answer of the tables of this path.
    pub(crate) fn query_from(&self, tables: &str, sql: &str) -> Vec<Value> {
        let said = self.sandbox.ok(&["query", NAME, "--from", tables, "--sql", sql, "--format", "json"]);
        serde_json::from_str(&said.stdout).unwrap()
    }

    /// The number that is the answer.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        let rows = self.query(sql);
        rows[0].as_object().unwrap().values().next().unwrap().as_u64().unwrap()
    }

    /// An output by its name, secret or not.
    pub(crate) fn output(&self, name: &str) -> String {
        self.sandbox.ok(&["outputs", NAME, "--show", name]).stdout.trim().to_owned()
    }

    /// The Kinesis stream of a table.
    pub(crate) fn stream(table: &str) -> String {
        format!("{NAME}-{table}")
    }

    /// The worker processes of the machine.
    pub(crate) fn machine(&self) -> Machine {
        Machine { instance: self.output("client_instance") }
    }
}

/// Packing the program takes seconds, and all pipelines deploy the same one.
pub(crate) fn share_packed_program(folder: &Path) {
    let shared = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("packed-program");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::create_dir_all(folder.join(".pinfra")).unwrap();
    std::os::unix::fs::symlink(shared, folder.join(".pinfra/_program")).unwrap();
}

/// The processes of an instance of the local cloud.
pub(crate) struct Machine {
    /// Its id, which all its processes have in their environment.
    pub(crate) instance: String,
}

impl Machine {
    /// The processes that are there, with their arguments.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let marker = format!("PINFRA_INSTANCE={}", self.instance);
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
            if environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes()) {
                let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                found.push((pid, String::from_utf8_lossy(&arguments).replace('\0', " ")));
            }
        }
        found
    }

    /// Waits for the process that runs this worker, or `agent`.
    pub(crate) fn process(&self, worker: &str) -> u32 {
        let role = format!(" worker {worker} ");
        let found = || self.processes().into_iter().find(|(_, arguments)| arguments.contains(&role));
        wait_for(&format!("a process of the {worker}"), || found().map(|(pid, _)| pid))
    }
}

/// Sends a signal to a process, which may have ended in between.
pub(crate) fn signal(pid: impl Display, name: &str) -> bool {
    Command::new("kill").args(["-s", name, &pid.to_string()]).output().unwrap().status.success()
}

/// Looks again and again until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One HTTP request as `curl -X` makes it. Returns status and body.
pub(crate) fn http(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // Who refuses a body need not read it to its end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
