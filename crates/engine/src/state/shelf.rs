//! Where the documents of a stack's state are kept, and what such a place must be able to do.
//!
//! State is a snapshot, a journal and a lock: three documents. A shelf keeps them and knows nothing of what they say.
//! It replaces a document whole, on a condition when asked to, and adds to the end of one; what it has answered is durable.
//! The conditions are what keeps two writers apart: of two who replace the same version, the second is told
//! [`ShelfError::Changed`]. [`super::FolderShelf`] is a shelf on this machine.

use std::error::Error;

/// A place for the few documents of one stack's state. Its calls block; callers are ready for that.
pub trait Shelf: Send + Sync + std::fmt::Debug {
    /// What people call a document of it: a path, or an `s3://` URL.
    fn name(&self, document: &str) -> String;

    /// The document, or `None` when there is none.
    fn read(&self, document: &str) -> Result<Option<Document>, ShelfError>;

    /// Replaces the document as a whole, when the condition holds. It is durable once this has returned: a reader finds
    /// what was there before or all of `bytes`, never a part.
    fn write(&self, document: &str, bytes: &[u8], when: When) -> Result<Version, ShelfError>;

    /// Adds to the end of the document that this shelf has written last. It is durable once this has returned; a kill
    /// may leave a part of `bytes`. Fails with [`ShelfError::Changed`] when somebody else has replaced the document.
    fn append(&self, document: &str, bytes: &[u8]) -> Result<(), ShelfError>;

    /// Removes the document. One that is not there is success.
    fn remove(&self, document: &str) -> Result<(), ShelfError>;
}

/// A document as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Which one of those that had its name.
    pub version: Version,
}

/// Tells a document from those that had its name before and will have it. Only its shelf knows how. What the shelf itself
/// appends does not change the version that its `write` has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// A version in the shelf's own words.
    pub fn new(words: impl Into<String>) -> Version {
        Version(words.into())
    }

    /// The shelf's words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The condition on which a document is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// In any case.
    Any,
    /// If there is none.
    Absent,
    /// If it is this one.
    Is(Version),
}

impl When {
    /// If it is still as it was read.
    pub fn unchanged(read: Option<&Document>) -> When {
        read.map_or(When::Absent, |document| When::Is(document.version.clone()))
    }
}

/// Why a shelf did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The condition did not hold.
    #[error("`{name}` was changed by somebody else meanwhile")]
    Changed {
        /// The document.
        name: String,
    },
    /// The disk, or the service, said no.
    #[error("cannot {doing} `{name}`")]
    Failed {
        /// What was tried, such as `write`.
        doing: &'static str,
        /// The document.
        name: String,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
