//! The data folder: one process at a time, and the file that says where it is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StartError;
use crate::private_file;

/// What `server.json` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) endpoint: String,
    pub(super) version: String,
    /// RFC 3339.
    pub(super) started_at: String,
    /// Opens `/_pinfra/…` to whoever can read the file.
    pub(super) token: String,
}

/// Makes the folder and locks it for as long as the file lives. The system lets the lock go even when we are killed.
pub(super) fn lock(data_dir: &Path) -> Result<File, StartError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::DataDir { path, source }
    };
    private_file::create_folder(data_dir).map_err(at(data_dir))?;
    let path = data_dir.join("lock");
    let mut file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let pid = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(StartError::InUse { path: data_dir.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(StartError::DataDir { path, source }),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(at(&path))?;
    Ok(file)
}

/// `server.json`, as long as it is there.
#[derive(Debug)]
pub(super) struct Published {
    path: PathBuf,
}

/// Writes `server.json`.
pub(super) fn publish(data_dir: &Path, status: &Status) -> Result<Published, StartError> {
    let path = data_dir.join("server.json");
    private_file::replace(&path, status).map_err(|source| StartError::DataDir { path: path.clone(), source })?;
    Ok(Published { path })
}

impl Published {
    /// Takes it away; one that stays behind names a process that does not answer, which readers have to expect.
    pub(super) fn remove(&self) {
        let _gone = fs::remove_file(&self.path);
    }
}
