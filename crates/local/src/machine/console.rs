//! The console of a machine: what its processes write, kept as far as EC2 would show it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::private_file;

/// What `GetConsoleOutput` answers: "the most recent 64 KB of posted output".
const SHOWN: u64 = 64 * 1024;

/// When it is cut back to that.
const KEPT: u64 = 256 * 1024;

/// The file, opened for writing.
#[derive(Debug)]
pub(super) struct Console {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Console {
    /// Opens it; what earlier boots wrote stays.
    pub(super) fn open(path: &Path) -> io::Result<Console> {
        private_file::create(path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Console { path: path.to_owned(), file, length })
    }

    /// A line of the machine's own.
    pub(super) fn line(&mut self, text: &str) {
        let now = OffsetDateTime::now_utc().replace_nanosecond(0).ok().and_then(|now| now.format(&Rfc3339).ok());
        self.write(format!("[{}] {text}\n", now.unwrap_or_default()).as_bytes());
    }

    /// Writes on until nobody has the other end of the pipe any more.
    pub(super) async fn follow(mut self, output: PipeReader) {
        let Ok(mut output) = pipe::Receiver::from_owned_fd(OwnedFd::from(output)) else { return };
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = output.read(&mut chunk).await {
            self.write(&chunk[..length]);
        }
    }

    /// A console that cannot be written is no reason to stop a machine.
    fn write(&mut self, bytes: &[u8]) {
        if self.file.write_all(bytes).is_ok() {
            self.length += bytes.len() as u64;
        }
        if self.length > KEPT {
            let _shorter = self.cut_back();
        }
    }

    fn cut_back(&mut self) -> io::Result<()> {
        let kept = read_last(&self.path, SHOWN)?;
        self.file.set_len(0)?;
        self.length = 0;
        self.file.write_all(&kept)?;
        self.length = kept.len() as u64;
        Ok(())
    }
}

/// The end of a console, and when it was written last, in seconds since the epoch.
pub(super) fn last(path: &Path) -> Option<(Vec<u8>, i64)> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    let seconds = modified.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some((read_last(path, SHOWN).ok()?, i64::try_from(seconds).ok()?))
}

fn read_last(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_64_kib_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        let mut console = Console::open(&path).unwrap();
        console.write(b"begin");
        for n in 0..40_000 {
            console.write(format!("{n:09}\n").as_bytes());
        }
        drop(console);
        assert!(fs::metadata(&path).unwrap().len() <= KEPT);
        let (shown, _) = last(&path).unwrap();
        assert_eq!(shown.len() as u64, SHOWN);
        assert!(shown.ends_with(b"000039998\n000039999\n"));
        Console::open(&path).unwrap().line("again");
        assert!(last(&path).unwrap().0.ends_with(b"] again\n"));
    }
}
