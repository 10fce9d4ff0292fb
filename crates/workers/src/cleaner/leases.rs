//! Leases: which cleaner reads a shard. They save work and nothing more: what keeps rows from being written twice is the
//! check of positions in each commit.
//!
//! Every cleaner of a stream keeps `_pinfra/leases/<stream>/cleaners/<holder>.json` fresh, and a lease
//! `_pinfra/leases/<stream>/<shard>.json` for each shard that it reads. All writes are conditional. An object counts as
//! abandoned when it was not written for [`EXPIRY`] as seen by the one who looks: clocks are not compared.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::error::TableError;
use crate::keys;
use crate::lake::Lake;

/// An object that was not written for so long belongs to nobody. Three renewals fit in it.
const EXPIRY: Duration = Duration::from_secs(15);

/// A shard's lease, or a cleaner's sign of life.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    holder: String,
    /// When it runs out, for people who look.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

/// The leases of one stream, as one cleaner sees them.
pub(crate) struct Leases {
    lake: Lake,
    folder: Path,
    holder: String,
    seen: HashMap<Path, Seen>,
}

/// An object and since when it has been as it is.
#[derive(Clone, Debug)]
struct Seen {
    etag: Option<String>,
    since: Instant,
    holder: String,
}

impl Leases {
    pub(crate) fn new(lake: Lake, stream: &str, holder: &str) -> Leases {
        let folder = Path::from(keys::leases(stream));
        Leases { lake, folder, holder: holder.to_owned(), seen: HashMap::new() }
    }

    /// Renews, takes and gives up leases so that every cleaner has its fair share; returns the shards that are ours.
    pub(crate) async fn share(&mut self, shards: &[String]) -> Result<Vec<String>, TableError> {
        self.look().await?;
        let sign = self.sign(&self.holder);
        self.take(&sign).await?;
        let cleaners = self.cleaners().max(1);
        let mut ours = Vec::new();
        let mut free = Vec::new();
        for shard in shards {
            match self.owner(shard) {
                Some(owner) if owner == self.holder => ours.push(shard.clone()),
                Some(_) => {}
                None => free.push(shard.clone()),
            }
        }
        let fair = shards.len().div_ceil(cleaners);
        while ours.len() > fair {
            // Given up by not renewing would take the others a while; what is deleted is free at once.
            let Some(shard) = ours.pop() else { break };
            self.release(&shard).await;
        }
        let mut held = Vec::with_capacity(ours.len());
        for shard in ours {
            if self.take(&self.lease(&shard)).await? {
                held.push(shard);
            }
        }
        for shard in free {
            if held.len() < fair && self.take(&self.lease(&shard)).await? {
                held.push(shard);
            }
        }
        Ok(held)
    }

    /// Gives up everything, as far as that works.
    pub(crate) async fn leave(&mut self) {
        let mut ours = vec![self.sign(&self.holder)];
        ours.extend(self.seen.iter().filter(|(_, seen)| seen.holder == self.holder).map(|(path, _)| path.clone()));
        for path in ours {
            // It runs out by itself otherwise.
            let _ = self.lake.store().delete(&path).await;
        }
    }

    /// Lists what there is, and reads what has changed.
    async fn look(&mut self) -> Result<(), TableError> {
        let now = Instant::now();
        let listed: Vec<_> =
            self.lake.store().list(Some(&self.folder)).try_collect().await.map_err(object("listed"))?;
        let mut seen = HashMap::with_capacity(listed.len());
        for found in listed {
            let known = self.seen.remove(&found.location).filter(|known| known.etag == found.e_tag);
            let known = match known {
                Some(known) => known,
                None => match self.holder_of(&found.location).await? {
                    Some(holder) => Seen { etag: found.e_tag, since: now, holder },
                    None => continue,
                },
            };
            seen.insert(found.location, known);
        }
        self.seen = seen;
        Ok(())
    }

    async fn holder_of(&self, path: &Path) -> Result<Option<String>, TableError> {
        let body = match self.lake.store().get(path).await {
            Ok(found) => found.bytes().await.map_err(object("read"))?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(TableError::Object { doing: "read", source }),
        };
        // One that cannot be read belongs to nobody.
        Ok(Some(serde_json::from_slice::<Lease>(&body).map(|lease| lease.holder).unwrap_or_default()))
    }

    /// Writes our name into an object if it is still as we saw it. Returns whether it is ours now.
    async fn take(&mut self, path: &Path) -> Result<bool, TableError> {
        let until = OffsetDateTime::now_utc() + EXPIRY;
        let lease = Lease { holder: self.holder.clone(), until };
        let body = serde_json::to_vec(&lease).expect("a name and a time of this millennium have a JSON form");
        let mode = match self.seen.get(path) {
            Some(seen) => PutMode::Update(UpdateVersion { e_tag: seen.etag.clone(), version: None }),
            None => PutMode::Create,
        };
        match self.lake.store().put_opts(path, body.into(), PutOptions::from(mode)).await {
            Ok(put) => {
                let seen = Seen { etag: put.e_tag, since: Instant::now(), holder: self.holder.clone() };
                self.seen.insert(path.clone(), seen);
                Ok(true)
            }
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. }
                | object_store::Error::NotFound { .. },
            ) => {
                // Somebody else was quicker, or an earlier try of ours came through without an answer.
                self.seen.remove(path);
                Ok(self.holder_of(path).await?.is_some_and(|holder| holder == self.holder))
            }
            Err(source) => Err(TableError::Object { doing: "written", source }),
        }
    }

    async fn release(&mut self, shard: &str) {
        let path = self.lease(shard);
        self.seen.remove(&path);
        let _ = self.lake.store().delete(&path).await;
    }

    /// Who holds a shard's lease; `None` when it is free.
    fn owner(&self, shard: &str) -> Option<&str> {
        let seen = self.seen.get(&self.lease(shard))?;
        let ours = seen.holder == self.holder;
        (ours || (seen.since.elapsed() < EXPIRY && !seen.holder.is_empty())).then_some(seen.holder.as_str())
    }

    /// How many cleaners show signs of life.
    fn cleaners(&self) -> usize {
        let mut alive = BTreeMap::new();
        for (path, seen) in &self.seen {
            if *path == self.sign(&seen.holder) && seen.since.elapsed() < EXPIRY {
                alive.insert(&seen.holder, ());
            }
        }
        alive.len()
    }

    fn lease(&self, shard: &str) -> Path {
        self.folder.clone().join(format!("{shard}.json"))
    }

    fn sign(&self, holder: &str) -> Path {
        self.folder.clone().join("cleaners").join(format!("{holder}.json"))
    }
}

fn object(doing: &'static str) -> impl Fn(object_store::Error) -> TableError {
    move |source| TableError::Object { doing, source }
}
