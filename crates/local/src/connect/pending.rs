//! What of a task is to be stored and committed next: pure.
//!
//! Objects that follow from their records alone are stored together, whatever number of them is whole: written once more
//! after a kill they are the same. Where the clock has a say ([`Plan::is_repeatable`]) they would not be, and an object
//! that nobody writes again would hold records that others hold too. So a partition's objects are then stored one after
//! the other, each committed before the next: what a kill leaves uncommitted begins at the committed offset, has its name
//! from that, and is overwritten under it, however many records it has then.
//!
//! [`Plan::is_repeatable`]: super::writer::Plan::is_repeatable

use std::collections::VecDeque;

use super::writer::{Object, Whole};

/// Objects to store together, in any order, and the offsets to commit once all of them are.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) objects: Vec<Object>,
    pub(super) offsets: Vec<(String, i32, i64)>,
}

/// What has become whole, by partition.
#[derive(Debug, Default)]
pub(super) struct Pending {
    partitions: VecDeque<Partition>,
    bytes: usize,
}

#[derive(Debug)]
struct Partition {
    topic: String,
    id: i32,
    whole: VecDeque<Whole>,
    /// What to commit after the last of them.
    read_to: Option<i64>,
}

impl Pending {
    /// Adds what one reading of a partition came to. `read_to`: the next offset to read, when no object is open: what was
    /// left out behind the last object is not read again.
    pub(super) fn add(&mut self, topic: &str, partition: i32, whole: Vec<Whole>, read_to: Option<i64>) {
        if whole.is_empty() && read_to.is_none() {
            return;
        }
        let objects = whole.iter().flat_map(|whole| &whole.objects);
        self.bytes += objects.map(|object| object.body.in_memory() + object.key.len()).sum::<usize>();
        self.partitions.push_back(Partition { topic: topic.to_owned(), id: partition, whole: whole.into(), read_to });
    }

    /// What it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What to do next; `None` when nothing is left. All at once where objects are `repeatable`, otherwise the next of
    /// each partition.
    pub(super) fn next(&mut self, repeatable: bool) -> Option<Step> {
        let mut step = Step::default();
        for _ in 0..self.partitions.len() {
            let Some(mut partition) = self.partitions.pop_front() else { break };
            let count = if repeatable { partition.whole.len() } else { partition.whole.len().min(1) };
            let mut commit = None;
            for whole in partition.whole.drain(..count) {
                commit = Some(whole.commit);
                step.objects.extend(whole.objects);
            }
            if partition.whole.is_empty() {
                commit = partition.read_to.or(commit);
            }
            step.offsets.extend(commit.map(|commit| (partition.topic.clone(), partition.id, commit)));
            if !partition.whole.is_empty() {
                self.partitions.push_back(partition);
            }
        }
        (!step.offsets.is_empty()).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::spool::Spooled;
    use super::*;

    fn whole(key: &str, commit: i64) -> Whole {
        let body = Spooled::Memory(Bytes::from_static(b"0\n"));
        Whole { objects: vec![Object { key: key.to_owned(), body }], commit }
    }

    /// Keys that are stored, and the offsets that are committed then.
    type Stored = (Vec<String>, Vec<(String, i32, i64)>);

    fn steps(repeatable: bool) -> Vec<Stored> {
        let mut pending = Pending::default();
        pending.add("a", 0, vec![whole("a+0+0", 2), whole("a+0+2", 4)], Some(5));
        pending.add("a", 1, vec![whole("a+1+0", 3)], None);
        pending.add("a", 2, Vec::new(), Some(7));
        pending.add("a", 3, Vec::new(), None);
        assert_eq!(pending.bytes(), 3 * 7);
        let mut steps = Vec::new();
        while let Some(step) = pending.next(repeatable) {
            steps.push((step.objects.into_iter().map(|object| object.key).collect(), step.offsets));
        }
        steps
    }

    #[test]
    fn what_may_come_out_otherwise_is_committed_one_by_one() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let at = |partition, offset| ("a".to_owned(), partition, offset);
        let together = (keys(&["a+0+0", "a+0+2", "a+1+0"]), vec![at(0, 5), at(1, 3), at(2, 7)]);
        assert_eq!(steps(true), [together]);
        let first = (keys(&["a+0+0", "a+1+0"]), vec![at(0, 2), at(1, 3), at(2, 7)]);
        assert_eq!(steps(false), [first, (keys(&["a+0+2"]), vec![at(0, 5)])]);
    }
}
