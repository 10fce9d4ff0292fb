//! The book with its store behind it: the only place where it is changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rand::Rng;
use rand::distr::{Alphanumeric, SampleString};
use serde_json::Value;

use super::book::{Api, Book, Deployment, Key, Plan, pair};
use super::errors;
use crate::clock::Clock;
use crate::store::{Store, StoreError};
use crate::wire::error::ApiError;

const APIS: &str = "apis";
const DEPLOYMENTS: &str = "deployments";
const KEYS: &str = "keys";
const PLANS: &str = "plans";
const ACCOUNTS: &str = "accounts";

/// The book, its store and the clock.
pub(crate) struct Desk {
    store: Store,
    book: RwLock<Book>,
    pub(super) clock: Clock,
}

/// Why it could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ApiGatewayOpenError {
    /// The folder cannot be used.
    #[error("cannot use the folder `{path}`")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// What was kept cannot be read.
    #[error("cannot open the store of API Gateway")]
    Store(#[from] StoreError),
}

impl Desk {
    pub(super) fn open(data_dir: &Path, clock: Clock) -> Result<Desk, ApiGatewayOpenError> {
        let folder = data_dir.join("apigateway");
        fs::create_dir_all(&folder).map_err(|source| ApiGatewayOpenError::Folder { path: folder.clone(), source })?;
        let store = Store::open(&folder.join("apigateway.redb"))?;
        let mut book = Book {
            apis: store.all::<Api>(APIS)?.into_iter().collect(),
            keys: store.all::<Key>(KEYS)?.into_iter().collect(),
            plans: store.all::<Plan>(PLANS)?.into_iter().collect(),
            accounts: store.all::<Value>(ACCOUNTS)?.into_iter().collect(),
            ..Book::default()
        };
        for (key, deployment) in store.all::<Deployment>(DEPLOYMENTS)? {
            // A kill between the two writes of a delete leaves deployments of an API that is gone.
            if key.split_once('/').is_some_and(|(api, _)| book.apis.contains_key(api)) {
                book.deployments.insert(key, Arc::new(deployment));
            } else {
                store.delete(DEPLOYMENTS, &key)?;
            }
        }
        let ids: Vec<String> = book.apis.keys().cloned().collect();
        for id in ids {
            book.refresh(&id);
        }
        Ok(Desk { store, book: RwLock::new(book), clock })
    }

    /// Everything, for reading.
    pub(super) fn book(&self) -> RwLockReadGuard<'_, Book> {
        // Documents are put whole, so a panic elsewhere leaves none half-changed.
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Book> {
        self.book.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads something of an API of this region.
    pub(super) fn read_api<T>(
        &self,
        region: &str,
        id: &str,
        read: impl FnOnce(&Api) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let book = self.book();
        read(book.apis.get(id).filter(|api| api.region == region).ok_or_else(|| errors::no_api(id))?)
    }

    /// Changes an API of this region; nothing has changed when `change` refuses.
    pub(super) fn change_api<T>(
        &self,
        region: &str,
        id: &str,
        change: impl FnOnce(&mut Api, &Book) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let found = book.apis.get(id).filter(|api| api.region == region);
        let mut api = found.cloned().ok_or_else(|| errors::no_api(id))?;
        let answer = change(&mut api, &book)?;
        self.store.put(APIS, id, &api)?;
        book.apis.insert(id.to_owned(), api);
        book.refresh(id);
        Ok(answer)
    }

    /// Adds an API.
    pub(super) fn add_api(&self, id: &str, api: Api) -> Result<(), ApiError> {
        let mut book = self.writing();
        self.store.put(APIS, id, &api)?;
        book.apis.insert(id.to_owned(), api);
        Ok(())
    }

    /// Deletes an API with all that is in it.
    pub(super) fn delete_api(&self, region: &str, id: &str) -> Result<(), ApiError> {
        let mut book = self.writing();
        if book.apis.get(id).is_none_or(|api| api.region != region) {
            return Err(errors::no_api(id));
        }
        self.store.delete(APIS, id)?;
        let prefix = pair(id, "");
        let deployments: Vec<String> =
            book.deployments.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        let gone: Vec<(&str, Option<&Deployment>)> = deployments.iter().map(|key| (key.as_str(), None)).collect();
        self.store.apply(DEPLOYMENTS, &gone)?;
        book.apis.remove(id);
        book.deployments.retain(|key, _| !key.starts_with(&prefix));
        book.refresh(id);
        Ok(())
    }

    /// Changes a deployment: `change` gets a copy of it, `None` when there is none, and leaves what shall be there.
    pub(super) fn change_deployment<T>(
        &self,
        region: &str,
        api: &str,
        id: &str,
        change: impl FnOnce(&mut Option<Deployment>, &Api) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let of = book.apis.get(api).filter(|api| api.region == region).ok_or_else(|| errors::no_api(api))?;
        let key = pair(api, id);
        let mut deployment = book.deployments.get(&key).map(|deployment| Deployment::clone(deployment));
        let answer = change(&mut deployment, of)?;
        self.store.apply(DEPLOYMENTS, &[(key.as_str(), deployment.as_ref())])?;
        match deployment {
            Some(deployment) => drop(book.deployments.insert(key, Arc::new(deployment))),
            None => drop(book.deployments.remove(&key)),
        }
        Ok(answer)
    }

    /// Changes the book's keys: `change` gets a copy of the key, `None` when there is none in this region, and leaves what
    /// shall be there.
    pub(super) fn change_key<T>(
        &self,
        region: &str,
        id: &str,
        change: impl FnOnce(&mut Option<Key>, &Book) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let mut key = book.keys.get(id).filter(|key| key.region == region).cloned();
        let answer = change(&mut key, &book)?;
        self.store.apply(KEYS, &[(id, key.as_ref())])?;
        match key {
            Some(key) => drop(book.keys.insert(id.to_owned(), key)),
            None => drop(book.keys.remove(id)),
        }
        Ok(answer)
    }

    /// The same for usage plans.
    pub(super) fn change_plan<T>(
        &self,
        region: &str,
        id: &str,
        change: impl FnOnce(&mut Option<Plan>, &Book) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut book = self.writing();
        let mut plan = book.plans.get(id).filter(|plan| plan.region == region).cloned();
        let answer = change(&mut plan, &book)?;
        self.store.apply(PLANS, &[(id, plan.as_ref())])?;
        match plan {
            Some(plan) => drop(book.plans.insert(id.to_owned(), plan)),
            None => drop(book.plans.remove(id)),
        }
        Ok(answer)
    }

    /// Puts the settings of the account in a region.
    pub(super) fn put_account(&self, region: &str, account: Value) -> Result<(), ApiError> {
        let mut book = self.writing();
        self.store.put(ACCOUNTS, region, &account)?;
        book.accounts.insert(region.to_owned(), account);
        Ok(())
    }

    /// Now, in seconds since the Unix epoch.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().unix_timestamp()
    }
}

/// A new id: ten of a to z and 0 to 9, as APIs, keys and plans have; resources and deployments have six.
pub(super) fn new_id(length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..length).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

/// The value of an API key: forty letters and digits, as AWS makes them.
pub(super) fn new_key_value() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 40)
}
