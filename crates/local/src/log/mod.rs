//! The segment log under Kinesis shards and Kafka partitions.
//!
//! A [`SegmentLog`] is one folder of files, each holding a run of records and named after the offset of the first.
//! Records are only ever appended to the last file; when that is full it is synced and the next one begins. The log
//! knows nothing of what it holds: a payload is bytes, and takes one offset or as many as [`LogOptions::span`] says.
//!
//! * **What an answer means.** [`SegmentLog::append`] returns when the kernel has the bytes, so an acknowledged record
//!   survives the death of this process at any moment. It survives the death of the *machine* once it was synced:
//!   a full segment is synced before the next begins, and the owner calls [`SegmentLog::sync`] in the background.
//! * **What a crash leaves.** Opening reads the last segment and cuts off what is not a whole record with the right
//!   checksum and the expected offset. So the log is always a prefix of what was appended.
//! * **Reading beside writing.** A reader takes no lock that an append holds while it writes: it reads up to the
//!   length that was published after the last write.
//! * **Few open files.** Files are opened when touched and closed again when [`FileHandles`] runs over its bound.
//!   Nothing is made on disk before the first append.

mod frame;
mod handles;
mod index;
mod reading;
mod segment;
mod segment_log;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use frame::{Batch, Record, Span};
pub use handles::FileHandles;
pub use segment_log::{Appended, LogOptions, SegmentLog};

/// Why the log could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file or folder of the log refused.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried, such as `append to`.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Bytes that were whole when they were written are not now.
    #[error("`{path}` is damaged at byte {position}: delete the stream or restore the file")]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where the unreadable record begins.
        position: u64,
    },
}

impl LogError {
    fn io(action: &'static str, path: &std::path::Path, source: io::Error) -> LogError {
        LogError::Io { action, path: path.to_owned(), source }
    }
}

/// Locks even when another thread panicked meanwhile: what these locks guard is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
