//! Kills (-9) under load, in an order that follows from a seed.

use std::time::Instant;

use pinfra_workers::config::Heartbeat;

use crate::pipeline::{LIMIT, Machine, Pipeline, TABLES, signal, wait_for};

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Victim {
    Worker(&'static str),
    LocalCloud,
}

/// A number from the environment.
pub(crate) fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |value| value.parse().unwrap())
}

/// Small numbers that follow from a seed (Knuth's linear congruential generator).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub(crate) fn shuffled<const N: usize>(&mut self, mut order: [Victim; N]) -> [Victim; N] {
        for at in (1..order.len()).rev() {
            order.swap(at, usize::try_from(self.below(at as u64 + 1)).unwrap());
        }
        order
    }
}

/// Kills it. The local cloud is brought back.
pub(crate) fn kill(pipeline: &Pipeline, machine: &Machine, victim: Victim, dice: &mut Dice) {
    match victim {
        Victim::Worker(worker) => {
            // Somebody else's recovery may end it between the look and the kill.
            wait_for("somebody to kill", || signal(machine.process(worker), "KILL").then_some(()));
        }
        Victim::LocalCloud => {
            let server = pipeline.sandbox.server()["pid"].clone();
            assert!(signal(&server, "KILL"));
            wait_for("its end", || (!signal(&server, "0")).then_some(()));
            // Either brings it back, and its machines with it.
            if dice.below(2) == 0 {
                pipeline.sandbox.ok(&["local", "start"]);
            } else {
                pipeline.sandbox.ok(&["up", "stack.yaml"]);
            }
        }
    }
}

/// Waits until the cleaner has read so many more events of every table.
pub(crate) async fn progress(pipeline: &Pipeline, events: u64) {
    let clients = pipeline.sandbox.clients().await;
    let bucket = pipeline.output("bucket");
    let key = format!("_pinfra/agents/{}/heartbeat.json", pipeline.output("client_instance"));
    let until = Instant::now() + LIMIT;
    let mut first: Option<[u64; 3]> = None;
    let mut last = None;
    if events == 0 {
        return;
    }
    loop {
        if let Ok(answer) = clients.s3.get_object().bucket(&bucket).key(&key).send().await {
            let body = answer.body.collect().await.unwrap().to_vec();
            let heartbeat: Heartbeat = serde_json::from_slice(&body).unwrap();
            if let Some(read) = read(&heartbeat) {
                let before = *first.get_or_insert(read);
                if read.iter().zip(before).all(|(now, before)| *now >= before + events) {
                    return;
                }
            }
            last = Some(heartbeat);
        }
        assert!(Instant::now() < until, "nothing comes through: {last:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// What the cleaner has read of each table, when it says so.
fn read(heartbeat: &Heartbeat) -> Option<[u64; 3]> {
    let counters = &heartbeat.workers.get("cleaner")?.report.as_ref()?.counters;
    let mut read = [0; 3];
    for (table, read) in TABLES.iter().zip(&mut read) {
        *read = *counters.get(*table)?.get("read")?;
    }
    Some(read)
}
