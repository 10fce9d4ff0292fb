//! Cleaner, agent, emulator and local cloud are killed (-9) under load, in an order that follows from a seed.
//!
//! `PINFRA_KILL_ROUNDS` says how many rounds (3), `PINFRA_KILL_SEED` names another order. In every round each of the four
//! is killed once. Between two kills some events come through, or none: then one is killed while another recovers.

use std::time::Instant;

use pinfra_workers::config::Heartbeat;

use super::judge::reconciled;
use super::pipeline::{Machine, Pipeline, TABLES, signal, wait_for};

/// Events a second over all tables.
const RATE: u32 = 60;
/// What has to come through at the end of a round, in every table.
const PROGRESS: u64 = 10;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Worker(&'static str),
    LocalCloud,
}

const VICTIMS: [Victim; 4] =
    [Victim::Worker("cleaner"), Victim::Worker("agent"), Victim::Worker("emulator"), Victim::LocalCloud];

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |value| value.parse().unwrap())
}

/// Small numbers that follow from a seed (Knuth's linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn shuffled(&mut self) -> [Victim; 4] {
        let mut order = VICTIMS;
        for at in (1..order.len()).rev() {
            order.swap(at, usize::try_from(self.below(at as u64 + 1)).unwrap());
        }
        order
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "how far it got, for people who run many rounds with `--nocapture`")]
async fn nothing_is_lost_or_doubled_though_everybody_is_killed() {
    let (rounds, seed) = (setting("PINFRA_KILL_ROUNDS", 3), setting("PINFRA_KILL_SEED", 1));
    let pipeline = Pipeline::up(Some(&format!("rate: {RATE}")));
    let machine = pipeline.machine();
    let mut dice = Dice(seed);
    let started = Instant::now();
    for round in 1..=rounds {
        let order = dice.shuffled();
        for victim in order {
            progress(&pipeline, dice.below(2) * (1 + dice.below(20))).await;
            kill(&pipeline, &machine, victim, &mut dice);
        }
        progress(&pipeline, PROGRESS).await;
        println!("round {round} of {rounds}: {order:?}, after {:?}", started.elapsed());
    }
    // One event has long been posted: the emulator stops where it is.
    pipeline.change(Some(&format!("rate: {RATE}, count: 1")));
    let counts = reconciled(&pipeline).await;
    println!("{rounds} rounds, seed {seed}, {:?}: {counts:?}", started.elapsed());
    assert!(counts.values().all(|counts| counts["rows"] > rounds * PROGRESS), "{counts:?}");
}

fn kill(pipeline: &Pipeline, machine: &Machine, victim: Victim, dice: &mut Dice) {
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
async fn progress(pipeline: &Pipeline, events: u64) {
    let clients = pipeline.sandbox.clients().await;
    let bucket = pipeline.output("bucket");
    let key = format!("_pinfra/agents/{}/heartbeat.json", pipeline.output("client_instance"));
    let until = Instant::now() + super::pipeline::LIMIT;
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
