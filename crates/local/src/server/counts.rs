//! How often each operation was asked for: proof for tests that a second `up` changes nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Requests since the start, by service and operation, refused ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Service, then operation.
    pub by_operation: BTreeMap<String, BTreeMap<String, u64>>,
    /// How many there were in all.
    pub total: u64,
    /// How many of them were to change something.
    pub mutating: u64,
}

/// The running count.
#[derive(Debug, Default)]
pub(super) struct Counter {
    counts: Mutex<RequestCounts>,
}

impl Counter {
    pub(super) fn count(&self, service: &str, operation: &str, mutating: bool) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total += 1;
        counts.mutating += u64::from(mutating);
        // Names are copied at the first request of their kind only.
        if let Some(count) = counts.by_operation.get_mut(service).and_then(|operations| operations.get_mut(operation)) {
            *count += 1;
            return;
        }
        counts.by_operation.entry(service.to_owned()).or_default().insert(operation.to_owned(), 1);
    }

    pub(super) fn snapshot(&self) -> RequestCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
