//! S3: the `s3s` crate speaks the protocol and checks signatures, everything behind it is kept here.
//!
//! A request comes in at [`S3Front::handle`]. [`operation`] names it; what the local cloud does not have is refused
//! by that name before anything else looks at it. `s3s` then authenticates, parses and calls the handler that the
//! table in [`table`] lists. Handlers read the [`index`] and the [`blobs`], and change them through one thread:
//!
//! 1. bytes are received into a file under a random name, and synced ([`intake`]);
//! 2. one index transaction judges the conditions and names the file ([`index`]);
//! 3. once that is committed the request is answered, and files that lost their name are unlinked.
//!
//! A crash loses nothing that was answered and leaves at most nameless files, which the next start sweeps.
//!
//! Anonymous requests are refused, whatever a bucket's policy says: policies are validated and kept, not evaluated.

mod access;
mod blobs;
mod bucket_settings;
mod buckets;
mod checksums;
mod conditions;
mod copies;
mod deletes;
mod describe;
mod index;
mod inside;
mod intake;
mod lifecycle;
mod lifecycle_sweep;
mod listing;
#[cfg(test)]
mod listing_tests;
mod lists;
mod multipart;
mod objects;
mod operation;
mod permissions;
mod policy;
mod ranges;
mod reads;
mod records;
mod refusals;
mod table;
mod tags;
mod unset_settings;
mod uploads;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use s3s::service::{S3Service, S3ServiceBuilder};

use super::TaggedResource;
use crate::clock::Clock;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::wire::error::ApiError;
use blobs::Blobs;
use index::{Index, Read};

pub use access::{SecretOfKey, Secrets};
pub(crate) use inside::S3Refused;
pub(crate) use intake::Source;
pub use operation::{Operation, operation_of};

/// The names of all operations that are here.
pub(crate) fn operation_names() -> impl Iterator<Item = &'static str> {
    table::names()
}

/// The code of an error in an answer, where it has one.
pub(crate) fn error_code(answer: &http::Response<s3s::Body>) -> Option<String> {
    let refuses = answer.status().is_client_error() || answer.status().is_server_error();
    refuses.then(|| refusals::code_of(answer)).flatten()
}

/// Owner of every bucket and object, as listings show it. AWS shows a canonical id; there is one account here.
const OWNER_ID: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// S3 of the local cloud.
#[derive(Clone, Debug)]
pub struct S3Front {
    cloud: Arc<Cloud>,
    service: S3Service,
    /// Asks for no signature: only for what [`ranges`] has had admitted.
    unguarded: S3Service,
}

/// What the handlers share.
#[derive(Debug)]
struct Cloud {
    index: Arc<Index>,
    blobs: Arc<Blobs>,
    clock: Clock,
    /// When the lifecycle rules are looked at next, in milliseconds of the clock.
    sweep_due: AtomicI64,
}

/// Why S3 did not start.
#[derive(Debug, thiserror::Error)]
pub enum S3OpenError {
    /// The folder cannot be made or read.
    #[error("the S3 folder `{path}` cannot be used")]
    Folder {
        /// Where it is.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The index is damaged, or another process has it open.
    #[error("the S3 index `{path}` cannot be opened; is another local cloud using the same data folder?")]
    Index {
        /// Where it is.
        path: String,
        /// What the database said.
        #[source]
        source: StoreError,
    },
}

impl S3Front {
    /// Opens `<data_dir>/s3`, or makes it, and sweeps what a crash may have left there. Reads the whole index once.
    pub fn open(
        data_dir: &Path,
        clock: Clock,
        _settings: &Settings,
        secrets: Arc<dyn Secrets>,
    ) -> Result<S3Front, S3OpenError> {
        let folder = data_dir.join("s3");
        let at = |source| S3OpenError::Folder { path: folder.display().to_string(), source };
        let blobs = Arc::new(Blobs::open(folder.join("blobs")).map_err(at)?);
        let path = folder.join("index.redb");
        let broken = |source| S3OpenError::Index { path: path.display().to_string(), source };
        let index = Arc::new(Index::open(&path, Arc::clone(&blobs)).map_err(broken)?);
        let named = index.look(|transaction| transaction.named_blobs()).map_err(|refusal| match refusal {
            index::Refusal::Store(source) => broken(source),
            index::Refusal::Answer(answer) => at(std::io::Error::other(answer)),
        })?;
        blobs.sweep(&named).map_err(at)?;

        let cloud = Arc::new(Cloud { index, blobs, clock, sweep_due: AtomicI64::new(0) });
        let mut builder = S3ServiceBuilder::new(table::Handlers { cloud: Arc::clone(&cloud) });
        builder.set_auth(access::Auth { secrets: Arc::clone(&secrets) });
        builder.set_access(access::Access { secrets, cloud: Arc::clone(&cloud) });
        builder.set_host(access::LocalhostNames);
        let mut unguarded = S3ServiceBuilder::new(table::Handlers { cloud: Arc::clone(&cloud) });
        unguarded.set_host(access::LocalhostNames);
        Ok(S3Front { cloud, service: builder.build(), unguarded: unguarded.build() })
    }

    /// Answers one request. Bodies stream in both directions.
    pub async fn handle(&self, request: http::Request<hyper::body::Incoming>) -> http::Response<s3s::Body> {
        let operation = operation_of(&request);
        let resource = request.uri().path().to_owned();
        let request_id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        let answer = if table::has(operation.name) {
            lifecycle_sweep::sweep_if_due(&self.cloud).await;
            if ranges::is_ignored(operation.name, request.headers()) {
                ranges::answer_without(&self.service, &self.unguarded, request.into_parts().0).await
            } else {
                self.service.call(request.map(s3s::Body::from)).await
            }
        } else {
            Ok(refusals::unknown_operation(operation.name))
        };
        let answer = answer.unwrap_or_else(|error| refusals::internal(error.into()));
        refusals::complete(answer, &resource, &request_id)
    }

    /// Refuses a request without looking at it.
    pub(crate) fn refuse(&self, error: &ApiError, resource: &str) -> http::Response<s3s::Body> {
        let request_id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        refusals::complete(refusals::planned(error), resource, &request_id)
    }

    /// The buckets of a region that have tags.
    pub fn tagged(&self, region: &str) -> Vec<TaggedResource> {
        let buckets = self.cloud.index.look(|transaction| transaction.all_buckets()).unwrap_or_default();
        let here = buckets.into_iter().filter(|(_, record)| record.region == region && !record.tags.is_empty());
        here.map(|(name, record)| TaggedResource { arn: format!("arn:aws:s3:::{name}"), tags: record.tags }).collect()
    }
}
