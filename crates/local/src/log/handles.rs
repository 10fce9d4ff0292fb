//! Bounds how many segment files are open at once.
//!
//! A thousand streams have a thousand segments being written, and a process has about as many file descriptors. A
//! [`FileSlot`] opens its file when it is asked for it; past the bound another slot is closed, one that was not used
//! since the last time around (the clock algorithm). Whoever still holds the file reads and writes on undisturbed.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::lock;

/// The open files of all logs that share it.
#[derive(Debug)]
pub struct FileHandles {
    limit: usize,
    ring: Mutex<VecDeque<Weak<FileSlot>>>,
}

impl FileHandles {
    /// At most `limit` files stay open.
    pub fn new(limit: usize) -> Arc<FileHandles> {
        Arc::new(FileHandles { limit: limit.max(1), ring: Mutex::new(VecDeque::new()) })
    }

    /// How many files are open now.
    pub fn open_count(&self) -> usize {
        let ring = lock(&self.ring);
        ring.iter().filter_map(Weak::upgrade).filter(|slot| lock(&slot.file).is_some()).count()
    }

    pub(super) fn slot(self: &Arc<FileHandles>, path: PathBuf) -> Arc<FileSlot> {
        Arc::new(FileSlot { path, file: Mutex::new(None), used: AtomicBool::new(false), handles: Arc::clone(self) })
    }

    fn admit(&self, slot: &Arc<FileSlot>) {
        let mut ring = lock(&self.ring);
        ring.push_back(Arc::downgrade(slot));
        // Two rounds clear every `used` flag, so the loop ends even when all are busy.
        let mut turns = ring.len() * 2;
        while ring.len() > self.limit && turns > 0 {
            turns -= 1;
            let Some(candidate) = ring.pop_front() else { return };
            let Some(other) = candidate.upgrade() else { continue };
            if other.used.swap(false, Ordering::Relaxed) || Arc::ptr_eq(&other, slot) {
                ring.push_back(candidate);
                continue;
            }
            *lock(&other.file) = None;
        }
    }
}

/// A file that is opened on demand.
#[derive(Debug)]
pub(super) struct FileSlot {
    path: PathBuf,
    file: Mutex<Option<Arc<File>>>,
    used: AtomicBool,
    handles: Arc<FileHandles>,
}

impl FileSlot {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file. It must exist.
    pub(super) fn get(self: &Arc<FileSlot>) -> io::Result<Arc<File>> {
        self.used.store(true, Ordering::Relaxed);
        let mut place = lock(&self.file);
        if let Some(file) = &*place {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(&self.path)?);
        *place = Some(Arc::clone(&file));
        // The ring locks slots, so a slot must not be locked while it waits for the ring.
        drop(place);
        self.handles.admit(self);
        Ok(file)
    }
}
