//! What time takes: streams whose deletion is through, and records beyond their retention.

use std::sync::Arc;

use super::document::Status;
use super::shard::Shard;
use super::stream::{Stream, View};
use super::streams::Streams;
use crate::log::LogError;
use crate::wire::error::ApiError;

/// Finishes deletions and drops expired records. Returns whether deletions are still under way.
pub(super) fn sweep(streams: &Streams) -> Result<bool, ApiError> {
    let now = streams.clock.now_millis();
    let (mut gone, mut deleting) = (Vec::new(), false);
    for stream in streams.all() {
        let view = stream.view();
        match view.document.status(now) {
            None => gone.push(stream),
            Some(Status::Deleting) => deleting = true,
            Some(_) => drop_expired(&view, now).map_err(|error| ApiError::internal(&error))?,
        }
    }
    if !gone.is_empty() {
        for stream in streams.erase(gone)? {
            free(&stream).map_err(|error| ApiError::internal(&error))?;
        }
    }
    Ok(deleting)
}

/// Removes the records of a stream that is gone.
pub(super) fn free(stream: &Stream) -> Result<(), LogError> {
    for shard in stream.view().shards.values() {
        shard.delete()?;
    }
    match std::fs::remove_dir_all(&stream.folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(LogError::Io { action: "remove", path: stream.folder.clone(), source })
        }
        _ => Ok(()),
    }
}

fn drop_expired(view: &View, now: i64) -> Result<(), LogError> {
    let horizon = view.document.horizon(now);
    let expired = |shard: &Arc<Shard>| {
        let document = view.document.shard(shard.number);
        document.and_then(|document| document.closed_at).is_some_and(|closed| closed < horizon)
    };
    for shard in view.shards.values() {
        if expired(shard) {
            shard.delete()?;
        } else if shard.may_drop_segments() {
            shard.log()?.drop_before(horizon)?;
        }
    }
    Ok(())
}
