//! The local cloud under sixteen clients, killed (-9) in the middle of it again and again: what it has acknowledged is
//! there, and of those who write on a condition one wins.
//!
//! The clients are the AWS SDK without its retries, each with connections of its own, so that every answer, and every
//! answer that never came, is accounted for. A write that was not answered may have happened or not, but not in part.

mod objects;
mod records;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::support::Sandbox;

/// Of either kind.
const WRITERS: usize = 8;
const KILLS: usize = 3;
/// What each writer gets acknowledged before the next kill.
const BETWEEN_KILLS: u64 = 8;
/// Far more than it takes: a hang shall fail the test, not hold it.
const DEADLINE: Duration = Duration::from_secs(40);

/// What the writers are told about the server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Up,
    Down,
    Over,
}

/// What a writer and the one who kills know of each other.
#[derive(Clone)]
struct Load {
    writer: usize,
    phase: watch::Receiver<Phase>,
    progress: Arc<watch::Sender<Vec<u64>>>,
}

impl Load {
    /// Waits while the server is down; false once there is enough.
    async fn goes_on(&mut self) -> bool {
        *self.phase.wait_for(|phase| *phase != Phase::Down).await.unwrap() == Phase::Up
    }

    /// A write of this writer was acknowledged.
    fn acknowledged(&self) {
        self.progress.send_modify(|counts| counts[self.writer] += 1);
    }
}

/// The local cloud as a child of this test.
struct Server {
    child: Child,
    /// Kept open: the server would not survive a write to a closed one.
    _stderr: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

impl Server {
    /// Returns once it listens.
    async fn start(sandbox: &Sandbox) -> Server {
        let arguments = ["local", "start", "--foreground", "--no-limits", "--settle-ms", "0"];
        let mut command = Command::from(sandbox.command(&arguments));
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = tokio::time::timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap();
        assert!(line.as_ref().is_some_and(|line| line.starts_with("the local cloud runs at ")), "{line:?}");
        Server { child, _stderr: lines }
    }

    /// SIGKILL to the very process that serves.
    async fn kill(mut self, sandbox: &Sandbox) {
        assert_eq!(sandbox.server()["pid"].as_u64(), self.child.id().map(u64::from));
        self.child.kill().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_when_the_local_cloud_is_killed_under_load() {
    let sandbox = Sandbox::new();
    let mut server = Server::start(&sandbox).await;
    let endpoint = sandbox.server()["endpoint"].clone();
    let clients = sandbox.clients().await;
    records::prepare(&clients).await;
    objects::prepare(&clients).await;

    let (phase, heard) = watch::channel(Phase::Up);
    let progress = Arc::new(watch::Sender::new(vec![0; 2 * WRITERS]));
    let load = |writer: usize| Load { writer, phase: heard.clone(), progress: Arc::clone(&progress) };
    let target = objects::Target::default();
    let (mut of_records, mut of_objects) = (Vec::new(), Vec::new());
    for writer in 0..WRITERS {
        let clients = sandbox.clients().await;
        of_records.push(tokio::spawn(records::write(clients, writer, load(writer))));
        let clients = sandbox.clients().await;
        of_objects.push(tokio::spawn(objects::write(clients, writer, load(WRITERS + writer), target.clone())));
    }

    for _ in 0..KILLS {
        everybody_gets_on(&progress).await;
        phase.send_replace(Phase::Down);
        server.kill(&sandbox).await;
        server = Server::start(&sandbox).await;
        assert_eq!(sandbox.server()["endpoint"], endpoint, "clients find it where it was");
        phase.send_replace(Phase::Up);
    }
    everybody_gets_on(&progress).await;
    phase.send_replace(Phase::Over);

    let mut written = records::Written::default();
    for writer in of_records {
        written.add(writer.await.unwrap());
    }
    let mut outcomes = Vec::new();
    for writer in of_objects {
        outcomes.push(writer.await.unwrap());
    }
    let clients = sandbox.clients().await;
    records::judge(&clients, written).await;
    objects::judge(&clients, &outcomes).await;
}

/// Waits until every writer has had so many more writes acknowledged: the load is real when the kill comes.
async fn everybody_gets_on(progress: &watch::Sender<Vec<u64>>) {
    let before = progress.borrow().clone();
    let mut counts = progress.subscribe();
    let enough = |counts: &Vec<u64>| counts.iter().zip(&before).all(|(now, before)| now - before >= BETWEEN_KILLS);
    let waited = tokio::time::timeout(DEADLINE, counts.wait_for(enough)).await;
    assert!(waited.is_ok(), "somebody is stuck: {before:?}, now {:?}", progress.borrow());
}

/// Bytes that only this write has: who wrote them, its how manieth write it was, and a filler that follows from both,
/// so that a torn or mixed value is seen.
fn bytes_of(writer: usize, number: u64, most: u64) -> Vec<u8> {
    let mut state = (writer as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let length = next() % most;
    let mut bytes = format!("{writer} {number} ").into_bytes();
    bytes.extend((0..length).map(|_| next().to_le_bytes()[0]));
    bytes
}

/// Who wrote these bytes, and when; fails unless they are exactly what was sent.
fn origin(bytes: &[u8], most: u64) -> (usize, u64) {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    let mut words = head.split(' ');
    let writer = words.next().unwrap().parse().unwrap();
    let number = words.next().unwrap().parse().unwrap();
    assert!(bytes == bytes_of(writer, number, most), "write {number} of writer {writer} is torn");
    (writer, number)
}
