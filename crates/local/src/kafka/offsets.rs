//! What groups have committed. In the store before it is acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::error::{KafkaError, Refused};
use crate::log::lock;
use crate::store::Store;

const OFFSETS: &str = "offsets";

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    /// The next offset to read.
    pub(crate) offset: i64,
    /// Whatever the consumer wrote beside it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) metadata: String,
}

/// Whose offset of what: group, topic, partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key(String, String, i32);

/// All committed offsets of a cluster.
pub(crate) struct Offsets {
    store: Arc<Store>,
    /// Held over a change, so that memory and store see changes in one order.
    changing: Mutex<()>,
    known: RwLock<BTreeMap<Key, Committed>>,
}

impl Offsets {
    /// Reads what was committed.
    pub(crate) fn open(store: Arc<Store>) -> Result<Offsets, KafkaError> {
        let mut known = BTreeMap::new();
        for (key, committed) in store.all::<Committed>(OFFSETS)? {
            if let Ok(key) = serde_json::from_str(&key) {
                known.insert(key, committed);
            }
        }
        Ok(Offsets { store, changing: Mutex::default(), known: RwLock::new(known) })
    }

    /// Commits some: all or none.
    pub(crate) fn commit(&self, group: &str, offsets: Vec<(String, i32, Committed)>) -> Result<(), Refused> {
        let offsets: Vec<(Key, Committed)> = offsets
            .into_iter()
            .map(|(topic, partition, committed)| (Key(group.to_owned(), topic, partition), committed))
            .collect();
        let texts: Vec<String> = offsets.iter().map(|(key, _)| text(key)).collect();
        let changes: Vec<(&str, Option<&Committed>)> =
            texts.iter().zip(&offsets).map(|(text, (_, committed))| (text.as_str(), Some(committed))).collect();
        let _changing = lock(&self.changing);
        self.store.apply(OFFSETS, &changes)?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).extend(offsets);
        Ok(())
    }

    /// What a group has committed for a partition.
    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<Committed> {
        let key = Key(group.to_owned(), topic.to_owned(), partition);
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// All that a group has committed, topic by topic.
    pub(crate) fn of_group(&self, group: &str) -> Vec<(String, i32, Committed)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let from = Key(group.to_owned(), String::new(), i32::MIN);
        let of_group = known.range(from..).take_while(|(key, _)| key.0 == group);
        of_group.map(|(key, committed)| (key.1.clone(), key.2, committed.clone())).collect()
    }

    /// Groups that have committed anything.
    pub(crate) fn groups(&self) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = known.keys().map(|key| key.0.clone()).collect();
        names.dedup();
        names
    }

    /// Forgets a group's offsets.
    pub(crate) fn delete_group(&self, group: &str) -> Result<(), Refused> {
        self.delete(|key| key.0 == group)
    }

    /// Forgets what all groups have committed for a topic.
    pub(crate) fn delete_topic(&self, topic: &str) -> Result<(), Refused> {
        self.delete(|key| key.1 == topic)
    }

    fn delete(&self, which: impl Fn(&Key) -> bool) -> Result<(), Refused> {
        let _changing = lock(&self.changing);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let texts: Vec<String> = known.keys().filter(|key| which(key)).map(text).collect();
        drop(known);
        if texts.is_empty() {
            return Ok(());
        }
        let changes: Vec<(&str, Option<&Committed>)> = texts.iter().map(|text| (text.as_str(), None)).collect();
        self.store.apply(OFFSETS, &changes)?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|key, _| !which(key));
        Ok(())
    }
}

fn text(key: &Key) -> String {
    serde_json::to_string(key).expect("two texts and a number are JSON")
}
