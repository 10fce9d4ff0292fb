//! The stack that is killed, as three files that follow each other, and its neighbour of a like name.
//!
//! The second file changes what can be changed in place and adds what can be added; the third one takes back what cannot be
//! taken back in place, so that a cluster, its topics, its connector, a stage and a machine are replaced, and leaves things
//! out. Together they have every kind that a stack file can ask for.

use std::io::Write;

use crate::support::Sandbox;

/// The name of the stack.
pub(super) const NAME: &str = "pins";
/// The file of the stack that stands beside it all the time.
pub(super) const NEIGHBOUR: &str = "neighbour.yaml";

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ you@host\n";
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGZIBNGEX2OYdKoEsD4kwFCBBsgjcFfXAHTmGNJqQVF you@host\n";

/// How much of the pipeline is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All but the workers, their program and the address of the gateway's machine: nobody has to wait for processes.
    Bare,
    /// All of it.
    Whole,
}

/// Writes the three files, the neighbour's, and what they name.
pub(super) fn write(sandbox: &Sandbox, extent: Extent) {
    sandbox.write("one.pub", KEY);
    sandbox.write("other.pub", OTHER_KEY);
    let mut archive = zip::ZipWriter::new(std::fs::File::create(sandbox.folder.path().join("other.zip")).unwrap());
    archive.start_file("sink/README", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(b"another version of the sink\n").unwrap();
    archive.finish().unwrap();
    sandbox.write("first.yaml", &first(extent));
    sandbox.write("second.yaml", &second(extent));
    sandbox.write("third.yaml", &third(extent));
    sandbox.write(
        NEIGHBOUR,
        "name: pins-two
tables: { pin: { key: index } }
cluster: { brokers: 2, partitions: 1 }
api: { stage: prod, auth: key }
streams: { shards: 1 }
lake: {}
",
    );
}

fn first(extent: Extent) -> String {
    let workers = workers(extent, 2, 1000);
    format!(
        "name: {NAME}
tags: {{ team: data }}
tables: {{ pin: {{ key: index }}, geo: {{ key: ind }} }}
cluster: {{ kafka_version: 3.6.0, brokers: 2, instance: kafka.t3.small, storage_gib: 10, partitions: 1 }}
client: {{ instance: t3.small, key: one.pub, ssh_from: [203.0.113.0/24] }}
connector: {{ flush_size: 7, rotate_seconds: 2 }}
api: {{ stage: prod, auth: key }}
streams: {{ shards: 1, retention_hours: 24, encryption: none }}
lake: {{}}
{workers}"
    )
}

/// Everything that goes in place, and a table more.
fn second(extent: Extent) -> String {
    let workers = workers(extent, 3, 500);
    format!(
        "name: {NAME}
tags: {{ team: web }}
tables: {{ pin: {{ key: index }}, geo: {{ key: ind }}, user: {{ key: ind }} }}
cluster: {{ kafka_version: 3.8.x, brokers: 2, instance: kafka.m5.large, storage_gib: 20, partitions: 2 }}
client: {{ instance: t3.medium, key: one.pub, ssh_from: [203.0.113.0/24, 198.51.100.0/24] }}
connector: {{ flush_size: 9, rotate_seconds: 2, mcu: 2, plugin: other.zip }}
api: {{ stage: prod, auth: key, admin: true }}
streams: {{ shards: 2, retention_hours: 48, encryption: aws }}
lake: {{ versioning: true, noncurrent_days: 3, expire_days: 30 }}
{workers}"
    )
}

/// What no update leads back to, and a table less.
fn third(extent: Extent) -> String {
    let workers = workers(extent, 2, 1000);
    format!(
        "name: {NAME}
tags: {{ team: data }}
tables: {{ pin: {{ key: index }}, user: {{ key: ind }} }}
cluster: {{ kafka_version: 3.6.0, brokers: 2, instance: kafka.t3.small, storage_gib: 10, partitions: 1 }}
client: {{ instance: t3.small, key: other.pub, ssh_from: [203.0.113.0/24] }}
connector: {{ flush_size: 7, rotate_seconds: 2 }}
api: {{ stage: live, auth: key }}
streams: {{ mode: on_demand, retention_hours: 24, encryption: none }}
lake: {{}}
{workers}"
    )
}

fn workers(extent: Extent, rate: u32, commit_ms: u32) -> String {
    match extent {
        Extent::Bare => String::new(),
        Extent::Whole => format!(
            "workers:
  emulator: {{ rate: {rate} }}
  gateway: {{ port: 8082 }}
  cleaner: {{ streaming: true, schedule: \"0 12 * * *\", commit_ms: {commit_ms} }}
"
        ),
    }
}
