//! Files of the user, read and hashed, with errors that name them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::Failure;

/// A file of text.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| cannot("read", path, &error))
}

/// The SHA-256 of a file, in hex.
pub(super) fn hash_of(path: &Path) -> Result<String, Failure> {
    pinfra_workers::hash::hash_of(path).map_err(|error| cannot("read", path, &error))
}

/// The path from the root.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| cannot("find", path, &error))
}

/// That a file cannot be read, written, found, and why.
pub(super) fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot {what} `{}`: {error}", path.display()))
}
