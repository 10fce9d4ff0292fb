//! Cleaner, agent, emulator and local cloud are killed (-9) under load, in an order that follows from a seed.
//!
//! `PINFRA_KILL_ROUNDS` says how many rounds (3), `PINFRA_KILL_SEED` names another order. In every round each of the four
//! is killed once. Between two kills some events come through, or none: then one is killed while another recovers.

use std::time::Instant;

use super::judge::reconciled;
use crate::chaos::{Dice, Victim, kill, progress, setting};
use crate::pipeline::Pipeline;

/// Events a second over all tables.
const RATE: u32 = 60;
/// What has to come through at the end of a round, in every table.
const PROGRESS: u64 = 10;

const VICTIMS: [Victim; 4] =
    [Victim::Worker("cleaner"), Victim::Worker("agent"), Victim::Worker("emulator"), Victim::LocalCloud];

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "how far it got, for people who run many rounds with `--nocapture`")]
async fn nothing_is_lost_or_doubled_though_everybody_is_killed() {
    let (rounds, seed) = (setting("PINFRA_KILL_ROUNDS", 3), setting("PINFRA_KILL_SEED", 1));
    let pipeline = Pipeline::up(Some(&format!("rate: {RATE}")));
    let machine = pipeline.machine();
    let mut dice = Dice(seed);
    let started = Instant::now();
    for round in 1..=rounds {
        let order = dice.shuffled(VICTIMS);
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
