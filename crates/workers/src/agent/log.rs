//! A worker's output: the last few megabytes, in files of which the older is removed when the newer is full.
//!
//! A file is called by how many bytes the worker had written before it, so that a byte's place never changes, whatever
//! was removed or restarted in between.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::folder::remove;

/// One file; there are two.
const FILE_BYTES: u64 = 4 << 20;

/// The log of one worker. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Log {
    files: Arc<Mutex<Files>>,
}

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    file: File,
    start: u64,
    end: u64,
    limit: u64,
}

impl Log {
    /// Goes on with the log in this folder.
    pub(super) fn open(folder: &Path) -> io::Result<Log> {
        Log::with_limit(folder, FILE_BYTES)
    }

    fn with_limit(folder: &Path, limit: u64) -> io::Result<Log> {
        super::folder::make(folder)?;
        let start = starts(folder)?.last().copied().unwrap_or_default();
        let file = open(folder, start)?;
        let end = start + file.metadata()?.len();
        Ok(Log { files: Arc::new(Mutex::new(Files { folder: folder.to_owned(), file, start, end, limit })) })
    }

    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.lock();
        if files.end - files.start + bytes.len() as u64 > files.limit {
            files.turn()?;
        }
        files.file.write_all(bytes)?;
        files.end += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes were ever written.
    pub(super) fn end(&self) -> u64 {
        self.lock().end
    }

    /// The last bytes, and how many were written before them. It begins with a whole line where it can.
    pub(super) fn tail(&self, most: u64) -> io::Result<(u64, Vec<u8>)> {
        let files = self.lock();
        let from = files.end.saturating_sub(most);
        let (mut first, mut tail) = (files.end, Vec::new());
        for start in starts(&files.folder)? {
            let mut file = File::open(path(&files.folder, start))?;
            let end = start + file.metadata()?.len();
            if end <= from {
                continue;
            }
            first = first.min(start.max(from));
            file.seek(SeekFrom::Start(from.saturating_sub(start)))?;
            file.read_to_end(&mut tail)?;
        }
        // What was cut through is left out, unless it is all there is.
        if first > 0
            && let Some(line) = tail.iter().position(|byte| *byte == b'\n')
            && line + 1 < tail.len()
        {
            tail.drain(..=line);
            first += line as u64 + 1;
        }
        Ok((first, tail))
    }

    /// The last line with something in it, at most so many bytes of it.
    pub(super) fn last_line(&self, most: u64) -> Option<String> {
        let (_, tail) = self.tail(most).ok()?;
        let text = String::from_utf8_lossy(&tail);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    /// Begins another file and removes all but the one before it.
    fn turn(&mut self) -> io::Result<()> {
        let old = self.start;
        self.file = open(&self.folder, self.end)?;
        self.start = self.end;
        for start in starts(&self.folder)? {
            if start < old {
                remove(&path(&self.folder, start))?;
            }
        }
        Ok(())
    }
}

fn path(folder: &Path, start: u64) -> PathBuf {
    folder.join(format!("{start:020}.log"))
}

fn open(folder: &Path, start: u64) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().create(true).append(true).mode(0o600).open(path(folder, start))
}

/// Where the files begin, in order.
fn starts(folder: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let name = file?.file_name();
        starts.extend(name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u64>().ok()));
    }
    starts.sort_unstable();
    Ok(starts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_tail_is_the_end_of_all_that_was_written(
            writes in proptest::collection::vec("[a-z\n]{0,40}", 0..40),
            most in 1..100_u64,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut all = String::new();
            for (n, write) in writes.iter().enumerate() {
                // Opened again in the middle, as after a restart.
                let log = Log::with_limit(folder.path(), 64).unwrap();
                log.append(write.as_bytes()).unwrap();
                all.push_str(write);
                prop_assert_eq!(log.end(), all.len() as u64, "after {} writes", n);
                let (first, tail) = log.tail(most).unwrap();
                let first = usize::try_from(first).unwrap();
                prop_assert_eq!(&all.as_bytes()[first..], tail.as_slice());
                prop_assert!(tail.len() as u64 <= most);
                prop_assert!(starts(folder.path()).unwrap().len() <= 2);
            }
        }
    }

    #[test]
    fn the_last_line_is_the_last_with_something_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path()).unwrap();
        assert_eq!(log.last_line(100), None);
        log.append(b"one\nerror: no such table\n\n  \n").unwrap();
        assert_eq!(log.last_line(100).as_deref(), Some("error: no such table"));
    }
}
