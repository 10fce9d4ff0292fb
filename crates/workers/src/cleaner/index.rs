//! Which rows a table has: their hashes, in a small database in the worker's folder.
//!
//! The database is a cache of the Delta table. It says which version of which table it reflects; when it is behind, the
//! files that came since are read; when it cannot tell, all of them. It is written lazily: what a kill takes from it is
//! read again from the table.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, Durability, ReadableDatabase, TableDefinition};

use super::entry::Entry;
use super::error::{IndexError, TableError};
use super::ledger::Ledger;
use super::rows::{RowHash, hashes};
use super::schema;

const ROWS: TableDefinition<'static, u128, ()> = TableDefinition::new("rows");
const REFLECTS: TableDefinition<'static, &str, u64> = TableDefinition::new("reflects");

/// Memory for pages of the database.
const CACHE_BYTES: usize = 16 << 20;

/// Every so many commits the database is synced to disk; in between a kill costs a look at the table's newest files.
const SYNC_EVERY: u32 = 64;

/// The known rows of one table.
pub(crate) struct Index {
    path: PathBuf,
    db: Database,
    unsynced: u32,
}

impl Index {
    /// Opens the database at `path`; one that cannot be read is thrown away.
    pub(crate) fn open(path: &Path) -> Result<Index, IndexError> {
        let make = || Builder::new().set_cache_size(CACHE_BYTES).create(path);
        let db = match make() {
            Ok(db) => db,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                return Err(redb::DatabaseError::DatabaseAlreadyOpen.into());
            }
            Err(_) => {
                let _ = std::fs::remove_file(path);
                make()?
            }
        };
        Ok(Index { path: path.to_owned(), db, unsynced: 0 })
    }

    /// Makes the index reflect exactly what the ledger knows.
    pub(crate) async fn follow(&mut self, ledger: &mut Ledger) -> Result<(), TableError> {
        let reflects = self.reflects(&ledger.identity())?;
        if let Some(version) = reflects.filter(|version| *version <= ledger.version())
            && let Some(entries) = ledger.since(version).await?
            && entries.iter().all(|entry| !entry.reshaped)
        {
            return self.take_in(ledger, &entries).await;
        }
        self.rebuild(ledger).await
    }

    /// Adds what came with these entries, after which the index reflects what the ledger knows.
    pub(crate) async fn take_in(&mut self, ledger: &Ledger, entries: &[Entry]) -> Result<(), TableError> {
        for path in entries.iter().flat_map(|entry| &entry.added) {
            let path = object_store::path::Path::from_url_path(path)
                .map_err(|error| TableError::Log { url: ledger.url().clone(), why: error.to_string() })?;
            self.read_file(ledger, &path).await?;
        }
        Ok(self.add(&[], ledger)?)
    }

    /// For each row whether it is new: not known, and not an earlier one of these.
    pub(crate) fn fresh(&self, rows: &[RowHash]) -> Result<Vec<bool>, IndexError> {
        let read = self.db.begin_read()?;
        let known = match read.open_table(ROWS) {
            Ok(known) => Some(known),
            Err(redb::TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let mut earlier = HashSet::with_capacity(rows.len());
        let mut fresh = Vec::with_capacity(rows.len());
        for row in rows {
            let is_known = match &known {
                Some(known) => known.get(row)?.is_some(),
                None => false,
            };
            fresh.push(!is_known && earlier.insert(*row));
        }
        Ok(fresh)
    }

    /// Adds rows that are in the table now; the index reflects what the ledger knows.
    pub(crate) fn add(&mut self, rows: &[RowHash], ledger: &Ledger) -> Result<(), IndexError> {
        self.insert(rows, Some((&ledger.identity(), ledger.version())))
    }

    fn insert(&mut self, rows: &[RowHash], reflects: Option<(&str, u64)>) -> Result<(), IndexError> {
        let mut write = self.db.begin_write()?;
        self.unsynced += 1;
        if self.unsynced < SYNC_EVERY {
            write.set_durability(Durability::None)?;
        } else {
            self.unsynced = 0;
        }
        {
            let mut known = write.open_table(ROWS)?;
            for row in rows {
                known.insert(row, ())?;
            }
            if let Some((identity, version)) = reflects {
                write.open_table(REFLECTS)?.insert(identity, version)?;
            }
        }
        write.commit()?;
        Ok(())
    }

    fn reflects(&self, identity: &str) -> Result<Option<u64>, IndexError> {
        let read = self.db.begin_read()?;
        match read.open_table(REFLECTS) {
            Ok(table) => Ok(table.get(identity)?.map(|version| version.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn rebuild(&mut self, ledger: &mut Ledger) -> Result<(), TableError> {
        self.clear()?;
        for path in ledger.all_files().await? {
            self.read_file(ledger, &path).await?;
        }
        Ok(self.add(&[], ledger)?)
    }

    /// Without the rows it may not say that it reflects anything, so both go at once.
    fn clear(&mut self) -> Result<(), IndexError> {
        let write = self.db.begin_write()?;
        write.delete_table(ROWS)?;
        write.delete_table(REFLECTS)?;
        write.commit()?;
        Ok(())
    }

    async fn read_file(&mut self, ledger: &Ledger, path: &object_store::path::Path) -> Result<(), TableError> {
        ledger
            .read_file(path, |rows| {
                let rows = hashes(&schema::conform(&rows, ledger.schema())?)?;
                Ok(self.insert(&rows, None)?)
            })
            .await
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("path", &self.path).finish_non_exhaustive()
    }
}
