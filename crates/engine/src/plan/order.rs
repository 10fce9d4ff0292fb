//! The order of a plan's steps, as edges between them. All of it takes time linear in steps and edges, but for
//! plans in which removed and replaced resources hang together with what stays.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Step};
use crate::Address;

/// Every address after those that depend on it, each with those of them that it has to wait for.
///
/// Needs that were recorded by several runs, of which some were killed, can go round in a circle, and a hand-edited
/// state's too. Nobody knows then what is within what, so there is no order among these: the cloud refuses to delete
/// what is still used, and each run gets further.
pub(super) fn dependents_first<'a>(
    going: &BTreeSet<&'a Address>,
    dependents: &BTreeMap<&'a Address, Vec<&'a Address>>,
) -> Vec<(&'a Address, Vec<&'a Address>)> {
    let waits_for = |address: &Address| dependents.get(address).into_iter().flatten().copied();
    let mut open: BTreeMap<&Address, usize> = going.iter().map(|at| (*at, waits_for(at).count())).collect();
    let mut needs: BTreeMap<&Address, Vec<&'a Address>> = BTreeMap::new();
    for at in going {
        waits_for(at).for_each(|dependent| needs.entry(dependent).or_default().push(at));
    }
    let mut ready: BTreeSet<&'a Address> = going.iter().filter(|at| open[*at] == 0).copied().collect();
    let mut order = Vec::with_capacity(going.len());
    let mut placed = BTreeSet::new();
    while let Some(at) = ready.pop_first() {
        order.push((at, waits_for(at).collect()));
        placed.insert(at);
        for need in needs.get(at).into_iter().flatten() {
            if let Some(count) = open.get_mut(need) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(need);
                }
            }
        }
    }
    let circle = going.iter().filter(|at| !placed.contains(*at));
    order.extend(circle.map(|at| (*at, waits_for(at).filter(|dependent| placed.contains(dependent)).collect())));
    order
}

/// What stays but was recorded to need a removed resource lets go of it before that is deleted, where no cycle comes
/// of it. `released_by` has, by address, the steps that change what was recorded to need it. Steps must come in the
/// order of their needs, deletes before the rest.
///
/// A cycle can only come of a removed resource that sits in a replaced one, when what stays needs the replacement.
/// So most edges need no search: those to deletes that no replacement waits for, and those from steps that wait for
/// no replacement.
pub(super) fn release_before_delete(steps: &mut [Step], released_by: &BTreeMap<&Address, Vec<usize>>) {
    let first_half = |step: &Step| step.replaces && matches!(step.action, Action::Delete | Action::Forget);
    let replacing = (0..steps.len()).filter(|index| first_half(&steps[*index]));
    let mut awaited = Reach::new(steps.len());
    awaited.walk(steps, replacing.collect(), None);
    let mut waits = vec![false; steps.len()];
    for (index, step) in steps.iter().enumerate() {
        waits[index] = first_half(step) || step.needs.iter().any(|need| waits[*need]);
    }
    let mut search = Reach::new(steps.len());
    for delete in 0..steps.len() {
        if steps[delete].replaces || steps[delete].action != Action::Delete {
            continue;
        }
        for user in released_by.get(&steps[delete].address).into_iter().flatten() {
            let may_reach = awaited.has(delete) && waits[*user];
            if !may_reach || !search.walk(steps, vec![*user], Some(delete)) {
                steps[delete].needs.push(*user);
            }
        }
    }
}

/// The steps that a walk along needs has come to. It can be used again without being cleared.
struct Reach {
    seen_in: Vec<u32>,
    walk: u32,
}

impl Reach {
    fn new(steps: usize) -> Reach {
        Reach { seen_in: vec![0; steps], walk: 0 }
    }

    fn has(&self, step: usize) -> bool {
        self.seen_in[step] == self.walk
    }

    /// Walks from `todo` along needs, and returns whether it has come to `goal`.
    fn walk(&mut self, steps: &[Step], mut todo: Vec<usize>, goal: Option<usize>) -> bool {
        self.walk += 1;
        while let Some(at) = todo.pop() {
            if Some(at) == goal {
                return true;
            }
            if self.seen_in[at] != self.walk {
                self.seen_in[at] = self.walk;
                todo.extend(&steps[at].needs);
            }
        }
        false
    }
}

/// Puts every step after what it needs and renumbers the needs; steps that are in order already stay as they are.
pub(super) fn sort_by_needs(steps: &mut Vec<Step>) {
    let mut order: Vec<usize> = Vec::with_capacity(steps.len());
    let mut placed = vec![false; steps.len()];
    let mut entered = vec![false; steps.len()];
    for start in 0..steps.len() {
        let mut stack = vec![(start, false)];
        while let Some((at, ready)) = stack.pop() {
            if ready {
                placed[at] = true;
                order.push(at);
            } else if !entered[at] {
                entered[at] = true;
                stack.push((at, true));
                stack.extend(steps[at].needs.iter().rev().map(|need| (*need, false)));
            } else {
                debug_assert!(placed[at] || !stack.contains(&(at, true)), "the needs of steps have no cycles");
            }
        }
    }
    let mut new_index = vec![0; steps.len()];
    for (new, old) in order.iter().enumerate() {
        new_index[*old] = new;
    }
    let mut old_steps: Vec<Option<Step>> = std::mem::take(steps).into_iter().map(Some).collect();
    for old in order {
        if let Some(mut step) = old_steps[old].take() {
            step.needs.iter_mut().for_each(|need| *need = new_index[*need]);
            step.needs.sort_unstable();
            step.needs.dedup();
            steps.push(step);
        }
    }
}
