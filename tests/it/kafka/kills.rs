//! Gateway, local cloud (with its brokers and its connector), cleaner, agent and emulator are killed (-9) under load on both
//! paths, in an order that follows from a seed.
//!
//! `PINFRA_KILL_ROUNDS` says how many rounds (2), `PINFRA_KILL_SEED` names another order. In every round each is killed once.
//! In between, batches are cleaned while all of that goes on, and some of those runs are killed as well.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{judge, objects};
use crate::chaos::{Dice, Victim, kill, progress, setting};
use crate::pipeline::{NAME, Pipeline, TABLES, Ways};
use crate::streaming::judge::{reconciled, records};

/// Events a second over all tables, each on both paths.
const RATE: u32 = 40;
/// What has to come through at the end of a round, in every table.
const PROGRESS: u64 = 8;

const VICTIMS: [Victim; 5] = [
    Victim::Worker("gateway"),
    Victim::Worker("cleaner"),
    Victim::Worker("agent"),
    Victim::Worker("emulator"),
    Victim::LocalCloud,
];

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "how far it got, for people who run many rounds with `--nocapture`")]
async fn every_acknowledged_event_is_in_s3_and_none_is_twice_in_a_table() {
    let (rounds, seed) = (setting("PINFRA_KILL_ROUNDS", 2), setting("PINFRA_KILL_SEED", 1));
    let pipeline = Pipeline::with(Ways::Both, Some(&format!("rate: {RATE}")));
    let machine = pipeline.machine();
    let mut dice = Dice(seed);
    let started = Instant::now();
    for round in 1..=rounds {
        let order = dice.shuffled(VICTIMS);
        for victim in order {
            progress(&pipeline, dice.below(2) * (1 + dice.below(15))).await;
            // A cleaning that is killed, or finds its cloud gone, has cleaned what it committed.
            let cleaning = (dice.below(2) == 0).then(|| pipeline.sandbox.start(&["clean", NAME]));
            kill(&pipeline, &machine, victim, &mut dice);
            if let Some(mut cleaning) = cleaning {
                if dice.below(2) == 0 {
                    // It may have ended by itself.
                    let _ = cleaning.kill();
                }
                cleaning.wait().unwrap();
            }
        }
        progress(&pipeline, PROGRESS).await;
        println!("round {round} of {rounds}: {order:?}, after {:?}", started.elapsed());
    }
    // One event has long been posted: the emulator stops where it is.
    pipeline.change(Some(&format!("rate: {RATE}, count: 1")));
    let counts = reconciled(&pipeline).await;

    let clients = pipeline.sandbox.clients().await;
    let bucket = pipeline.output("bucket");
    for table in TABLES {
        let in_stream = records(&clients, &Pipeline::stream(table)).await;
        let in_stream: BTreeSet<String> =
            in_stream.into_iter().map(|record| String::from_utf8(record).unwrap()).collect();
        let in_s3 = objects::stored(&clients, &bucket, table, &in_stream).await;
        assert_eq!(in_s3, in_stream, "{table}: both paths took every event");
    }
    pipeline.sandbox.ok(&["clean", NAME]);
    for table in TABLES {
        let rows = |tables: &str, sql: &str| pipeline.query_from(tables, &sql.replace("TABLE", table));
        let (batch, stream) =
            (rows("batch", "SELECT * FROM TABLE ORDER BY ind"), rows("stream", "SELECT * FROM TABLE ORDER BY ind"));
        assert_eq!(batch, stream, "{table}");
        let keys: BTreeSet<String> = batch.iter().map(|row| row["ind"].to_string()).collect();
        assert_eq!(keys.len(), batch.len(), "{table}: a row is there twice");
        assert!(batch.len() as u64 > rounds * PROGRESS, "{table}: {counts:?}");
    }
    let batch = judge::reconciled(&pipeline);
    println!("{rounds} rounds, seed {seed}, {:?}\nstream: {counts:?}\nbatch: {batch:?}", started.elapsed());
}
