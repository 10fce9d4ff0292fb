//! Programs by their hash: fetched once, checked, kept for as long as a manifest names them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, mpsc};

use super::AgentError;
use super::folder::remove;
use super::lake::{Lake, LakeError};
use super::manifests::is_sha256;
use crate::config::Program;
use crate::hash::hash_of;
use crate::log::{chain, say};

/// A debug build of pinfra has some hundred megabytes; what unpacks to more than this is no program.
const MAX_PROGRAM: u64 = 4 << 30;

/// Why a program is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("`{0}` is not a SHA-256 in hex")]
    Name(String),
    #[error("`{key}` is not what was deployed: its SHA-256 is {found}")]
    Hash { key: String, found: String },
    #[error("the download of `{key}` broke off: {why}")]
    Broken { key: String, why: String },
    #[error("`{key}` cannot be unpacked and written: {source}")]
    Write { key: String, source: io::Error },
}

/// The program that this process is.
#[derive(Clone, Debug)]
pub(super) struct Own {
    path: PathBuf,
    pub(super) sha256: String,
}

/// Which program this process is. Programs that the user data or an agent fetched are called by their hash, which was
/// checked then; any other is read.
pub(super) async fn own() -> Result<Own, AgentError> {
    let path = std::env::current_exe().map_err(AgentError::OwnProgram)?;
    if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_sha256(name)) {
        return Ok(Own { sha256: name.to_owned(), path: path.clone() });
    }
    let read = path.clone();
    let hashed = tokio::task::spawn_blocking(move || hash_of(&read)).await;
    let hashed = hashed.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
    Ok(Own { sha256: hashed.map_err(AgentError::OwnProgram)?, path })
}

/// The programs of one machine. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    lake: Lake,
    folder: PathBuf,
    own: Own,
    /// Two workers that want one program wait for one download.
    fetching: Arc<Mutex<()>>,
}

impl Programs {
    pub(super) fn new(lake: Lake, folder: PathBuf, own: Own) -> Programs {
        Programs { lake, folder, own, fetching: Arc::default() }
    }

    pub(super) fn own_sha256(&self) -> &str {
        &self.own.sha256
    }

    /// The file of a program, which is downloaded when it is not here.
    pub(super) async fn fetch(&self, program: &Program) -> Result<PathBuf, ProgramError> {
        if !is_sha256(&program.sha256) {
            return Err(ProgramError::Name(program.sha256.clone()));
        }
        if program.sha256 == self.own.sha256 && self.own.path.exists() {
            return Ok(self.own.path.clone());
        }
        let path = self.folder.join(&program.sha256);
        let _one_at_a_time = self.fetching.lock().await;
        // It has this name only once its hash was checked.
        if path.exists() {
            return Ok(path);
        }
        say(&format!("fetching the program `{}`", program.key));
        let new = path.with_extension("new");
        self.download(program, &new).await?;
        let renamed = std::fs::rename(&new, &path);
        renamed.map_err(|source| ProgramError::Write { key: program.key.clone(), source })?;
        Ok(path)
    }

    /// Removes programs that nobody wants, and what broken downloads left. One that runs can be removed: its
    /// process has it open.
    pub(super) fn keep_only(&self, wanted: &BTreeSet<String>) {
        let Ok(_no_download_runs) = self.fetching.try_lock() else { return };
        let Ok(files) = std::fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            let is_wanted = name.to_str().is_some_and(|name| wanted.contains(name) || name == self.own.sha256);
            if !is_wanted && let Err(error) = remove(&file.path()) {
                say(&format!("the old program `{}` cannot be removed: {error}", file.path().display()));
            }
        }
    }

    async fn download(&self, program: &Program, to: &Path) -> Result<(), ProgramError> {
        let key = &program.key;
        let mut body = self.lake.open(key).await?;
        // What a crash left may be open for writing nowhere, but a new file is surely nobody else's.
        let opened = remove(to).and_then(|()| File::options().create_new(true).write(true).mode(0o755).open(to));
        let file = opened.map_err(|source| ProgramError::Write { key: key.clone(), source })?;
        let (sender, chunks) = mpsc::channel(8);
        let written = tokio::task::spawn_blocking(move || unpack(chunks, file));
        let mut broken = None;
        while let Some(chunk) = body.next().await {
            match chunk {
                // The writer has failed and says why below.
                Ok(chunk) => {
                    if sender.send(chunk).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    broken = Some(ProgramError::Broken { key: key.clone(), why: chain(&error) });
                    break;
                }
            }
        }
        drop(sender);
        let written = written.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
        if let Some(broken) = broken {
            return Err(broken);
        }
        let found = written.map_err(|source| ProgramError::Write { key: key.clone(), source })?;
        if found == program.sha256 { Ok(()) } else { Err(ProgramError::Hash { key: key.clone(), found }) }
    }
}

/// Writes what is unpacked and returns its SHA-256.
fn unpack(mut chunks: mpsc::Receiver<Bytes>, file: File) -> io::Result<String> {
    // The program is packed in many members, one for each core at a time.
    let mut decoder = MultiGzDecoder::new(Hashing { file: BufWriter::new(file), hasher: Sha256::new(), written: 0 });
    while let Some(chunk) = chunks.blocking_recv() {
        decoder.write_all(&chunk)?;
    }
    let mut hashing = decoder.finish()?;
    hashing.file.flush()?;
    hashing.file.get_ref().sync_all()?;
    Ok(hex::encode(hashing.hasher.finalize()))
}

struct Hashing {
    file: BufWriter<File>,
    hasher: Sha256,
    written: u64,
}

impl Write for Hashing {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.written += n as u64;
        if self.written > MAX_PROGRAM {
            return Err(io::Error::other(format!("it unpacks to more than {MAX_PROGRAM} bytes")));
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn what_is_unpacked_is_hashed_as_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let content = b"#!/bin/sh\n".repeat(10_000);
        // Two members, as a program is packed.
        let member = |part: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        };
        let packed = [member(&content[..30_000]), member(&content[30_000..])].concat();
        let unpacked = |packed: &[u8]| {
            let (sender, chunks) = mpsc::channel(1_000);
            packed.chunks(7).for_each(|chunk| sender.try_send(Bytes::copy_from_slice(chunk)).unwrap());
            drop(sender);
            unpack(chunks, File::create(&path).unwrap())
        };
        assert_eq!(unpacked(&packed).unwrap(), hex::encode(Sha256::digest(&content)));
        assert_eq!(hash_of(&path).unwrap(), hex::encode(Sha256::digest(&content)));
        assert!(unpacked(&packed[..packed.len() / 2]).is_err());
        assert!(unpacked(b"not gzip").is_err());
    }
}
