//! The bytes of objects and parts: immutable files under random names.
//!
//! Keys never become paths. A file is written, synced and only then named by a commit of the index; a crash in
//! between leaves a file that nothing names, which the next start sweeps. Deleting goes the other way round:
//! commit, then unlink, so whoever has the file open reads on.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The random name of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct BlobId(String);

/// The folder of files, in 256 sub-folders.
#[derive(Debug)]
pub(super) struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// Opens the folder, or makes it.
    pub(super) fn open(root: PathBuf) -> io::Result<Blobs> {
        for fan in 0..=u8::MAX {
            fs::create_dir_all(root.join(format!("{fan:02x}")))?;
        }
        sync_folder(&root)?;
        Ok(Blobs { root })
    }

    /// A new empty file.
    pub(super) fn create(self: &Arc<Blobs>) -> io::Result<NewBlob> {
        let id = BlobId(uuid::Uuid::new_v4().simple().to_string());
        let path = self.path(&id);
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(NewBlob { id, path, file, unwanted: true })
    }

    /// Opens a file for reading.
    pub(super) fn read(&self, id: &BlobId) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Unlinks a file. A failure leaves garbage for the next sweep and is nobody's error.
    pub(super) fn remove(&self, id: &BlobId) {
        let _ = fs::remove_file(self.path(id));
    }

    /// Removes every file that is not in `named`, and says how many there were.
    pub(super) fn sweep(&self, named: &HashSet<BlobId>) -> io::Result<usize> {
        let mut removed = 0;
        for fan in fs::read_dir(&self.root)? {
            let fan = fan?;
            if !fan.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(fan.path())? {
                let file = file?;
                let name = file.file_name();
                if name.to_str().is_some_and(|name| named.contains(&BlobId(name.to_owned()))) {
                    continue;
                }
                match fs::remove_file(file.path()) {
                    Ok(()) => removed += 1,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(removed)
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        let fan = id.0.get(..2).unwrap_or("00");
        self.root.join(fan).join(&id.0)
    }
}

/// A file that is being written. Dropped before it is kept, it takes its file along.
#[derive(Debug)]
pub(super) struct NewBlob {
    id: BlobId,
    path: PathBuf,
    file: File,
    unwanted: bool,
}

impl NewBlob {
    /// What the index will call it.
    pub(super) fn id(&self) -> &BlobId {
        &self.id
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Returns once the bytes and the name are on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        match self.path.parent() {
            Some(fan) => sync_folder(fan),
            None => Ok(()),
        }
    }

    /// From now on the index names the file.
    pub(super) fn keep(mut self) {
        self.unwanted = false;
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if self.unwanted {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_blob_leaves_nothing_and_a_kept_one_stays_until_swept() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::open(folder.path().join("blobs")).unwrap());
        let mut dropped = blobs.create().unwrap();
        dropped.write(b"x").unwrap();
        let gone = dropped.id().clone();
        drop(dropped);
        assert!(blobs.read(&gone).is_err());

        let mut named = blobs.create().unwrap();
        named.write(b"named").unwrap();
        named.sync().unwrap();
        let stays = named.id().clone();
        named.keep();
        let garbage = blobs.create().unwrap();
        let swept = garbage.id().clone();
        garbage.keep();

        assert_eq!(blobs.sweep(&HashSet::from([stays.clone()])).unwrap(), 1);
        assert!(blobs.read(&swept).is_err());
        assert_eq!(io::read_to_string(blobs.read(&stays).unwrap()).unwrap(), "named");
    }

    #[test]
    fn a_removed_blob_can_be_read_by_whoever_has_it_open() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::open(folder.path().join("blobs")).unwrap());
        let mut new = blobs.create().unwrap();
        new.write(b"still here").unwrap();
        let id = new.id().clone();
        new.keep();
        let open = blobs.read(&id).unwrap();
        blobs.remove(&id);
        assert!(blobs.read(&id).is_err());
        assert_eq!(io::read_to_string(open).unwrap(), "still here");
    }
}
