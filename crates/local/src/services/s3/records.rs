//! What the index keeps: a record a bucket, a version of an object, an upload and a part.
//!
//! Bucket settings are kept as the protocol types of `s3s`, so what was put is what is read back.

use std::collections::BTreeMap;

use s3s::dto::{LifecycleRule, PublicAccessBlockConfiguration, ServerSideEncryptionConfiguration};
use serde::{Deserialize, Serialize};

use super::blobs::BlobId;
use super::checksums::Checksums;

/// Key and value pairs in the order they were given.
pub(super) type Tags = Vec<(String, String)>;

/// Whether a bucket keeps old versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Versioning {
    /// Never was enabled: a key has at most one version, whose id is `null`.
    #[default]
    Off,
    /// Every write makes a version.
    Enabled,
    /// Old versions stay; a write replaces the `null` version.
    Suspended,
}

/// A bucket and its settings; `None` is "never set", which most reads answer with a 404.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BucketRecord {
    pub(super) created_millis: i64,
    pub(super) region: String,
    #[serde(default)]
    pub(super) versioning: Versioning,
    #[serde(default)]
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) tags: Tags,
    /// `None` is SSE-S3, which AWS applies to every bucket since January 2023.
    #[serde(default)]
    pub(super) encryption: Option<ServerSideEncryptionConfiguration>,
    #[serde(default)]
    pub(super) public_access_block: Option<PublicAccessBlockConfiguration>,
    #[serde(default)]
    pub(super) ownership: Option<String>,
    #[serde(default)]
    pub(super) lifecycle: Option<Lifecycle>,
}

/// The lifecycle rules of a bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lifecycle {
    pub(super) rules: Vec<LifecycleRule>,
    pub(super) transition_default_minimum_object_size: String,
}

/// What a writer says about an object beside its bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Description {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<String>,
    /// Seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) website_redirect: Option<String>,
    /// `None` is `STANDARD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) storage_class: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) encryption: Encryption,
}

/// The encryption an object was asked to have. Nothing is encrypted here: the name is kept and answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Encryption {
    pub(super) algorithm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kms_key: Option<String>,
}

impl Default for Encryption {
    fn default() -> Encryption {
        Encryption { algorithm: "AES256".to_owned(), kms_key: None }
    }
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct VersionRecord {
    /// `None` is the `null` version of a bucket that is not versioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version_id: Option<String>,
    #[serde(default)]
    pub(super) delete_marker: bool,
    pub(super) modified_millis: i64,
    /// Without its quotes.
    #[serde(default)]
    pub(super) etag: String,
    #[serde(default)]
    pub(super) size: u64,
    /// `None` for a delete marker.
    #[serde(default)]
    pub(super) blob: Option<BlobId>,
    #[serde(default)]
    pub(super) description: Description,
    #[serde(default)]
    pub(super) checksums: Checksums,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Tags,
    /// Sizes of the parts of a multipart upload, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) part_sizes: Vec<u64>,
    /// The multipart upload it was, so that completing twice is answered alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upload_id: Option<String>,
}

impl VersionRecord {
    /// The id as requests and answers spell it.
    pub(super) fn version_name(&self) -> &str {
        self.version_id.as_deref().unwrap_or("null")
    }
}

/// A multipart upload in progress.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) initiated_millis: i64,
    pub(super) description: Description,
    #[serde(default)]
    pub(super) tags: Tags,
    /// The checksum algorithm that was asked for, such as `CRC32`.
    pub(super) checksum_algorithm: Option<String>,
    /// `FULL_OBJECT` or `COMPOSITE`, where an algorithm was asked for.
    pub(super) checksum_type: Option<String>,
}

/// One uploaded part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) modified_millis: i64,
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) blob: BlobId,
    pub(super) checksums: Checksums,
}
