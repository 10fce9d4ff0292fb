//! Taking bytes in: a request's body, or another object, becomes a synced file with its digests.
//!
//! Memory is bounded by [`SLICE`], whatever the size. Hashing and writing run on a thread that may block, a slice
//! at a time, so a slow client holds no thread.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, StdError, TrailingHeaders, s3_error};

use super::blobs::{Blobs, NewBlob};
use super::checksums::{Algorithm, Checksums, Digests, verify_md5};
use super::index::storage_failed;
use super::refusals::custom;

/// How much is gathered before it is hashed and written.
const SLICE: usize = 1 << 20;

/// What a client may take between two pieces of a body before its connection, and its file, are given up.
const MOST_SILENCE: Duration = Duration::from_secs(60);

/// The most bytes of one PUT or one part: 5 GiB.
pub(super) const MOST_BYTES: u64 = 5 << 30;

/// Opens stored bytes for [`gather`], on a thread that may block and when their turn comes.
pub(crate) type Source = Box<dyn FnOnce() -> io::Result<Box<dyn io::Read>> + Send>;

/// What a client says about the bytes that it sends.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) checksums: Checksums,
    /// The algorithm that was named, with or without a value.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) md5: Option<String>,
    pub(super) trailers: Option<TrailingHeaders>,
}

/// Bytes that are on disk and not yet named by the index.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) blob: NewBlob,
    pub(super) size: u64,
    /// Hexadecimal MD5.
    pub(super) etag: String,
    pub(super) checksums: Checksums,
}

/// Reads a body to its end and verifies it.
pub(super) async fn receive(blobs: &Arc<Blobs>, body: Option<StreamingBlob>, said: Said) -> S3Result<Received> {
    let mut algorithms = said.checksums.algorithms();
    algorithms.extend(said.algorithm.filter(|algorithm| !algorithms.contains(algorithm)));
    if algorithms.is_empty() {
        algorithms.push(Algorithm::Crc64Nvme);
    }
    let mut intake = Intake::start(blobs, &algorithms).await?;
    if let Some(mut body) = body {
        let mut slice: Vec<Bytes> = Vec::new();
        let mut gathered = 0;
        while let Some(chunk) = tokio::time::timeout(MOST_SILENCE, body.next()).await.map_err(|_| silent_client())? {
            let chunk = chunk.map_err(|error| broken_body(&error))?;
            gathered += chunk.len();
            slice.push(chunk);
            if gathered >= SLICE {
                intake = intake.take(std::mem::take(&mut slice)).await?;
                gathered = 0;
            }
        }
        intake = intake.take(slice).await?;
    }
    let (received, md5) = intake.finish().await?;
    verify_md5(said.md5.as_deref(), &md5)?;
    said.checksums.verify(&received.checksums)?;
    if let Some(trailers) = said.trailers.and_then(|trailers| trailers.take()) {
        Checksums::of_headers(&trailers).verify(&received.checksums)?;
    }
    Ok(received)
}

/// Reads stored bytes again into a new file: a copy, or the parts of an upload.
pub(super) async fn gather(blobs: &Arc<Blobs>, sources: Vec<Source>, algorithms: Vec<Algorithm>) -> S3Result<Received> {
    let intake = Intake::start(blobs, &algorithms).await?;
    let intake = blocking(move || {
        let mut intake = intake;
        let mut buffer = vec![0; SLICE];
        for source in sources {
            let mut source = source()?;
            loop {
                let read = source.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                intake.write(&buffer[..read])?;
            }
        }
        Ok(intake)
    });
    let (received, _) = intake.await?.finish().await?;
    Ok(received)
}

struct Intake {
    blob: NewBlob,
    digests: Digests,
    size: u64,
}

impl Intake {
    async fn start(blobs: &Arc<Blobs>, algorithms: &[Algorithm]) -> S3Result<Intake> {
        let blobs = Arc::clone(blobs);
        let digests = Digests::new(algorithms);
        blocking(move || Ok(Intake { blob: blobs.create()?, digests, size: 0 })).await
    }

    async fn take(mut self, slice: Vec<Bytes>) -> S3Result<Intake> {
        let more: u64 = slice.iter().map(|chunk| chunk.len() as u64).sum();
        if self.size + more > MOST_BYTES {
            return Err(too_large());
        }
        blocking(move || {
            slice.iter().try_for_each(|chunk| self.write(chunk))?;
            Ok(self)
        })
        .await
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digests.update(bytes);
        self.size += bytes.len() as u64;
        self.blob.write(bytes)
    }

    async fn finish(self) -> S3Result<(Received, [u8; 16])> {
        blocking(move || {
            self.blob.sync()?;
            let (md5, checksums) = self.digests.finish();
            let etag = hex::encode(md5);
            Ok((Received { blob: self.blob, size: self.size, etag, checksums }, md5))
        })
        .await
    }
}

/// Runs file work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> S3Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(storage_failed),
        Err(error) => Err(storage_failed(error)),
    }
}

fn silent_client() -> S3Error {
    s3_error!(
        RequestTimeout,
        "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."
    )
}

pub(super) fn too_large() -> S3Error {
    s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size")
}

/// A body that ended early, or is not what was signed. `s3s` keeps its error types to itself, so the text decides.
fn broken_body(error: &StdError) -> S3Error {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if text.contains("Sha256Mismatch") {
        return custom(
            "XAmzContentSHA256Mismatch",
            400,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "The signature of a chunk of the body does not match.");
    }
    s3_error!(IncompleteBody, "The request body ended early or cannot be read: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_falls_silent_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::open(folder.path().join("blobs")).unwrap());
        let begun = futures::stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"half"))]);
        let body = StreamingBlob::wrap(begun.chain(futures::stream::pending()));
        let refused = receive(&blobs, Some(body), Said::default()).await.unwrap_err();
        assert_eq!(refused.code(), &s3s::S3ErrorCode::RequestTimeout);
        let fans = std::fs::read_dir(folder.path().join("blobs")).unwrap();
        let files: usize = fans.map(|fan| std::fs::read_dir(fan.unwrap().path()).unwrap().count()).sum();
        assert_eq!(files, 0, "what it sent is thrown away");
    }
}
