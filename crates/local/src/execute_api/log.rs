//! `execute-api.log` in the data folder: why calls failed that the caller is only told `Internal server error` of, as
//! CloudWatch's execution log has it. Bodies, parameters and keys never get here.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Then the log begins anew, and the one before is kept as `.1`.
const MAX_BYTES: u64 = 1024 * 1024;

/// The log of one local cloud.
#[derive(Debug)]
pub(super) struct FailureLog {
    path: PathBuf,
    open: Mutex<Option<(File, u64)>>,
}

impl FailureLog {
    pub(super) fn new(data_dir: &Path) -> FailureLog {
        FailureLog { path: data_dir.join("execute-api.log"), open: Mutex::new(None) }
    }

    /// Writes one line. A disk that is full must not fail a call once more.
    pub(super) fn note(&self, request_id: &str, what: &str, reason: &str) {
        let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let line = format!("{now} ({request_id}) {what}: {}\n", reason.replace(['\n', '\r'], " "));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|(_, length)| *length > MAX_BYTES) {
            *open = None;
            let _kept = fs::rename(&self.path, self.path.with_extension("log.1"));
        }
        if open.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(&self.path);
            let length = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
            *open = file.ok().map(|file| (file, length));
        }
        if let Some((file, length)) = open.as_mut() {
            *length += line.len() as u64;
            let _best_effort = file.write_all(line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_added_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let log = FailureLog::new(folder.path());
        log.note("r-1", "GET /a", "no\ntemplate");
        let text = fs::read_to_string(folder.path().join("execute-api.log")).unwrap();
        assert!(text.ends_with(" (r-1) GET /a: no template\n"), "{text}");
        for _ in 0..3 {
            log.note("r-2", "GET /a", &"x".repeat(700 * 1024));
        }
        assert!(fs::metadata(folder.path().join("execute-api.log")).unwrap().len() < 2 * MAX_BYTES);
        assert!(folder.path().join("execute-api.log.1").exists());
    }
}
