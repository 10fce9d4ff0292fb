//! Which step may start next: the one with the longest chain still waiting behind it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Items numbered from 0, with what each costs and which others must have succeeded before it.
#[derive(Debug)]
pub struct Queue {
    waiting_for: Vec<usize>,
    wanted_by: Vec<Vec<usize>>,
    chain: Vec<Duration>,
    ready: BinaryHeap<(Duration, Reverse<usize>)>,
    ended: Vec<bool>,
}

impl Queue {
    /// A queue of `items`: the cost of each and the numbers of those it needs. Needs must be free of cycles; an
    /// item in a cycle never becomes ready.
    pub fn new(items: &[(Duration, &[usize])]) -> Queue {
        let mut wanted_by: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
        for (item, (_, needs)) in items.iter().enumerate() {
            for need in *needs {
                wanted_by[*need].push(item);
            }
        }
        let chain = chains(items, &wanted_by);
        let waiting_for: Vec<usize> = items.iter().map(|(_, needs)| needs.len()).collect();
        let ready = (0..items.len()).filter(|n| waiting_for[*n] == 0).map(|n| (chain[n], Reverse(n))).collect();
        Queue { waiting_for, wanted_by, chain, ready, ended: vec![false; items.len()] }
    }

    /// The next item to start, if one is ready.
    pub fn pop(&mut self) -> Option<usize> {
        self.ready.pop().map(|(_, Reverse(item))| item)
    }

    /// `item` has ended well: what waited for it alone is ready now.
    pub fn succeed(&mut self, item: usize) {
        self.ended[item] = true;
        for waiting in &self.wanted_by[item] {
            self.waiting_for[*waiting] -= 1;
            if self.waiting_for[*waiting] == 0 {
                self.ready.push((self.chain[*waiting], Reverse(*waiting)));
            }
        }
    }

    /// `item` has failed: everything that needs it, directly or not, is returned and will never be ready.
    pub fn fail(&mut self, item: usize) -> Vec<usize> {
        self.ended[item] = true;
        let (mut blocked, mut todo) = (Vec::new(), vec![item]);
        while let Some(at) = todo.pop() {
            for waiting in &self.wanted_by[at] {
                if !self.ended[*waiting] {
                    self.ended[*waiting] = true;
                    blocked.push(*waiting);
                    todo.push(*waiting);
                }
            }
        }
        blocked.sort_unstable();
        blocked
    }
}

/// For each item its own cost and the dearest chain of items behind it: each is worked out once all that want it are.
fn chains(items: &[(Duration, &[usize])], wanted_by: &[Vec<usize>]) -> Vec<Duration> {
    let mut chain: Vec<Duration> = vec![Duration::ZERO; items.len()];
    let mut open: Vec<usize> = wanted_by.iter().map(Vec::len).collect();
    let mut todo: Vec<usize> = (0..items.len()).filter(|item| open[*item] == 0).collect();
    while let Some(item) = todo.pop() {
        // Until now it held the dearest chain behind the item.
        chain[item] += items[item].0;
        for need in items[item].1 {
            chain[*need] = chain[*need].max(chain[item]);
            open[*need] -= 1;
            if open[*need] == 0 {
                todo.push(*need);
            }
        }
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_longest_remaining_chain_starts_first() {
        // 0 is short but 2, which is long, waits for it; 1 is alone.
        let mut queue = Queue::new(&[(seconds(1), &[]), (seconds(5), &[]), (seconds(9), &[0])]);
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(0), Some(1), None));
        queue.succeed(0);
        assert_eq!(queue.pop(), Some(2));
    }

    #[test]
    fn a_failure_blocks_its_dependents_and_nothing_else() {
        let mut queue = Queue::new(&[(seconds(1), &[]), (seconds(1), &[0]), (seconds(1), &[1]), (seconds(1), &[])]);
        assert_eq!(queue.pop(), Some(0));
        assert_eq!(queue.fail(0), [1, 2]);
        assert_eq!((queue.pop(), queue.pop()), (Some(3), None));
    }

    #[test]
    fn an_item_waits_for_all_it_needs() {
        let mut queue = Queue::new(&[(seconds(1), &[]), (seconds(1), &[]), (seconds(1), &[0, 1])]);
        queue.pop();
        queue.pop();
        queue.succeed(1);
        assert_eq!(queue.pop(), None);
        queue.succeed(0);
        assert_eq!(queue.pop(), Some(2));
    }
}
