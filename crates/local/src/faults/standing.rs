//! The rules that stand, with their counters, and what a call meets by them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::Called;
use super::parse::Rules;
use super::rule::{Act, Chance, Rule};

/// A rule and how often it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandingRule {
    /// As it may be written.
    pub rule: String,
    /// How many calls it concerned.
    pub matched: u64,
    /// To how many of them it did something.
    pub fired: u64,
}

/// What a call meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Before anything else.
    pub(crate) delay: Option<Duration>,
    /// Never a delay.
    pub(crate) act: Option<Act>,
}

/// The rules that stand.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Whether there are any: all that a call reads when there are none.
    any: AtomicBool,
    rules: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    /// What chances are drawn from.
    seed: u64,
    rules: Vec<Count>,
}

#[derive(Debug)]
struct Count {
    rule: Rule,
    matched: u64,
    fired: u64,
}

impl Standing {
    /// Replaces them; returns how many there are.
    pub(super) fn set(&self, rules: Rules) -> usize {
        let counted = rules.rules.into_iter().map(|rule| Count { rule, matched: 0, fired: 0 }).collect();
        let mut standing = self.lock();
        *standing = Counted { seed: rules.seed.unwrap_or_else(rand::random), rules: counted };
        self.any.store(!standing.rules.is_empty(), Ordering::Release);
        standing.rules.len()
    }

    pub(super) fn list(&self) -> Vec<StandingRule> {
        let standing = self.lock();
        let shown =
            |count: &Count| StandingRule { rule: count.rule.to_string(), matched: count.matched, fired: count.fired };
        standing.rules.iter().map(shown).collect()
    }

    /// Counts the call for every rule that concerns it. Delays add up; the first other rule that fires decides.
    pub(super) fn turn(&self, called: &Called<'_>) -> Turn {
        let mut turn = Turn::default();
        if !self.any.load(Ordering::Acquire) {
            return turn;
        }
        let mut standing = self.lock();
        let seed = standing.seed;
        for (place, count) in (0_u64..).zip(standing.rules.iter_mut()) {
            if !count.rule.matches(called) {
                continue;
            }
            count.matched += 1;
            let is_delay = matches!(count.rule.act, Act::Delay(_));
            if (turn.act.is_some() && !is_delay) || !fires(count, seed, place) {
                continue;
            }
            count.fired += 1;
            match &count.rule.act {
                Act::Delay(time) => turn.delay = Some(turn.delay.unwrap_or_default() + *time),
                act => turn.act = Some(act.clone()),
            }
        }
        turn
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the call that was just counted is one to do something to.
fn fires(count: &Count, seed: u64, place: u64) -> bool {
    let when = &count.rule.when;
    when.nth.is_none_or(|nth| count.matched == nth)
        && when.every.is_none_or(|every| count.matched % every == 0)
        && when.times.is_none_or(|times| count.fired < times)
        && when.chance.is_none_or(|chance| drawn(chance, seed, place, count.matched))
}

/// The same seed draws the same for the same call of the same rule, whatever happens to others.
fn drawn(chance: Chance, seed: u64, place: u64, matched: u64) -> bool {
    mixed(mixed(mixed(seed) ^ place) ^ matched) % 10_000 < u64::from(chance.0)
}

/// The output function of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
fn mixed(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    const CREATE: Called<'_> = Called { service: "kafka", operation: "CreateCluster", mutating: true, role: None };
    const LIST: Called<'_> = Called { service: "kafka", operation: "ListClusters", mutating: false, role: None };

    fn standing(text: &str) -> Standing {
        let standing = Standing::default();
        standing.set(parse(text).unwrap());
        standing
    }

    /// Which of the first calls meet an act.
    fn met(standing: &Standing, called: &Called<'_>, calls: usize) -> Vec<usize> {
        (1..=calls).filter(|_| standing.turn(called).act.is_some()).collect()
    }

    #[test]
    fn conditions_count_matching_calls_and_all_have_to_hold() {
        let one = standing("on kafka:CreateCluster nth=3 do reset");
        assert!(met(&one, &LIST, 3).is_empty());
        assert_eq!(met(&one, &CREATE, 9), [3]);
        assert_eq!(met(&standing("on kafka:* every=2 times=2 do reset"), &CREATE, 9), [2, 4]);
        assert!(met(&standing("on *:* reads do reset"), &CREATE, 3).is_empty());
        assert_eq!(met(&standing("on *:* writes do reset"), &CREATE, 2), [1, 2]);
        assert!(met(&standing("on kinesis:* do reset"), &CREATE, 2).is_empty());
    }

    #[test]
    fn roles_are_left_alone_unless_they_are_meant() {
        let worker = Called { role: Some("cleaner"), ..CREATE };
        assert!(met(&standing("on *:* do reset"), &worker, 2).is_empty());
        assert_eq!(met(&standing("on *:* do reset by=any"), &worker, 2), [1, 2]);
    }

    #[test]
    fn delays_add_up_and_the_first_other_rule_decides() {
        let rules = standing(
            "on *:* do delay 1s\non kafka:* nth=1 do throttle\non *:* do reset\non *:* do delay 500ms\non s3:* do reset",
        );
        let turn = rules.turn(&CREATE);
        assert_eq!(turn, Turn { delay: Some(Duration::from_millis(1500)), act: Some(Act::Throttle) });
        assert_eq!(rules.turn(&CREATE).act, Some(Act::Reset));
        let counts: Vec<_> = rules.list().iter().map(|rule| (rule.matched, rule.fired)).collect();
        assert_eq!(counts, [(2, 2), (2, 1), (2, 1), (2, 2), (0, 0)]);
        rules.set(Rules::default());
        assert_eq!(rules.turn(&CREATE), Turn::default());
    }

    #[test]
    fn a_chance_is_the_same_for_the_same_seed_and_about_as_said() {
        let first = met(&standing("seed 7\non *:* chance=10% do reset"), &CREATE, 10_000);
        assert!((900..1100).contains(&first.len()), "{}", first.len());
        assert_eq!(first, met(&standing("seed 7\non *:* chance=10% do reset"), &CREATE, 10_000));
        assert_ne!(first, met(&standing("seed 8\non *:* chance=10% do reset"), &CREATE, 10_000));
        assert_eq!(met(&standing("on *:* chance=100% do reset"), &CREATE, 100).len(), 100);
    }
}
