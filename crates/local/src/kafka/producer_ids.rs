//! Ids for idempotent producers, none given twice also over restarts: the store holds the end of the block in use.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::error::Refused;
use crate::log::lock;
use crate::store::Store;

/// As many as Kafka's controller gives a broker at once.
const BLOCK: i64 = 1_000;
const TABLE: &str = "producer_ids";
const KEY: &str = "next_block";

/// Gives ids to producers.
pub(crate) struct ProducerIds {
    store: Arc<Store>,
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    pub(crate) fn new(store: Arc<Store>) -> ProducerIds {
        ProducerIds { store, block: Mutex::new(0..0) }
    }

    /// An id that nobody has had.
    pub(crate) fn next(&self) -> Result<i64, Refused> {
        let mut block = lock(&self.block);
        if block.is_empty() {
            let kept = self.store.all::<i64>(TABLE)?;
            let start = kept.first().map_or(0, |(_, end)| *end);
            self.store.put(TABLE, KEY, &(start + BLOCK))?;
            *block = start..start + BLOCK;
        }
        block.next().ok_or_else(|| {
            Refused::new(kafka_protocol::ResponseError::UnknownServerError, "there are no producer ids left")
        })
    }
}
