//! Kinesis data streams.
//!
//! What is stored of a stream (`document`) is one JSON document in the [`Store`](crate::store::Store), replaced in one
//! commit before a change is answered; records are in one [`SegmentLog`](crate::log::SegmentLog) a shard, where they
//! are before a put is answered. So whatever was acknowledged survives a kill of the process. Layout:
//!
//! ```text
//! <data_dir>/kinesis/streams.redb                         descriptions and the key that seals tokens
//! <data_dir>/kinesis/streams/<stream id>/<shard>/*.log    records
//! ```
//!
//! A request finds its stream in `streams`, takes a `View` of it, which never changes, and works on that. Changes of one
//! stream wait for each other; puts wait only for puts to the same shard; reads wait for nobody.
//!
//! Differences from AWS: a change takes effect at once and the stream is UPDATING for a moment afterwards; the number of
//! streams and shards of an account is not limited; on-demand streams do not grow; registered consumers (enhanced
//! fan-out) are not there.

mod about;
mod background;
mod create;
mod describe;
mod document;
mod errors;
mod get;
mod hash_key;
mod input;
mod iterator;
mod list_shards;
mod put;
mod reshard;
mod scale;
mod seal;
mod sequence;
mod shard;
mod stream;
mod streams;
mod sweep;
mod tags;
mod throughput;
mod update;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use self::background::Job;
use self::streams::Streams;
use super::{Call, Service, TaggedResource};
use crate::clock::Clock;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::wire::error::ApiError;

/// The Kinesis of one local cloud.
pub struct Kinesis {
    streams: Arc<Streams>,
    jobs: Sender<Job>,
    background: Option<JoinHandle<()>>,
}

/// Why it could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum KinesisOpenError {
    /// The folder cannot be used.
    #[error("cannot use the folder `{path}`")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The descriptions of the streams cannot be read.
    #[error("cannot open the store of Kinesis")]
    Store(#[from] StoreError),
    /// The thread that syncs records did not start.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl Kinesis {
    /// Opens what is under `<data_dir>/kinesis/`, or begins it. Needs nothing of a stream's records, so it is quick.
    pub fn open(data_dir: &Path, clock: Clock, settings: &Settings) -> Result<Kinesis, KinesisOpenError> {
        let (jobs, received) = channel();
        let streams = Arc::new(Streams::open(data_dir, clock, settings, jobs.clone())?);
        let background = background::start(&streams, received).map_err(KinesisOpenError::Thread)?;
        Ok(Kinesis { streams, jobs, background: Some(background) })
    }
}

impl Drop for Kinesis {
    /// Syncs what was written.
    fn drop(&mut self) {
        let _ended = self.jobs.send(Job::Stop);
        if let Some(background) = self.background.take() {
            // A panic there has been printed; there is nobody left to tell.
            let _panicked = background.join();
        }
    }
}

impl Service for Kinesis {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        async move {
            match call.operation.as_str() {
                // Puts go to the page cache in microseconds; handing them to another thread would cost more.
                "PutRecord" => put::put_record(&self.streams, &call, &input),
                "PutRecords" => put::put_records(&self.streams, &call, &input),
                // All else may read megabytes or wait for the disk.
                _ => {
                    let streams = Arc::clone(&self.streams);
                    let answered = tokio::task::spawn_blocking(move || answer(&streams, &call, &input)).await;
                    answered.unwrap_or_else(|panicked| Err(ApiError::internal(&panicked)))
                }
            }
        }
        .boxed()
    }

    fn resources(&self, call: &Call, input: &Value) -> Option<Vec<String>> {
        Some(about::streams_named(&self.streams, call, input))
    }

    fn tagged(&self, region: &str) -> Vec<TaggedResource> {
        let views = self.streams.in_region(region);
        let tagged = views.iter().filter(|view| !view.document.tags.is_empty());
        tagged
            .map(|view| TaggedResource {
                arn: view.document.arn(),
                tags: view.document.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            })
            .collect()
    }
}

fn answer(streams: &Streams, call: &Call, input: &Value) -> Result<Value, ApiError> {
    match call.operation.as_str() {
        "AddTagsToStream" => tags::add_tags_to_stream(streams, call, input),
        "CreateStream" => create::create_stream(streams, call, input),
        "DecreaseStreamRetentionPeriod" => update::decrease_retention(streams, call, input),
        "DeleteStream" => create::delete_stream(streams, call, input),
        "DescribeLimits" => describe::describe_limits(streams, call),
        "DescribeStream" => describe::describe_stream(streams, call, input),
        "DescribeStreamSummary" => describe::describe_stream_summary(streams, call, input),
        "DisableEnhancedMonitoring" => update::disable_monitoring(streams, call, input),
        "EnableEnhancedMonitoring" => update::enable_monitoring(streams, call, input),
        "GetRecords" => get::get_records(streams, call, input),
        "GetShardIterator" => iterator::get_shard_iterator(streams, call, input),
        "IncreaseStreamRetentionPeriod" => update::increase_retention(streams, call, input),
        "ListShards" => list_shards::list_shards(streams, call, input),
        "ListStreams" => describe::list_streams(streams, call, input),
        "ListTagsForResource" => tags::list_tags_for_resource(streams, call, input),
        "ListTagsForStream" => tags::list_tags_for_stream(streams, call, input),
        "MergeShards" => scale::merge_shards(streams, call, input),
        "RemoveTagsFromStream" => tags::remove_tags_from_stream(streams, call, input),
        "SplitShard" => scale::split_shard(streams, call, input),
        "StartStreamEncryption" => update::start_encryption(streams, call, input),
        "StopStreamEncryption" => update::stop_encryption(streams, call, input),
        "TagResource" => tags::tag_resource(streams, call, input),
        "UntagResource" => tags::untag_resource(streams, call, input),
        "UpdateMaxRecordSize" => update::update_max_record_size(streams, call, input),
        "UpdateShardCount" => scale::update_shard_count(streams, call, input),
        "UpdateStreamMode" => update::update_stream_mode(streams, call, input),
        _ => Err(ApiError::unknown_operation("kinesis", &call.operation)),
    }
}
