//! A shelf that is a folder of this machine.
//!
//! A document is replaced by a temporary file that is synced and renamed, and the folder is synced. Conditions are checked
//! while `lock.guard` is locked by the operating system, for the blink that takes, so they hold between processes. A document
//! that grows is kept open: when another process has put its own in that place, appending is refused, since nobody would
//! read what is added to a file without a name.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::shelf::{Document, Shelf, ShelfError, Version, When};

/// Locked by the operating system while a condition is checked and a document replaced.
const GUARD: &str = "lock.guard";
/// Nobody holds the guard for longer than a few writes take, unless its disk hangs.
const GUARD_LIMIT: Duration = Duration::from_secs(20);

/// The documents in a folder, which is made by the first write.
#[derive(Debug)]
pub struct FolderShelf {
    folder: PathBuf,
    written: Mutex<BTreeMap<String, Written>>,
}

/// A document as this shelf has written it.
#[derive(Debug)]
struct Written {
    /// Open, so that its inode is not given to another file.
    file: File,
    version: Version,
    /// Whether it has more in it by now than its version was made of.
    grown: bool,
}

impl FolderShelf {
    /// The shelf in `folder`. Looks at nothing yet.
    pub fn new(folder: impl Into<PathBuf>) -> FolderShelf {
        FolderShelf { folder: folder.into(), written: Mutex::default() }
    }

    /// Locks the guard until the file is dropped.
    fn guard(&self) -> io::Result<File> {
        let file = File::options().create(true).truncate(false).write(true).open(self.folder.join(GUARD))?;
        let until = Instant::now() + GUARD_LIMIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!("another process keeps `{GUARD}` locked");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    fn written(&self) -> MutexGuard<'_, BTreeMap<String, Written>> {
        // What it holds is right at any moment: a panic elsewhere changes nothing about the files.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `when` holds now.
    fn holds(&self, document: &str, when: &When) -> io::Result<bool> {
        let path = self.folder.join(document);
        let expected = match when {
            When::Any => return Ok(true),
            When::Absent => return Ok(!fs::exists(path)?),
            When::Is(expected) => expected,
        };
        if let Some(written) = self.written().get(document).filter(|written| written.grown) {
            return Ok(written.version == *expected && is_at(&written.file, &path)?);
        }
        Ok(read(&path)?.is_some_and(|bytes| version_of(&bytes) == *expected))
    }

    fn failed(&self, doing: &'static str, document: &str, source: io::Error) -> ShelfError {
        ShelfError::Failed { doing, name: self.name(document), source: Box::new(source) }
    }
}

impl Shelf for FolderShelf {
    fn name(&self, document: &str) -> String {
        self.folder.join(document).display().to_string()
    }

    fn read(&self, document: &str) -> Result<Option<Document>, ShelfError> {
        let bytes = read(&self.folder.join(document)).map_err(|source| self.failed("read", document, source))?;
        Ok(bytes.map(|bytes| Document { version: version_of(&bytes), bytes }))
    }

    fn write(&self, document: &str, bytes: &[u8], when: When) -> Result<Version, ShelfError> {
        let write = || {
            fs::create_dir_all(&self.folder)?;
            let _guard = self.guard()?;
            if !self.holds(document, &when)? {
                return Ok(None);
            }
            let file = replace(&self.folder.join(document), bytes)?;
            let version = version_of(bytes);
            let written = Written { file, version: version.clone(), grown: false };
            self.written().insert(document.to_owned(), written);
            Ok(Some(version))
        };
        let written = write().map_err(|source| self.failed("write", document, source))?;
        written.ok_or_else(|| ShelfError::Changed { name: self.name(document) })
    }

    fn append(&self, document: &str, bytes: &[u8]) -> Result<(), ShelfError> {
        let changed = || ShelfError::Changed { name: self.name(document) };
        let mut written = self.written();
        let written = written.get_mut(document).ok_or_else(changed)?;
        let mut append = || {
            if !is_at(&written.file, &self.folder.join(document))? {
                return Ok(false);
            }
            written.grown = true;
            written.file.write_all(bytes)?;
            written.file.sync_data()?;
            Ok(true)
        };
        match append() {
            Ok(true) => Ok(()),
            Ok(false) => Err(changed()),
            Err(source) => Err(self.failed("write", document, source)),
        }
    }

    fn remove(&self, document: &str) -> Result<(), ShelfError> {
        self.written().remove(document);
        let removed = match fs::remove_file(self.folder.join(document)) {
            Ok(()) => File::open(&self.folder).and_then(|folder| folder.sync_all()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|source| self.failed("remove", document, source))
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn version_of(bytes: &[u8]) -> Version {
    Version::new(hex::encode(Sha256::digest(bytes)))
}

/// Whether `file` is what has the name `path` now.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let here = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((here.dev(), here.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A temporary file, synced, renamed, and its folder synced: a reader sees the old text or the new, never a part.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(file)
    };
    write().inspect_err(|_| {
        // On a full disk it holds what little room there is. If this fails too, the next write overwrites it.
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "document";

    fn text(shelf: &FolderShelf) -> Option<String> {
        shelf.read(NAME).unwrap().map(|document| String::from_utf8(document.bytes).unwrap())
    }

    #[test]
    fn of_two_who_replace_the_same_version_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (FolderShelf::new(folder.path().join("new")), FolderShelf::new(folder.path().join("new")));
        assert_eq!(one.read(NAME).unwrap(), None);
        let first = one.write(NAME, b"1", When::Absent).unwrap();
        assert!(matches!(other.write(NAME, b"2", When::Absent), Err(ShelfError::Changed { .. })));
        let read = other.read(NAME).unwrap().unwrap();
        assert_eq!(read.version, first);
        other.write(NAME, b"3", When::Is(read.version)).unwrap();
        assert!(matches!(one.write(NAME, b"4", When::Is(first)), Err(ShelfError::Changed { .. })));
        assert_eq!(text(&one).as_deref(), Some("3"));
        one.write(NAME, b"5", When::Any).unwrap();
        assert_eq!(text(&other).as_deref(), Some("5"));
    }

    #[test]
    fn a_document_keeps_its_version_while_its_shelf_appends_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = FolderShelf::new(folder.path());
        let version = shelf.write(NAME, b"a", When::Absent).unwrap();
        shelf.append(NAME, b"b").unwrap();
        shelf.append(NAME, b"c").unwrap();
        assert_eq!(text(&shelf).as_deref(), Some("abc"));
        shelf.write(NAME, b"d", When::Is(version)).unwrap();
        assert_eq!(text(&shelf).as_deref(), Some("d"));
    }

    #[test]
    fn what_somebody_else_has_replaced_is_neither_appended_to_nor_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (late, next) = (FolderShelf::new(folder.path()), FolderShelf::new(folder.path()));
        let version = late.write(NAME, b"a", When::Absent).unwrap();
        late.append(NAME, b"b").unwrap();
        let read = next.read(NAME).unwrap().unwrap();
        next.write(NAME, b"c", When::Is(read.version)).unwrap();
        next.append(NAME, b"d").unwrap();
        assert!(matches!(late.append(NAME, b"!"), Err(ShelfError::Changed { .. })));
        assert!(matches!(late.write(NAME, b"!", When::Is(version)), Err(ShelfError::Changed { .. })));
        assert_eq!(text(&next).as_deref(), Some("cd"));
    }

    #[test]
    fn what_is_removed_is_gone_and_may_be_removed_again() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = FolderShelf::new(folder.path());
        shelf.write(NAME, b"a", When::Absent).unwrap();
        shelf.remove(NAME).unwrap();
        shelf.remove(NAME).unwrap();
        assert_eq!(text(&shelf), None);
        assert!(matches!(shelf.append(NAME, b"b"), Err(ShelfError::Changed { .. })));
    }

    #[test]
    fn a_failed_write_says_on_what_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = FolderShelf::new(folder.path());
        // A folder cannot be replaced by a file.
        fs::create_dir(folder.path().join(NAME)).unwrap();
        let error = shelf.write(NAME, b"a", When::Any).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write `{}`", folder.path().join(NAME).display()));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
