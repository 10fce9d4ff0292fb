//! The documents with their store: the only place where they are changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::Serialize;

use super::book::{Connector, Operation, Plugin, WorkerConfiguration};
use super::errors;
use crate::clock::Clock;
use crate::store::{Change, Store, StoreError};
use crate::wire::error::ApiError;

const PLUGINS: &str = "plugins";
const WORKER_CONFIGURATIONS: &str = "worker_configurations";
const CONNECTORS: &str = "connectors";
const OPERATIONS: &str = "operations";

/// Operations of a connector that are remembered.
const MOST_OPERATIONS: usize = 100;

/// All documents, by ARN.
#[derive(Default)]
pub(super) struct Book {
    pub(super) plugins: BTreeMap<String, Plugin>,
    pub(super) worker_configurations: BTreeMap<String, WorkerConfiguration>,
    pub(super) connectors: BTreeMap<String, Connector>,
    /// Named after their connector, so those of one stand together; the newest of one has the latest time.
    pub(super) operations: BTreeMap<String, Operation>,
}

/// The book, its store and the clock.
pub(super) struct Desk {
    store: Store,
    book: RwLock<Book>,
    clock: Clock,
    /// How long changes take.
    pub(super) settle: Duration,
}

/// Why MSK Connect could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum KafkaConnectOpenError {
    /// A folder cannot be used.
    #[error("cannot use the folder `{path}`")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// What was kept cannot be read.
    #[error("cannot open the store of MSK Connect")]
    Store(#[from] StoreError),
}

impl Desk {
    pub(super) fn open(data_dir: &Path, clock: Clock, settle: Duration) -> Result<Desk, KafkaConnectOpenError> {
        let folder = data_dir.join("kafkaconnect");
        fs::create_dir_all(&folder).map_err(|source| KafkaConnectOpenError::Folder { path: folder.clone(), source })?;
        let store = Store::open(&folder.join("kafkaconnect.redb"))?;
        let book = Book {
            plugins: store.all(PLUGINS)?.into_iter().collect(),
            worker_configurations: store.all(WORKER_CONFIGURATIONS)?.into_iter().collect(),
            connectors: store.all(CONNECTORS)?.into_iter().collect(),
            operations: store.all(OPERATIONS)?.into_iter().collect(),
        };
        Ok(Desk { store, book: RwLock::new(book), clock, settle })
    }

    /// Milliseconds since the epoch.
    pub(super) fn now(&self) -> i64 {
        self.clock.now_millis()
    }

    /// When a change that begins now is through.
    pub(super) fn settled(&self) -> i64 {
        self.now() + i64::try_from(self.settle.as_millis()).unwrap_or(i64::MAX)
    }

    /// Everything, for reading.
    pub(super) fn book(&self) -> RwLockReadGuard<'_, Book> {
        // Documents are put whole, so a panic elsewhere leaves none half-changed.
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connector, for whoever carries it out.
    pub(super) fn connector(&self, arn: &str) -> Option<Connector> {
        self.book().connectors.get(arn).cloned()
    }

    /// Adds a plugin, unless `check` finds something against it in the book.
    pub(super) fn add_plugin(
        &self,
        plugin: Plugin,
        check: impl FnOnce(&Book) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut book = self.writing();
        check(&book)?;
        self.purge(&mut book)?;
        self.store.put(PLUGINS, &plugin.arn, &plugin)?;
        book.plugins.insert(plugin.arn.clone(), plugin);
        Ok(())
    }

    /// Changes a plugin; nothing has changed when `change` refuses.
    pub(super) fn change_plugin<T>(
        &self,
        arn: &str,
        change: impl FnOnce(&mut Plugin, &Book) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let found = book.plugins.get(arn).filter(|plugin| plugin.state(self.now()).is_some());
        let mut plugin = found.cloned().ok_or_else(|| errors::not_found("custom plugin", arn))?;
        let answer = change(&mut plugin, &book)?;
        self.store.put(PLUGINS, arn, &plugin)?;
        book.plugins.insert(arn.to_owned(), plugin);
        Ok(answer)
    }

    /// Adds a worker configuration, unless `check` finds something against it in the book.
    pub(super) fn add_worker_configuration(
        &self,
        added: WorkerConfiguration,
        check: impl FnOnce(&Book) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut book = self.writing();
        check(&book)?;
        self.purge(&mut book)?;
        self.store.put(WORKER_CONFIGURATIONS, &added.arn, &added)?;
        book.worker_configurations.insert(added.arn.clone(), added);
        Ok(())
    }

    /// Changes a worker configuration; nothing has changed when `change` refuses.
    pub(super) fn change_worker_configuration<T>(
        &self,
        arn: &str,
        change: impl FnOnce(&mut WorkerConfiguration, &Book) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let found = book.worker_configurations.get(arn).filter(|found| found.state(self.now()).is_some());
        let mut found = found.cloned().ok_or_else(|| errors::not_found("worker configuration", arn))?;
        let answer = change(&mut found, &book)?;
        self.store.put(WORKER_CONFIGURATIONS, arn, &found)?;
        book.worker_configurations.insert(arn.to_owned(), found);
        Ok(answer)
    }

    /// Adds a connector, unless `check` finds something against it in the book.
    pub(super) fn add_connector(
        &self,
        connector: Connector,
        check: impl FnOnce(&Book) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut book = self.writing();
        check(&book)?;
        self.store.put(CONNECTORS, &connector.arn, &connector)?;
        book.connectors.insert(connector.arn.clone(), connector);
        Ok(())
    }

    /// Changes a connector, and adds or changes an operation with it; nothing has changed when `change` refuses.
    pub(super) fn change_connector<T>(
        &self,
        arn: &str,
        change: impl FnOnce(&mut Connector, &Book) -> Result<(T, Option<Operation>), ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let mut connector = book.connectors.get(arn).cloned().ok_or_else(|| errors::not_found("connector", arn))?;
        let (answer, operation) = change(&mut connector, &book)?;
        if let Some(operation) = operation {
            // First, since a connector names its operation and not the other way round.
            self.store.put(OPERATIONS, &operation.arn, &operation)?;
            book.operations.insert(operation.arn.clone(), operation);
            self.forget_old_operations(&mut book, arn)?;
        }
        self.store.put(CONNECTORS, arn, &connector)?;
        book.connectors.insert(arn.to_owned(), connector);
        Ok(answer)
    }

    /// Removes a connector with its operations.
    pub(super) fn remove_connector(&self, arn: &str) -> Result<(), ApiError> {
        let mut book = self.writing();
        let operations: Vec<String> = operations_of(&book, arn).map(|operation| operation.arn.clone()).collect();
        let gone: Vec<Change<'_, Operation>> = operations.iter().map(|key| (key.as_str(), None)).collect();
        self.store.delete(CONNECTORS, arn)?;
        self.store.apply(OPERATIONS, &gone)?;
        book.connectors.remove(arn);
        book.operations.retain(|_, operation| operation.connector != arn);
        Ok(())
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what has been deleted for good.
    fn purge(&self, book: &mut Book) -> Result<(), ApiError> {
        let now = self.now();
        let gone = book.plugins.values().filter(|plugin| plugin.state(now).is_none());
        let gone: Vec<String> = gone.map(|plugin| plugin.arn.clone()).collect();
        self.delete::<Plugin>(PLUGINS, &gone)?;
        gone.iter().for_each(|arn| drop(book.plugins.remove(arn)));
        let gone = book.worker_configurations.values().filter(|found| found.state(now).is_none());
        let gone: Vec<String> = gone.map(|found| found.arn.clone()).collect();
        self.delete::<WorkerConfiguration>(WORKER_CONFIGURATIONS, &gone)?;
        gone.iter().for_each(|arn| drop(book.worker_configurations.remove(arn)));
        Ok(())
    }

    fn delete<T: Serialize>(&self, table: &'static str, keys: &[String]) -> Result<(), ApiError> {
        let changes: Vec<Change<'_, T>> = keys.iter().map(|key| (key.as_str(), None)).collect();
        if changes.is_empty() { Ok(()) } else { Ok(self.store.apply(table, &changes)?) }
    }

    fn forget_old_operations(&self, book: &mut Book, connector: &str) -> Result<(), ApiError> {
        let mut operations: Vec<(i64, String)> =
            operations_of(book, connector).map(|operation| (operation.created, operation.arn.clone())).collect();
        if operations.len() <= MOST_OPERATIONS {
            return Ok(());
        }
        operations.sort_unstable();
        let old: Vec<String> =
            operations.iter().take(operations.len() - MOST_OPERATIONS).map(|(_, arn)| arn.clone()).collect();
        self.delete::<Operation>(OPERATIONS, &old)?;
        old.iter().for_each(|arn| drop(book.operations.remove(arn)));
        Ok(())
    }
}

/// The operations of a connector, in no order that means something.
pub(super) fn operations_of<'a>(book: &'a Book, connector: &str) -> impl Iterator<Item = &'a Operation> {
    book.operations.values().filter(move |operation| operation.connector == connector)
}
