//! All streams: finding them, storing a change of one, making and removing them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::background::Job;
use super::document::{Change, Status, StreamDocument};
use super::seal::Seal;
use super::stream::{Stream, View};
use super::{KinesisOpenError, errors, input, sweep};
use crate::clock::Clock;
use crate::log::{FileHandles, lock};
use crate::services::Call;
use crate::settings::Settings;
use crate::store::Store;
use crate::wire::error::ApiError;

const STREAMS: &str = "streams";
const KEYS: &str = "keys";
const TOKEN_KEY: &str = "tokens";
/// Of the 1,024 file descriptors that a process commonly may have, the rest is for connections.
const OPEN_SEGMENTS: usize = 400;
/// "CreateStream", API reference: no more than five streams in the state CREATING at any time.
const MOST_BEING_MADE: usize = 5;

/// Everything the operations work on.
pub(super) struct Streams {
    pub(super) clock: Clock,
    pub(super) seal: Seal,
    pub(super) jobs: Sender<Job>,
    /// Whether shards refuse what is over their throughput.
    pub(super) limits: bool,
    /// Whether the rates of the control plane are kept, the number of streams that are being made among them.
    rates: bool,
    settle_millis: i64,
    store: Store,
    folder: PathBuf,
    handles: Arc<FileHandles>,
    table: RwLock<Table>,
    /// Held while a stream comes into being or goes, so that a name has one stream.
    births_and_deaths: Mutex<()>,
}

#[derive(Default)]
struct Table {
    by_region: HashMap<String, BTreeMap<String, Arc<Stream>>>,
    by_id: HashMap<u128, Arc<Stream>>,
}

#[derive(Serialize, Deserialize)]
struct TokenKey {
    hex: String,
}

impl Streams {
    pub(super) fn open(
        data_dir: &Path,
        clock: Clock,
        settings: &Settings,
        jobs: Sender<Job>,
    ) -> Result<Streams, KinesisOpenError> {
        let folder = data_dir.join("kinesis");
        let failed = |source| KinesisOpenError::Folder { path: folder.clone(), source };
        std::fs::create_dir_all(folder.join("streams")).map_err(failed)?;
        let store = Store::open(&folder.join("streams.redb"))?;
        let streams = Streams {
            seal: Seal::new(&token_key(&store)?),
            clock,
            jobs,
            limits: settings.limits,
            rates: settings.rates,
            settle_millis: i64::try_from(settings.settle.as_millis()).unwrap_or(i64::MAX / 4),
            folder: folder.clone(),
            handles: FileHandles::new(OPEN_SEGMENTS),
            table: RwLock::default(),
            births_and_deaths: Mutex::new(()),
            store,
        };
        let now = streams.clock.now_millis();
        for (_, document) in streams.store.all::<StreamDocument>(STREAMS)? {
            streams.insert(streams.live(document, now));
        }
        streams.remove_orphans().map_err(failed)?;
        Ok(streams)
    }

    /// The stream that a request names by `StreamName`, `StreamARN` or both.
    pub(super) fn find(&self, call: &Call, request: &Value) -> Result<Arc<Stream>, ApiError> {
        let name = input::text(request, "StreamName");
        match (name, input::text(request, "StreamARN")) {
            (Some(name), None) => self.find_by_name(call, name),
            (None, Some(arn)) => self.find_by_arn(call, arn),
            (Some(name), Some(arn)) => {
                let stream = self.find_by_arn(call, arn)?;
                if stream.name != name {
                    let message = format!("StreamARN {arn} is not the ARN of the stream {name}.");
                    return Err(errors::invalid_argument(message));
                }
                Ok(stream)
            }
            (None, None) => {
                Err(errors::invalid_argument("Missing StreamName or StreamARN: at least one must be provided."))
            }
        }
    }

    fn find_by_name(&self, call: &Call, name: &str) -> Result<Arc<Stream>, ApiError> {
        let found = self.look_up(|table| table.by_region.get(&call.region)?.get(name).cloned());
        found
            .filter(|stream| {
                let view = stream.view();
                view.document.account == call.account && view.document.status(self.clock.now_millis()).is_some()
            })
            .ok_or_else(|| errors::stream_not_found(name, &call.account))
    }

    /// A stream by its ARN, which must be of the region that the request was signed for.
    pub(super) fn find_by_arn(&self, call: &Call, arn: &str) -> Result<Arc<Stream>, ApiError> {
        let mut parts = arn.splitn(6, ':').skip(3);
        let (region, account, resource) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
        let name = resource.strip_prefix("stream/").unwrap_or(resource);
        if region != Some(&call.region) || account != Some(&call.account) {
            return Err(errors::stream_not_found(name, account.unwrap_or(&call.account)));
        }
        self.find_by_name(call, name)
    }

    /// A stream by what iterators and page tokens call it.
    pub(super) fn find_by_id(&self, call: &Call, id: u128) -> Option<Arc<Stream>> {
        let stream = self.look_up(|table| table.by_id.get(&id).cloned())?;
        let exists = stream.view().document.status(self.clock.now_millis()).is_some();
        (exists && stream.region == call.region).then_some(stream)
    }

    /// The streams of a region by name.
    pub(super) fn in_region(&self, region: &str) -> Vec<Arc<View>> {
        let found: Vec<Arc<Stream>> = self
            .look_up(|table| table.by_region.get(region).map_or_else(Vec::new, |map| map.values().cloned().collect()));
        let now = self.clock.now_millis();
        found.iter().map(|stream| stream.view()).filter(|view| view.document.status(now).is_some()).collect()
    }

    /// Makes a stream. `document` is called once the name is known to be free.
    pub(super) fn create(
        &self,
        call: &Call,
        name: &str,
        document: impl FnOnce(u128, i64) -> Result<StreamDocument, ApiError>,
    ) -> Result<(), ApiError> {
        let _alone = lock(&self.births_and_deaths);
        let now = self.clock.now_millis();
        let same_name = self.look_up(|table| table.by_region.get(&call.region)?.get(name).cloned());
        if same_name.as_ref().is_some_and(|stream| stream.view().document.status(now).is_some()) {
            let message = format!("Stream {name} under account {} already exists.", call.account);
            return Err(errors::in_use(message));
        }
        if self.rates && self.being_made(&call.region, now) >= MOST_BEING_MADE {
            let account = &call.account;
            return Err(errors::limit_exceeded(format!(
                "No more than {MOST_BEING_MADE} streams can be created simultaneously under account {account}."
            )));
        }
        let mut document = document(uuid::Uuid::new_v4().as_u128(), now)?;
        document.change = Some(Change { status: Status::Creating, until: now.saturating_add(self.settle_millis) });
        self.save(&document)?;
        if let Some(stream) = &same_name {
            // The stored description is already that of the new stream; what is left of the old one are its files.
            self.forget(stream);
            sweep::free(stream).map_err(|error| ApiError::internal(&error))?;
        }
        self.insert(self.live(document, now));
        Ok(())
    }

    fn being_made(&self, region: &str, now: i64) -> usize {
        let streams = self.in_region(region);
        streams.iter().filter(|view| view.document.status(now) == Some(Status::Creating)).count()
    }

    /// Stores a change of a stream that is at rest; it is UPDATING for a while afterwards if `settles`.
    pub(super) fn change<T>(
        &self,
        stream: &Stream,
        settles: bool,
        edit: impl FnOnce(&mut StreamDocument, i64) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let _alone = lock(&stream.control);
        let view = stream.view();
        let now = self.clock.now_millis();
        view.must_be_active(now)?;
        let mut document = view.document.clone();
        let answer = edit(&mut document, now)?;
        self.commit(stream, document, settles, now)?;
        Ok(answer)
    }

    /// The same for a change of shards: nobody writes while it is stored, and writers that waited for a shard which is
    /// now closed look again. So the last record of a parent is written before the first one of its children.
    pub(super) fn reshard<T>(
        &self,
        stream: &Stream,
        edit: impl FnOnce(&mut StreamDocument, i64) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let _alone = lock(&stream.control);
        let view = stream.view();
        let now = self.clock.now_millis();
        view.must_be_active(now)?;
        let mut document = view.document.clone();
        let answer = edit(&mut document, now)?;
        // A writer holds one shard at a time, so the order in which they are taken here is free.
        let mut held: Vec<_> = view
            .open_shards()
            .filter(|shard| document.shard(shard.number).is_none_or(|after| after.closed_at.is_some()))
            .map(|shard| shard.write_side())
            .collect();
        self.commit(stream, document, true, now)?;
        for side in &mut held {
            side.closed = true;
        }
        Ok(answer)
    }

    /// Lets a stream that is there, in whatever state but DELETING, begin to go.
    pub(super) fn begin_deletion(&self, stream: &Stream) -> Result<(), ApiError> {
        let _alone = lock(&stream.control);
        let mut document = stream.view().document.clone();
        let now = self.clock.now_millis();
        match document.status(now) {
            None => return Err(errors::stream_not_found(&document.name, &document.account)),
            // AWS answers success to a second request.
            Some(Status::Deleting) => return Ok(()),
            Some(_) => {}
        }
        document.change = Some(Change { status: Status::Deleting, until: now.saturating_add(self.settle_millis) });
        self.save(&document)?;
        stream.publish(document, now);
        // A closed channel means that the process is ending: the next start finishes the deletion.
        let _ending = self.jobs.send(Job::Sweep);
        Ok(())
    }

    fn commit(&self, stream: &Stream, mut document: StreamDocument, settles: bool, now: i64) -> Result<(), ApiError> {
        let until = now.saturating_add(self.settle_millis);
        document.change = settles.then_some(Change { status: Status::Updating, until });
        let readable: Vec<u32> = document.readable_shards(now).map(|shard| shard.number).collect();
        document.shards.retain(|shard| readable.contains(&shard.number));
        self.save(&document)?;
        for expired in stream.publish(document, now) {
            expired.delete().map_err(|error| ApiError::internal(&error))?;
        }
        Ok(())
    }

    fn save(&self, document: &StreamDocument) -> Result<(), ApiError> {
        Ok(self.store.put(STREAMS, &key(&document.region, &document.name), document)?)
    }

    fn live(&self, document: StreamDocument, now: i64) -> Arc<Stream> {
        let folder = self.folder.join("streams").join(format!("{:032x}", document.id));
        Arc::new(Stream::new(document, folder, &self.handles, now))
    }

    fn insert(&self, stream: Arc<Stream>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.by_id.insert(stream.id, Arc::clone(&stream));
        table.by_region.entry(stream.region.clone()).or_default().insert(stream.name.clone(), stream);
    }

    /// Nobody finds the stream any more.
    pub(super) fn forget(&self, stream: &Stream) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.by_id.remove(&stream.id);
        if let Some(streams) = table.by_region.get_mut(&stream.region) {
            streams.remove(&stream.name);
        }
    }

    /// All streams of all regions.
    pub(super) fn all(&self) -> Vec<Arc<Stream>> {
        self.look_up(|table| table.by_id.values().cloned().collect())
    }

    /// Removes stored descriptions, in one commit, of those streams that are still the ones of their names.
    pub(super) fn erase(&self, gone: Vec<Arc<Stream>>) -> Result<Vec<Arc<Stream>>, ApiError> {
        let _alone = lock(&self.births_and_deaths);
        // A new stream of the name may have taken the place of one since.
        let gone: Vec<Arc<Stream>> =
            gone.into_iter().filter(|stream| self.look_up(|table| table.by_id.contains_key(&stream.id))).collect();
        let keys: Vec<String> = gone.iter().map(|stream| key(&stream.region, &stream.name)).collect();
        let changes: Vec<(&str, Option<&StreamDocument>)> = keys.iter().map(|key| (key.as_str(), None)).collect();
        self.store.apply(STREAMS, &changes)?;
        for stream in &gone {
            self.forget(stream);
        }
        Ok(gone)
    }

    fn look_up<T>(&self, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Removes folders of streams that are not stored: a deletion or creation was cut short.
    fn remove_orphans(&self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.folder.join("streams"))? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| u128::from_str_radix(name, 16).ok());
            let known = id.is_some_and(|id| self.look_up(|table| table.by_id.contains_key(&id)));
            if !known {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

fn key(region: &str, name: &str) -> String {
    format!("{region}/{name}")
}

fn token_key(store: &Store) -> Result<[u8; 32], KinesisOpenError> {
    let stored = store.all::<TokenKey>(KEYS)?.into_iter().find(|(name, _)| name == TOKEN_KEY);
    let mut key = [0; 32];
    if stored.is_some_and(|(_, stored)| hex::decode_to_slice(&stored.hex, &mut key).is_ok()) {
        return Ok(key);
    }
    rand::fill(&mut key);
    store.put(KEYS, TOKEN_KEY, &TokenKey { hex: hex::encode(key) })?;
    Ok(key)
}
