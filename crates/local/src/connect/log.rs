//! `kafka-connect.log` in the data folder: what a worker of MSK Connect would write to its log group. Contents of records
//! get here where `errors.log.include.messages` asks for them; without it only the text of a field that `timestamp.field`
//! names and that is no time, which ends the task and stands in the connector's `stateDescription` as well.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Then the log begins anew, and the one before is kept as `.1`.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The log of all connectors, for one of them.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    file: Arc<LogFile>,
    connector: String,
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    open: Mutex<Option<(File, u64)>>,
}

impl Log {
    /// The log in a data folder; nothing is made before the first line.
    pub(crate) fn new(data_dir: &Path) -> Log {
        let path = data_dir.join("kafka-connect.log");
        Log { file: Arc::new(LogFile { path, open: Mutex::new(None) }), connector: String::new() }
    }

    /// The same for a connector.
    pub(super) fn of(&self, connector: &str) -> Log {
        Log { file: Arc::clone(&self.file), connector: connector.to_owned() }
    }

    /// Writes one line. A disk that is full must not end a connector.
    pub(crate) fn line(&self, text: &str) {
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let line = format!("{now} [{}] {}\n", self.connector, text.replace(['\n', '\r'], " "));
        let LogFile { path, open } = self.file.as_ref();
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|(_, length)| *length > MAX_BYTES) {
            *open = None;
            let _kept = fs::rename(path, path.with_extension("log.1"));
        }
        if open.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
            *open = file.ok().map(|file| (file, length));
        }
        if let Some((file, length)) = open.as_mut() {
            *length += line.len() as u64;
            let _best_effort = file.write_all(line.as_bytes());
        }
    }
}
