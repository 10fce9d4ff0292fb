//! Small durable tables of JSON documents, for what a service must remember besides its data plane.
//!
//! A thin face over `redb`: a write returns once it is committed and synced, so an answer that follows it
//! survives a kill of the process. One database file a service, so services do not wait for each other.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A database file of one service.
#[derive(Debug)]
pub struct Store {
    db: Database,
}

/// The store could not be read or written: the disk is full, or the file is damaged.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("the local cloud's store failed")]
    Database(#[source] Box<redb::Error>),
    /// A document in it is not what this version writes.
    #[error("a document in table `{table}` of the local cloud's store cannot be read")]
    Document {
        /// Which table it is in.
        table: &'static str,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> StoreError {
        StoreError::Database(Box::new(error.into()))
    }
}

/// One change of a batch: a document to put, or `None` to delete the key.
pub type Change<'a, T> = (&'a str, Option<&'a T>);

impl Store {
    /// Opens the file, or makes it.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        Ok(Store { db: Database::create(path)? })
    }

    /// Puts one document.
    pub fn put<T: Serialize>(&self, table: &'static str, key: &str, value: &T) -> Result<(), StoreError> {
        self.apply(table, &[(key, Some(value))])
    }

    /// Deletes one document; nothing to delete is success.
    pub fn delete(&self, table: &'static str, key: &str) -> Result<(), StoreError> {
        self.apply::<()>(table, &[(key, None)])
    }

    /// Applies all changes, or none, in one commit.
    pub fn apply<T: Serialize>(&self, table: &'static str, changes: &[Change<'_, T>]) -> Result<(), StoreError> {
        let transaction = self.db.begin_write()?;
        {
            let mut open = transaction.open_table(definition(table))?;
            for (key, value) in changes {
                match value {
                    Some(value) => {
                        let text =
                            serde_json::to_vec(value).map_err(|source| StoreError::Document { table, source })?;
                        open.insert(*key, text.as_slice())?;
                    }
                    None => {
                        open.remove(*key)?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Every document of a table, in the order of its keys.
    pub fn all<T: DeserializeOwned>(&self, table: &'static str) -> Result<Vec<(String, T)>, StoreError> {
        let transaction = self.db.begin_read()?;
        let open = match transaction.open_table(definition(table)) {
            Ok(open) => open,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        for entry in open.iter()? {
            let (key, value) = entry?;
            let document =
                serde_json::from_slice(value.value()).map_err(|source| StoreError::Document { table, source })?;
            found.push((key.value().to_owned(), document));
        }
        Ok(found)
    }
}

fn definition(table: &'static str) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(table)
}
