//! A stream while the process runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::document::{Status, StreamDocument};
use super::errors;
use super::shard::Shard;
use crate::log::FileHandles;
use crate::wire::error::ApiError;

/// One stream. Its view is replaced as a whole, so whoever has one sees a consistent stream and waits for nobody.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u128,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    handles: Arc<FileHandles>,
    /// Held from reading a view that is to be changed until the changed one is stored and published.
    pub(super) control: Mutex<()>,
    view: RwLock<Arc<View>>,
}

/// A stream at one moment.
#[derive(Debug)]
pub(super) struct View {
    pub(super) document: StreamDocument,
    pub(super) shards: BTreeMap<u32, Arc<Shard>>,
    /// Open shards by their first hash key, ascending.
    open: Vec<(u128, Arc<Shard>)>,
}

impl Stream {
    pub(super) fn new(document: StreamDocument, folder: PathBuf, handles: &Arc<FileHandles>, now: i64) -> Stream {
        let empty = View { document: document.clone(), shards: BTreeMap::new(), open: Vec::new() };
        let stream = Stream {
            id: document.id,
            region: document.region.clone(),
            name: document.name.clone(),
            folder,
            handles: Arc::clone(handles),
            control: Mutex::new(()),
            view: RwLock::new(Arc::new(empty)),
        };
        stream.publish(document, now);
        stream
    }

    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a stored description the current one. Returns the shards that are in it no more.
    pub(super) fn publish(&self, document: StreamDocument, now: i64) -> Vec<Arc<Shard>> {
        let before = self.view();
        let mut shards = BTreeMap::new();
        let mut open = Vec::new();
        for shard in &document.shards {
            let live = before.shards.get(&shard.number).cloned().unwrap_or_else(|| {
                let folder = self.folder.join(format!("{:012}", shard.number));
                Arc::new(Shard::new(shard, folder, &self.handles, now))
            });
            if shard.closed_at.is_none() {
                open.push((shard.first_hash, Arc::clone(&live)));
            }
            shards.insert(shard.number, live);
        }
        open.sort_unstable_by_key(|(first_hash, _)| *first_hash);
        let gone = before.shards.values().filter(|shard| !shards.contains_key(&shard.number)).cloned().collect();
        let view = View { document, shards, open };
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        gone
    }
}

impl View {
    /// The open shard that takes records with this hash key.
    pub(super) fn shard_for(&self, hash: u128) -> Option<&Arc<Shard>> {
        let after = self.open.partition_point(|(first_hash, _)| *first_hash <= hash);
        self.open.get(after.checked_sub(1)?).map(|(_, shard)| shard)
    }

    pub(super) fn open_shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.open.iter().map(|(_, shard)| shard)
    }

    /// Refuses what may only be done to a stream that is at rest.
    pub(super) fn must_be_active(&self, now: i64) -> Result<(), ApiError> {
        let document = &self.document;
        match document.status(now) {
            Some(Status::Active) => Ok(()),
            None => Err(errors::stream_not_found(&document.name, &document.account)),
            Some(status) => Err(errors::in_use(format!(
                "Stream {} under account {} not ACTIVE, instead in state {}",
                document.name,
                document.account,
                status.name()
            ))),
        }
    }

    /// Refuses records while there is no stream yet. One that is updated or deleted goes on taking and giving them.
    pub(super) fn must_have_shards(&self, now: i64) -> Result<(), ApiError> {
        match self.document.status(now) {
            Some(Status::Active | Status::Updating | Status::Deleting) => Ok(()),
            Some(Status::Creating) | None => Err(errors::stream_not_found(&self.document.name, &self.document.account)),
        }
    }
}
