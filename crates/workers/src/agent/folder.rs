//! The agent's folder: `programs/<sha256>`, `workers/<name>/`, and a lock, since two agents would run everything twice.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::AgentError;

/// The folder, held until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes it where it is missing and locks it.
    pub(super) fn open(path: &Path) -> Result<Folder, AgentError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| AgentError::Folder { path, source }
        };
        make(path).map_err(failed(path))?;
        // Absolute, since workers run in folders of their own and are told paths in it.
        let path = path.canonicalize().map_err(failed(path))?;
        for folder in ["programs", "workers"] {
            let folder = path.join(folder);
            make(&folder).map_err(failed(&folder))?;
        }
        let lock = path.join("lock");
        let file = File::options().create(true).append(true).mode(0o600).open(&lock).map_err(failed(&lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Folder { path, _lock: file }),
            Err(TryLockError::WouldBlock) => Err(AgentError::InUse(path)),
            Err(TryLockError::Error(source)) => Err(AgentError::Folder { path: lock, source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn programs(&self) -> PathBuf {
        self.path.join("programs")
    }

    pub(super) fn workers(&self) -> PathBuf {
        self.path.join("workers")
    }
}

/// Makes a folder that nobody else may look into.
pub(super) fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that nobody else may read, as a whole or not at all.
pub(super) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    // What a crash left there may have other rights.
    remove(&new)?;
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_has_one_agent() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::open(folder.path()).unwrap();
        assert!(matches!(Folder::open(folder.path()), Err(AgentError::InUse(_))));
        drop(first);
        Folder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_private_file_is_private_whatever_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(folder.path().join("config.new"), "a crash left this").unwrap();
        write_private(&path, b"{}").unwrap();
        write_private(&path, b"[]").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
