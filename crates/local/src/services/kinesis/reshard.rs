//! Splitting and merging, on the stored description alone.
//!
//! What holds before and after each step: the open shards cover all hash keys without overlap, and a shard has at most
//! two parents, whose sequence numbers are all smaller than its own.

use super::document::{ShardDocument, StreamDocument, seconds};
use super::hash_key;

/// Closes the open shard `number` and opens two: one up to `second_start`, one from there on.
///
/// The caller has checked that `second_start` lies inside the shard and is not its first hash key.
pub(super) fn split(stream: &mut StreamDocument, number: u32, second_start: u128, now: i64) -> Option<(u32, u32)> {
    let parent = close(stream, number, now)?;
    let left = open(stream, (parent.first_hash, second_start - 1), &parent, None, now);
    let right = open(stream, (second_start, parent.last_hash), &parent, None, now);
    Some((left, right))
}

/// Closes two neighbours, `left` with the lower hash keys, and opens one in their place. `parent` is the one the caller
/// named first; the other becomes the adjacent parent.
pub(super) fn merge(stream: &mut StreamDocument, parent: u32, adjacent: u32, now: i64) -> Option<u32> {
    let parent = close(stream, parent, now)?;
    let adjacent = close(stream, adjacent, now)?;
    let range = (parent.first_hash.min(adjacent.first_hash), parent.last_hash.max(adjacent.last_hash));
    Some(open(stream, range, &parent, Some(&adjacent), now))
}

/// Brings the stream to `target` shards of equal width.
///
/// As AWS does, it splits and merges; on the way there may be shards that are closed as soon as they are made. First it
/// splits wherever a border is missing, then it merges what lies between two borders, from left to right.
pub(super) fn scale_uniformly(stream: &mut StreamDocument, target: u32, now: i64) {
    for border in (1..target).map(|number| hash_key::uniform_start(number, target)) {
        let cut = stream.open_shards().find(|shard| shard.first_hash < border && border <= shard.last_hash);
        if let Some(number) = cut.map(|shard| shard.number) {
            split(stream, number, border, now);
        }
    }
    let mut open: Vec<(u128, u32)> = stream.open_shards().map(|shard| (shard.first_hash, shard.number)).collect();
    open.sort_unstable();
    let mut next = open.into_iter().peekable();
    for number in 0..target {
        let Some((_, mut merged)) = next.next() else { return };
        let behind = (number + 1 < target).then(|| hash_key::uniform_start(number + 1, target));
        while let Some((_, neighbour)) = next.next_if(|(first, _)| behind.is_none_or(|border| *first < border)) {
            let Some(wider) = merge(stream, merged, neighbour, now) else { return };
            merged = wider;
        }
    }
}

fn close(stream: &mut StreamDocument, number: u32, now: i64) -> Option<ShardDocument> {
    let shard = stream.shards.iter_mut().find(|shard| shard.number == number && shard.closed_at.is_none())?;
    shard.closed_at = Some(now);
    Some(shard.clone())
}

fn open(
    stream: &mut StreamDocument,
    (first_hash, last_hash): (u128, u128),
    parent: &ShardDocument,
    adjacent: Option<&ShardDocument>,
    now: i64,
) -> u32 {
    let number = stream.next_shard;
    stream.next_shard += 1;
    let parents_epoch = adjacent.map_or(0, |shard| shard.epoch_seconds).max(parent.epoch_seconds);
    stream.shards.push(ShardDocument {
        number,
        created_at: now,
        epoch_seconds: seconds(now).max(parents_epoch + 1),
        first_hash,
        last_hash,
        parent: Some(parent.number),
        adjacent_parent: adjacent.map(|shard| shard.number),
        closed_at: None,
    });
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn stream(shards: u32) -> StreamDocument {
        let mut stream: StreamDocument = serde_json::from_value(json!({
            "id": "1", "name": "s", "region": "r", "account": "a", "created_at": 1_790_000_000_000_i64,
            "on_demand": false, "scatter": false, "retention_hours": 24, "dropped_before": 0,
            "max_record_kib": 1024, "key_id": null, "metrics": [], "tags": {}, "shards": [], "next_shard": 0,
            "change": null, "scalings": [], "mode_changes": [], "encryption_starts": [], "encryption_stops": [],
        }))
        .unwrap();
        stream.add_uniform_shards(shards);
        stream
    }

    fn check(stream: &StreamDocument) {
        let mut open: Vec<&ShardDocument> = stream.open_shards().collect();
        open.sort_by_key(|shard| shard.first_hash);
        assert_eq!(open.first().map(|shard| shard.first_hash), Some(0));
        assert_eq!(open.last().map(|shard| shard.last_hash), Some(u128::MAX));
        for pair in open.windows(2) {
            assert_eq!(pair[0].last_hash + 1, pair[1].first_hash);
        }
        for shard in &stream.shards {
            assert!(shard.first_hash <= shard.last_hash);
            for parent in [shard.parent, shard.adjacent_parent].into_iter().flatten() {
                let parent = stream.shard(parent).unwrap();
                assert!(parent.closed_at.is_some() && parent.epoch_seconds < shard.epoch_seconds);
                assert!(parent.first_hash <= shard.last_hash && shard.first_hash <= parent.last_hash);
            }
        }
    }

    proptest! {
        #[test]
        fn hash_keys_stay_covered_whatever_is_split_merged_and_scaled(
            shards in 1_u32..6,
            steps in prop::collection::vec((0_u8..3, any::<prop::sample::Index>(), any::<u128>()), 0..25),
        ) {
            let mut stream = stream(shards);
            for (step, choice, hash) in steps {
                let mut open: Vec<ShardDocument> = stream.open_shards().cloned().collect();
                open.sort_by_key(|shard| shard.first_hash);
                let shard = choice.get(&open).clone();
                let now = stream.created_at;
                match step {
                    0 if shard.last_hash > shard.first_hash => {
                        let inside = shard.first_hash + 1 + hash % (shard.last_hash - shard.first_hash);
                        split(&mut stream, shard.number, inside, now);
                    }
                    1 => {
                        if let Some(right) = open.iter().find(|other| shard.last_hash < other.first_hash) {
                            merge(&mut stream, shard.number, right.number, now);
                        }
                    }
                    _ => {
                        let target = 1 + (hash % 12) as u32;
                        scale_uniformly(&mut stream, target, now);
                        let mut starts: Vec<u128> = stream.open_shards().map(|shard| shard.first_hash).collect();
                        starts.sort_unstable();
                        let expected: Vec<u128> =
                            (0..target).map(|number| hash_key::uniform_start(number, target)).collect();
                        prop_assert_eq!(starts, expected);
                    }
                }
                check(&stream);
            }
        }
    }

    #[test]
    fn doubling_and_halving_take_one_step_a_shard() {
        let mut stream = stream(2);
        let now = stream.created_at;
        scale_uniformly(&mut stream, 4, now);
        assert_eq!(stream.shards.len(), 6);
        scale_uniformly(&mut stream, 2, now);
        assert_eq!(stream.shards.len(), 8);
        scale_uniformly(&mut stream, 2, now);
        assert_eq!(stream.shards.len(), 8);
    }
}
