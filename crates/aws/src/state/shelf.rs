//! The documents of one stack's state as objects in S3.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pinfra_engine::CloudError;
use pinfra_engine::state::{Document, Shelf, ShelfError, Version, When};

use super::documents::{self, End, Ended};
use super::home::S3Home;
use super::objects::Condition;

/// The documents of one stack in S3. What it writes is refused as soon as somebody else has written the same document, so a
/// run that has lost its lock without noticing cannot write over its successor.
#[derive(Debug)]
pub struct S3Shelf {
    home: S3Home,
    /// What the keys of all documents begin with.
    folder: String,
    /// The end of each document as this shelf has written it last, or as it was read while it had not. One that was refused
    /// stays, to be refused again.
    ends: Mutex<BTreeMap<String, End>>,
}

impl S3Shelf {
    pub(super) fn new(home: S3Home, stack: &str) -> S3Shelf {
        let folder = home.location().folder_of(stack);
        S3Shelf { home, folder, ends: Mutex::default() }
    }

    fn key(&self, document: &str) -> String {
        format!("{}{document}", self.folder)
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<String, End>> {
        // A map is whole even if a thread panicked while it held it.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, document: &str) -> Option<End> {
        self.ends().get(document).cloned()
    }

    fn failed(&self, doing: &'static str, document: &str, error: CloudError) -> ShelfError {
        ShelfError::Failed { doing, name: self.name(document), source: Box::new(error) }
    }

    /// Remembers how a document ends now.
    fn keep(&self, document: &str, ended: Ended) -> Result<Version, ShelfError> {
        match ended {
            Ended::Well(end) => {
                let version = Version::new(end.known_as.clone());
                self.ends().insert(document.to_owned(), end);
                Ok(version)
            }
            Ended::Changed => Err(ShelfError::Changed { name: self.name(document) }),
        }
    }
}

impl Shelf for S3Shelf {
    fn name(&self, document: &str) -> String {
        format!("s3://{}/{}", self.home.location().bucket, self.key(document))
    }

    fn read(&self, document: &str) -> Result<Option<Document>, ShelfError> {
        let (objects, key) = (self.home.objects().clone(), self.key(document));
        let read = self.home.wait(async move { documents::read(&objects, &key).await });
        let Some((bytes, end)) = read.map_err(|error| self.failed("read", document, error))? else { return Ok(None) };
        let version = Version::new(end.known_as.clone());
        let mut ends = self.ends();
        // A writer that was overtaken does not become the owner of what it reads.
        if ends.get(document).is_none_or(|known| !known.is_ours) {
            ends.insert(document.to_owned(), end);
        }
        Ok(Some(Document { bytes, version }))
    }

    fn write(&self, document: &str, bytes: &[u8], when: When) -> Result<Version, ShelfError> {
        let (objects, key, bytes) = (self.home.objects().clone(), self.key(document), Bytes::copy_from_slice(bytes));
        let end = self.end(document);
        let condition = match when {
            When::Any => Condition::Any,
            When::Absent => Condition::Absent,
            When::Is(version) => match end.as_ref().filter(|end| end.known_as == version.as_str()) {
                // It may have grown since by what we have appended.
                Some(end) => end.condition(),
                None => Condition::Is(version.as_str().to_owned()),
            },
        };
        let written =
            self.home.wait(async move { documents::write(&objects, &key, bytes, condition, end.as_ref()).await });
        self.keep(document, written.map_err(|error| self.failed("write", document, error))?)
    }

    fn append(&self, document: &str, bytes: &[u8]) -> Result<(), ShelfError> {
        let Some(end) = self.end(document).filter(|end| end.is_ours) else {
            // Adding to somebody else's document is what must not happen.
            return Err(ShelfError::Changed { name: self.name(document) });
        };
        let (objects, key, bytes) = (self.home.objects().clone(), self.key(document), bytes.to_vec());
        let appended = self.home.wait(async move { documents::append(&objects, &key, &end, &bytes).await });
        self.keep(document, appended.map_err(|error| self.failed("write", document, error))?).map(drop)
    }

    fn remove(&self, document: &str) -> Result<(), ShelfError> {
        let (objects, key) = (self.home.objects().clone(), self.key(document));
        let removed = self.home.wait(async move { documents::remove(&objects, &key).await });
        removed.map_err(|error| self.failed("remove", document, error))?;
        self.ends().remove(document);
        Ok(())
    }
}
