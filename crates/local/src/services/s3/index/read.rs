//! Reading the index, in a read or a write transaction alike.

use std::collections::HashSet;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use s3s::{S3Error, s3_error};
use serde::de::DeserializeOwned;

use super::{BUCKETS, Document, PARTS, PartKey, Refusal, UPLOADS, UploadKey, VERSIONS, VersionKey};
use crate::services::s3::blobs::BlobId;
use crate::services::s3::records::{BucketRecord, PartRecord, UploadRecord, VersionRecord};
use crate::store::StoreError;

/// A transaction that can be read from.
pub(in crate::services::s3) trait Read {
    fn buckets(&self) -> Result<impl ReadableTable<&'static str, Document>, StoreError>;
    fn versions(&self) -> Result<impl ReadableTable<VersionKey, Document>, StoreError>;
    fn uploads(&self) -> Result<impl ReadableTable<UploadKey, Document>, StoreError>;
    fn parts(&self) -> Result<impl ReadableTable<PartKey, Document>, StoreError>;

    /// The bucket, or `NoSuchBucket`.
    fn bucket(&self, name: &str) -> Result<BucketRecord, Refusal> {
        self.find_bucket(name)?.ok_or_else(|| no_such_bucket().into())
    }

    fn find_bucket(&self, name: &str) -> Result<Option<BucketRecord>, Refusal> {
        let table = self.buckets()?;
        let Some(found) = table.get(name).map_err(StoreError::from)? else { return Ok(None) };
        Ok(Some(decode("buckets", found.value())?))
    }

    /// Every bucket by name.
    fn all_buckets(&self) -> Result<Vec<(String, BucketRecord)>, Refusal> {
        let mut all = Vec::new();
        for row in self.buckets()?.iter().map_err(StoreError::from)? {
            let (name, record) = row.map_err(StoreError::from)?;
            all.push((name.value().to_owned(), decode("buckets", record.value())?));
        }
        Ok(all)
    }

    /// The newest version of a key and its order; it may be a delete marker.
    fn latest(&self, bucket: &str, key: &str) -> Result<Option<(u64, VersionRecord)>, Refusal> {
        let table = self.versions()?;
        let whole_key = (bucket, key.as_bytes(), 0)..=(bucket, key.as_bytes(), u64::MAX);
        let Some(row) = table.range(whole_key).map_err(StoreError::from)?.next() else { return Ok(None) };
        let (place, record) = row.map_err(StoreError::from)?;
        Ok(Some((place.value().2, decode("versions", record.value())?)))
    }

    /// One version of a key by its name; `null` is the version that was written without versioning.
    fn version(&self, bucket: &str, key: &str, name: &str) -> Result<Option<(u64, VersionRecord)>, Refusal> {
        let table = self.versions()?;
        if let Some(inverse) = inverse_order_of(name) {
            let found = table.get((bucket, key.as_bytes(), inverse)).map_err(StoreError::from)?;
            let Some(found) = found else { return Ok(None) };
            let record: VersionRecord = decode("versions", found.value())?;
            return Ok((record.version_name() == name).then_some((inverse, record)));
        }
        let whole_key = (bucket, key.as_bytes(), 0)..=(bucket, key.as_bytes(), u64::MAX);
        for row in table.range(whole_key).map_err(StoreError::from)? {
            let (place, record) = row.map_err(StoreError::from)?;
            let record: VersionRecord = decode("versions", record.value())?;
            if record.version_name() == name {
                return Ok(Some((place.value().2, record)));
            }
        }
        Ok(None)
    }

    /// The upload, or `NoSuchUpload`.
    fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<UploadRecord, Refusal> {
        let table = self.uploads()?;
        let found = table.get((bucket, key.as_bytes(), id)).map_err(StoreError::from)?;
        let found = found.ok_or_else(no_such_upload)?;
        Ok(decode("uploads", found.value())?)
    }

    /// The parts of an upload after a part number, in order.
    fn parts_of(&self, upload: &str, after: u16) -> Result<Vec<(u16, PartRecord)>, Refusal> {
        let mut parts = Vec::new();
        if after == u16::MAX {
            return Ok(parts);
        }
        let rest = (upload, after + 1)..=(upload, u16::MAX);
        for row in self.parts()?.range(rest).map_err(StoreError::from)? {
            let (place, record) = row.map_err(StoreError::from)?;
            parts.push((place.value().1, decode("parts", record.value())?));
        }
        Ok(parts)
    }

    /// Whether a version, delete marker or upload is left in a bucket.
    fn is_empty(&self, bucket: &str) -> Result<bool, Refusal> {
        let versions = self.versions()?;
        let first: (&str, &[u8], u64) = (bucket, &[], 0);
        if let Some(row) = versions.range(first..).map_err(StoreError::from)?.next() {
            let (place, _) = row.map_err(StoreError::from)?;
            if place.value().0 == bucket {
                return Ok(false);
            }
        }
        let uploads = self.uploads()?;
        let first: (&str, &[u8], &str) = (bucket, &[], "");
        if let Some(row) = uploads.range(first..).map_err(StoreError::from)?.next() {
            let (place, _) = row.map_err(StoreError::from)?;
            return Ok(place.value().0 != bucket);
        }
        Ok(true)
    }

    /// Every file that a version or a part names.
    fn named_blobs(&self) -> Result<HashSet<BlobId>, Refusal> {
        let mut named = HashSet::new();
        for row in self.versions()?.iter().map_err(StoreError::from)? {
            let (_, record) = row.map_err(StoreError::from)?;
            let record: VersionRecord = decode("versions", record.value())?;
            named.extend(record.blob);
        }
        for row in self.parts()?.iter().map_err(StoreError::from)? {
            let (_, record) = row.map_err(StoreError::from)?;
            let record: PartRecord = decode("parts", record.value())?;
            named.insert(record.blob);
        }
        Ok(named)
    }
}

impl Read for ReadTransaction {
    fn buckets(&self) -> Result<impl ReadableTable<&'static str, Document>, StoreError> {
        Ok(self.open_table(BUCKETS)?)
    }
    fn versions(&self) -> Result<impl ReadableTable<VersionKey, Document>, StoreError> {
        Ok(self.open_table(VERSIONS)?)
    }
    fn uploads(&self) -> Result<impl ReadableTable<UploadKey, Document>, StoreError> {
        Ok(self.open_table(UPLOADS)?)
    }
    fn parts(&self) -> Result<impl ReadableTable<PartKey, Document>, StoreError> {
        Ok(self.open_table(PARTS)?)
    }
}

impl Read for WriteTransaction {
    fn buckets(&self) -> Result<impl ReadableTable<&'static str, Document>, StoreError> {
        Ok(self.open_table(BUCKETS)?)
    }
    fn versions(&self) -> Result<impl ReadableTable<VersionKey, Document>, StoreError> {
        Ok(self.open_table(VERSIONS)?)
    }
    fn uploads(&self) -> Result<impl ReadableTable<UploadKey, Document>, StoreError> {
        Ok(self.open_table(UPLOADS)?)
    }
    fn parts(&self) -> Result<impl ReadableTable<PartKey, Document>, StoreError> {
        Ok(self.open_table(PARTS)?)
    }
}

/// Reads a document of a table.
pub(in crate::services::s3) fn decode<T: DeserializeOwned>(table: &'static str, text: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(text).map_err(|source| StoreError::Document { table, source })
}

/// The id of a version carries its order: sixteen hexadecimal digits of it, then sixteen random ones.
pub(super) fn version_id(order: u64) -> String {
    format!("{order:016x}{:016x}", rand::random::<u64>())
}

/// Where a version with this id stands among its key's versions; `None` for `null` and for what is no id.
pub(in crate::services::s3) fn inverse_order_of(version_id: &str) -> Option<u64> {
    if version_id.len() != 32 || !version_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let order = u64::from_str_radix(version_id.get(..16)?, 16).ok()?;
    Some(u64::MAX - order)
}

fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}
