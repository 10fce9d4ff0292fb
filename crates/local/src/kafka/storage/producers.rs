//! Idempotent producers of one partition: which sequences have been written, so that a retry is not written twice.
//!
//! As in Kafka the last five batches of a producer are remembered, since that many may be in flight. A producer of whom
//! nothing is known may begin with any sequence: its state is forgotten when its batches are long behind, and it has to go
//! on.

use std::collections::{HashMap, VecDeque};

use kafka_protocol::ResponseError;

use super::batch::Header;
use crate::kafka::error::Refused;

/// `max.in.flight.requests.per.connection` of an idempotent producer is 5 at most.
const REMEMBERED: usize = 5;
/// More producers than any stack has in one partition; the one that was idle for longest is forgotten.
const MOST_PRODUCERS: usize = 10_000;

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// It was written before, at this offset.
    Duplicate(i64),
}

/// The producers of a partition, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Written>,
    /// The last offset that it wrote.
    last_offset: i64,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

impl Producers {
    /// Judges a batch that is about to be appended.
    pub(crate) fn judge(&self, batch: &Header) -> Result<Verdict, Refused> {
        if batch.producer_id < 0 {
            return Ok(Verdict::Append);
        }
        let Some(producer) = self.by_id.get(&batch.producer_id) else { return Ok(Verdict::Append) };
        if batch.producer_epoch < producer.epoch {
            let message = format!("producer {} goes on with a newer epoch", batch.producer_id);
            return Err(Refused::new(ResponseError::InvalidProducerEpoch, message));
        }
        let out_of_order = |expected: i32| {
            let message = format!(
                "producer {} sent sequence {} where {expected} is next",
                batch.producer_id, batch.base_sequence
            );
            Err(Refused::new(ResponseError::OutOfOrderSequenceNumber, message))
        };
        if batch.producer_epoch > producer.epoch {
            return if batch.base_sequence == 0 { Ok(Verdict::Append) } else { out_of_order(0) };
        }
        let last_sequence = sequence_after(batch.base_sequence, batch.last_offset_delta);
        let same = |written: &&Written| {
            written.first_sequence == batch.base_sequence && written.last_sequence == last_sequence
        };
        if let Some(written) = producer.batches.iter().find(same) {
            return Ok(Verdict::Duplicate(written.base_offset));
        }
        let Some(last) = producer.batches.back() else { return Ok(Verdict::Append) };
        let next = sequence_after(last.last_sequence, 1);
        if batch.base_sequence == next {
            return Ok(Verdict::Append);
        }
        if batch.base_sequence < next && next - batch.base_sequence < i32::MAX / 2 {
            let message = format!("producer {} sent a batch again that was written long ago", batch.producer_id);
            return Err(Refused::new(ResponseError::DuplicateSequenceNumber, message));
        }
        out_of_order(next)
    }

    /// Remembers a batch that was written at its base offset.
    pub(crate) fn note(&mut self, batch: &Header) {
        if batch.producer_id < 0 {
            return;
        }
        if self.by_id.len() >= MOST_PRODUCERS && !self.by_id.contains_key(&batch.producer_id) {
            let idle = self.by_id.iter().min_by_key(|(_, producer)| producer.last_offset).map(|(id, _)| *id);
            idle.and_then(|id| self.by_id.remove(&id));
        }
        let fresh = || Producer { epoch: batch.producer_epoch, batches: VecDeque::new(), last_offset: 0 };
        let producer = self.by_id.entry(batch.producer_id).or_insert_with(fresh);
        if producer.epoch != batch.producer_epoch {
            producer.epoch = batch.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.last_offset = batch.last_offset();
        producer.batches.push_back(Written {
            first_sequence: batch.base_sequence,
            last_sequence: sequence_after(batch.base_sequence, batch.last_offset_delta),
            base_offset: batch.base_offset,
        });
    }
}

/// Sequences go from 0 to `i32::MAX` and begin again.
fn sequence_after(sequence: i32, steps: i32) -> i32 {
    sequence.checked_add(steps).unwrap_or_else(|| steps - (i32::MAX - sequence) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(epoch: i16, sequence: i32, records: i32, offset: i64) -> Header {
        Header {
            base_offset: offset,
            size: 100,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: sequence,
            records,
        }
    }

    #[test]
    fn retries_are_known_and_gaps_refused() {
        let mut producers = Producers::default();
        for number in 0..8 {
            let written = batch(0, number * 10, 10, i64::from(number) * 10);
            assert_eq!(producers.judge(&written), Ok(Verdict::Append));
            producers.note(&written);
        }
        assert_eq!(producers.judge(&batch(0, 70, 10, 0)), Ok(Verdict::Duplicate(70)));
        assert_eq!(producers.judge(&batch(0, 30, 10, 0)), Ok(Verdict::Duplicate(30)));
        let code = |header: Header| producers.judge(&header).map_err(|refused| refused.code);
        assert_eq!(code(batch(0, 20, 10, 0)), Err(ResponseError::DuplicateSequenceNumber));
        assert_eq!(code(batch(0, 81, 1, 0)), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(code(batch(1, 5, 1, 0)), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(code(batch(1, 0, 1, 0)), Ok(Verdict::Append));
    }

    #[test]
    fn sequences_begin_again_behind_the_largest() {
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
        let mut producers = Producers::default();
        producers.note(&batch(0, i32::MAX - 1, 2, 0));
        assert_eq!(producers.judge(&batch(0, 0, 4, 2)), Ok(Verdict::Append));
    }

    #[test]
    fn an_older_epoch_is_fenced() {
        let mut producers = Producers::default();
        producers.note(&batch(3, 0, 1, 0));
        let refused = producers.judge(&batch(2, 1, 1, 0)).map_err(|refused| refused.code);
        assert_eq!(refused, Err(ResponseError::InvalidProducerEpoch));
    }
}
