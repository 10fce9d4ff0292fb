//! Objects that are whole go to S3, several at a time, as the connector's role.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};

use crate::services::s3::{S3Front, S3Refused, Source};

use super::access::Access;
use super::config::Sink;
use super::fault::Fault;
use super::writer::Object;

/// Each waits for the disk; together they share its syncs.
const AT_ONCE: usize = 32;

/// What the AWS SDK for Java says of a body that nobody described.
const CONTENT_TYPE: &str = "application/octet-stream";

/// The longest pause between two attempts, as the connector has it.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Stores them all, or says why one could not be.
pub(super) async fn store(s3: &S3Front, access: &Access, sink: &Sink, objects: Vec<Object>) -> Result<(), Fault> {
    let puts = objects.into_iter().map(|object| async move { put(s3, access, sink, &object).await });
    futures::stream::iter(puts).buffer_unordered(AT_ONCE).try_collect::<()>().await
}

async fn put(s3: &S3Front, access: &Access, sink: &Sink, object: &Object) -> Result<(), Fault> {
    access.put(&sink.bucket, &object.key)?;
    let mut pause = sink.backoff;
    let mut attempts_left = sink.retries;
    loop {
        let body = object.body.clone();
        let source: Source = Box::new(move || body.reader());
        match s3.put_object(&sink.bucket, &object.key, CONTENT_TYPE, source).await {
            Ok(()) => return Ok(()),
            Err(refused) if refused.status >= 500 && attempts_left > 0 => {
                attempts_left -= 1;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(refused) => return Err(failed(&sink.bucket, &refused)),
        }
    }
}

/// In the words of the connector.
pub(super) fn failed(bucket: &str, refused: &S3Refused) -> Fault {
    match refused.code.as_str() {
        "NoSuchBucket" => Fault::configuration(format!("Non-existent S3 bucket: {bucket}")),
        _ => Fault::task(refused.to_string()),
    }
}
