//! The book with its store behind it: the only place where it is changed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::book::{Book, Cluster, Configuration, Operation};
use super::lifecycle::Lifecycle;
use super::topics::Marks;
use super::{MskOpenError, Network, errors};
use crate::clock::Clock;
use crate::kafka::{self, Kafka};
use crate::settings::Settings;
use crate::store::Store;
use crate::wire::error::ApiError;

const CLUSTERS: &str = "clusters";
const OPERATIONS: &str = "operations";
const CONFIGURATIONS: &str = "configurations";

/// The book, its store, the brokers and the tasks.
pub(super) struct Desk {
    store: Store,
    book: RwLock<Book>,
    pub(super) clock: Clock,
    pub(super) settle: Duration,
    pub(super) brokers: Kafka,
    pub(super) network: Arc<dyn Network>,
    pub(super) lifecycle: Lifecycle,
    /// What topics are going through, by cluster and name.
    pub(super) marks: Marks,
    /// Why brokers of clusters could not be opened at the start.
    closed: Mutex<HashMap<String, String>>,
}

impl Desk {
    pub(super) fn open(
        data_dir: &Path,
        clock: Clock,
        settings: &Settings,
        brokers: Kafka,
        network: Arc<dyn Network>,
    ) -> Result<Desk, MskOpenError> {
        let folder = data_dir.join("kafka");
        fs::create_dir_all(&folder).map_err(|source| MskOpenError::Folder { path: folder.clone(), source })?;
        let store = Store::open(&folder.join("msk.redb"))?;
        let book = Book {
            clusters: store.all::<Cluster>(CLUSTERS)?.into_iter().collect(),
            operations: store.all::<Operation>(OPERATIONS)?.into_iter().collect(),
            configurations: store.all::<Configuration>(CONFIGURATIONS)?.into_iter().collect(),
        };
        Ok(Desk {
            store,
            book: RwLock::new(book),
            clock,
            settle: settings.settle,
            brokers,
            network,
            lifecycle: Lifecycle::default(),
            marks: Marks::default(),
            closed: Mutex::default(),
        })
    }

    /// Everything, for reading.
    pub(super) fn book(&self) -> RwLockReadGuard<'_, Book> {
        // Documents are put whole, so a panic elsewhere leaves none half-changed.
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of a cluster of this region.
    pub(super) fn cluster(&self, region: &str, arn: &str) -> Result<Cluster, ApiError> {
        errors::check_arn(arn, "cluster")?;
        self.book().cluster(region, arn).cloned().ok_or_else(errors::no_cluster)
    }

    /// The brokers of a cluster, which must be up.
    pub(super) fn open_brokers(&self, cluster: &Cluster) -> Result<Arc<kafka::Cluster>, ApiError> {
        self.brokers.cluster(&cluster.arn).ok_or_else(|| {
            let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            let why = closed.get(&cluster.arn).map_or("they are not open", String::as_str);
            let message = format!("The brokers of the cluster {} do not answer: {why}", cluster.name);
            ApiError::new("InternalServerErrorException", message).with_status(500)
        })
    }

    /// Notes why the brokers of a cluster are not open.
    pub(super) fn note_closed(&self, arn: &str, why: String) {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).insert(arn.to_owned(), why);
    }

    /// Makes a cluster; `make` sees the book, and refuses a name that is taken.
    pub(super) fn add_cluster(
        &self,
        make: impl FnOnce(&Book) -> Result<Cluster, ApiError>,
    ) -> Result<Cluster, ApiError> {
        let mut book = self.writing();
        let cluster = make(&book)?;
        self.store.put(CLUSTERS, &cluster.arn, &cluster)?;
        book.clusters.insert(cluster.arn.clone(), cluster.clone());
        Ok(cluster)
    }

    /// Changes a cluster, and puts an operation where `change` returns one. Nothing has changed when it refuses.
    pub(super) fn change_cluster<T>(
        &self,
        arn: &str,
        change: impl FnOnce(&mut Cluster, &Book) -> Result<(T, Option<Operation>), ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let mut cluster = book.clusters.get(arn).cloned().ok_or_else(errors::no_cluster)?;
        let (answer, operation) = change(&mut cluster, &book)?;
        // The operation first: a kill in between leaves one that nobody refers to, not a cluster that waits for none.
        if let Some(operation) = operation {
            self.store.put(OPERATIONS, &operation.arn, &operation)?;
            book.operations.insert(operation.arn.clone(), operation);
        }
        self.store.put(CLUSTERS, arn, &cluster)?;
        book.clusters.insert(arn.to_owned(), cluster);
        Ok(answer)
    }

    /// Forgets a cluster and its operations.
    pub(super) fn forget_cluster(&self, arn: &str) -> Result<(), ApiError> {
        let mut book = self.writing();
        let of_it = |operation: &&Operation| operation.cluster == arn;
        let operations: Vec<String> = book.operations.values().filter(of_it).map(|one| one.arn.clone()).collect();
        let gone: Vec<(&str, Option<&Operation>)> = operations.iter().map(|arn| (arn.as_str(), None)).collect();
        self.store.apply(OPERATIONS, &gone)?;
        self.store.delete(CLUSTERS, arn)?;
        book.operations.retain(|_, operation| operation.cluster != arn);
        book.clusters.remove(arn);
        Ok(())
    }

    /// Changes the configurations: `change` gets a copy of one, `None` when it is not there, and leaves what shall be.
    pub(super) fn change_configuration<T>(
        &self,
        arn: &str,
        change: impl FnOnce(&mut Option<Configuration>, &Book) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let mut configuration = book.configurations.get(arn).cloned();
        let answer = change(&mut configuration, &book)?;
        self.store.apply(CONFIGURATIONS, &[(arn, configuration.as_ref())])?;
        match configuration {
            Some(configuration) => drop(book.configurations.insert(arn.to_owned(), configuration)),
            None => drop(book.configurations.remove(arn)),
        }
        Ok(answer)
    }
}
