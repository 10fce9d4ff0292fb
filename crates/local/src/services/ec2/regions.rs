//! What is kept: one document a region, replaced as a whole in one commit before a change is answered.
//!
//! A change works on a copy. So it happens entirely or not at all, and a dry run is a change whose copy is thrown
//! away.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Ec2OpenError;
use super::region::Region;
use crate::private_file;
use crate::store::Store;
use crate::wire::error::ApiError;

const TABLE: &str = "regions";

/// All regions that have been asked for.
#[derive(Debug)]
pub(super) struct Regions {
    store: Store,
    by_name: Mutex<HashMap<String, Arc<Region>>>,
}

impl Regions {
    /// Opens `<data_dir>/ec2.redb`, readable by its owner alone: user data may hold what is nobody else's business.
    pub(super) fn open(data_dir: &Path) -> Result<Regions, Ec2OpenError> {
        let path = data_dir.join("ec2.redb");
        private_file::create(&path).map_err(|source| Ec2OpenError::File { path: path.clone(), source })?;
        let store = Store::open(&path)?;
        let regions = store.all::<Region>(TABLE)?;
        let by_name = regions.into_iter().map(|(name, region)| (name, Arc::new(region))).collect();
        Ok(Regions { store, by_name: Mutex::new(by_name) })
    }

    /// The region as it is now; one that was never asked for has its default network.
    pub(super) fn get(&self, name: &str) -> Arc<Region> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let region = by_name.entry(name.to_owned()).or_insert_with(|| Arc::new(Region::new(name)));
        Arc::clone(region)
    }

    /// All regions that are in use.
    pub(super) fn all(&self) -> Vec<Arc<Region>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Changes a region. Returns once the change is on disk; an error leaves everything as it was.
    pub(super) fn change<T>(
        &self,
        name: &str,
        dry_run: bool,
        change: impl FnOnce(&mut Region) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let mut region = by_name.get(name).map_or_else(|| Region::new(name), |region| Region::clone(region));
        let answer = change(&mut region)?;
        if !dry_run {
            self.store.put(TABLE, name, &region)?;
            by_name.insert(name.to_owned(), Arc::new(region));
        }
        Ok(answer)
    }
}
