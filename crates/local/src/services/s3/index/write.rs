//! Changing the index: what one request does inside a shared commit.

use std::cell::RefCell;

use redb::{ReadableTable, WriteTransaction};
use serde::Serialize;

use super::read::version_id;
use super::{BUCKETS, COUNTERS, PARTS, Read, Refusal, UPLOADS, VERSIONS};
use crate::services::s3::blobs::BlobId;
use crate::services::s3::records::{BucketRecord, PartRecord, UploadRecord, VersionRecord, Versioning};
use crate::store::StoreError;

/// One request's hand on the transaction, and the files that are garbage once it is committed.
pub(in crate::services::s3) struct Writer<'t> {
    transaction: &'t WriteTransaction,
    garbage: RefCell<Vec<BlobId>>,
}

/// What a delete did.
#[derive(Debug, PartialEq)]
pub(in crate::services::s3) struct Deleted {
    /// The version that was removed, or the delete marker that was made; `None` in a bucket without versions.
    pub(in crate::services::s3) version: Option<String>,
    /// Whether that version is, or was, a delete marker.
    pub(in crate::services::s3) delete_marker: bool,
}

impl<'t> Writer<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Writer<'t> {
        Writer { transaction, garbage: RefCell::default() }
    }

    /// The files to unlink after the commit.
    pub(super) fn into_garbage(self) -> Vec<BlobId> {
        self.garbage.into_inner()
    }

    /// The same transaction, for reading.
    pub(in crate::services::s3) fn read(&self) -> &impl Read {
        self.transaction
    }

    pub(in crate::services::s3) fn put_bucket(&self, name: &str, record: &BucketRecord) -> Result<(), Refusal> {
        let mut table = self.transaction.open_table(BUCKETS).map_err(StoreError::from)?;
        table.insert(name, encode("buckets", record)?.as_slice()).map_err(StoreError::from)?;
        Ok(())
    }

    pub(in crate::services::s3) fn remove_bucket(&self, name: &str) -> Result<(), Refusal> {
        let mut table = self.transaction.open_table(BUCKETS).map_err(StoreError::from)?;
        table.remove(name).map_err(StoreError::from)?;
        Ok(())
    }

    /// Writes a new current version by the bucket's versioning, and returns it with its id.
    pub(in crate::services::s3) fn put_version(
        &self,
        versioning: Versioning,
        bucket: &str,
        key: &str,
        mut record: VersionRecord,
    ) -> Result<VersionRecord, Refusal> {
        let order = self.next_order()?;
        if versioning == Versioning::Enabled {
            record.version_id = Some(version_id(order));
        } else {
            record.version_id = None;
            self.remove_version(bucket, key, "null")?;
        }
        self.replace_version(bucket, key, u64::MAX - order, &record)?;
        Ok(record)
    }

    /// Rewrites a version where it stands, such as with other tags.
    pub(in crate::services::s3) fn replace_version(
        &self,
        bucket: &str,
        key: &str,
        inverse: u64,
        record: &VersionRecord,
    ) -> Result<(), Refusal> {
        let mut table = self.transaction.open_table(VERSIONS).map_err(StoreError::from)?;
        let text = encode("versions", record)?;
        table.insert((bucket, key.as_bytes(), inverse), text.as_slice()).map_err(StoreError::from)?;
        Ok(())
    }

    /// Removes one version for good, if it is there.
    pub(in crate::services::s3) fn remove_version(
        &self,
        bucket: &str,
        key: &str,
        name: &str,
    ) -> Result<Option<VersionRecord>, Refusal> {
        let Some((inverse, record)) = self.transaction.version(bucket, key, name)? else { return Ok(None) };
        let mut table = self.transaction.open_table(VERSIONS).map_err(StoreError::from)?;
        table.remove((bucket, key.as_bytes(), inverse)).map_err(StoreError::from)?;
        self.garbage.borrow_mut().extend(record.blob.clone());
        Ok(Some(record))
    }

    /// Deletes a key or one version of it, as DeleteObject does.
    pub(in crate::services::s3) fn delete(
        &self,
        versioning: Versioning,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        now_millis: i64,
    ) -> Result<Deleted, Refusal> {
        if let Some(version) = version {
            let removed = self.remove_version(bucket, key, version)?;
            let delete_marker = removed.is_some_and(|record| record.delete_marker);
            return Ok(Deleted { version: Some(version.to_owned()), delete_marker });
        }
        if versioning == Versioning::Off {
            self.remove_version(bucket, key, "null")?;
            return Ok(Deleted { version: None, delete_marker: false });
        }
        let marker = VersionRecord { delete_marker: true, modified_millis: now_millis, ..VersionRecord::default() };
        let marker = self.put_version(versioning, bucket, key, marker)?;
        Ok(Deleted { version: Some(marker.version_name().to_owned()), delete_marker: true })
    }

    pub(in crate::services::s3) fn put_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        record: &UploadRecord,
    ) -> Result<(), Refusal> {
        let mut table = self.transaction.open_table(UPLOADS).map_err(StoreError::from)?;
        let text = encode("uploads", record)?;
        table.insert((bucket, key.as_bytes(), id), text.as_slice()).map_err(StoreError::from)?;
        Ok(())
    }

    /// Removes an upload with its parts.
    pub(in crate::services::s3) fn remove_upload(&self, bucket: &str, key: &str, id: &str) -> Result<(), Refusal> {
        let mut uploads = self.transaction.open_table(UPLOADS).map_err(StoreError::from)?;
        uploads.remove((bucket, key.as_bytes(), id)).map_err(StoreError::from)?;
        drop(uploads);
        for (number, part) in self.transaction.parts_of(id, 0)? {
            let mut parts = self.transaction.open_table(PARTS).map_err(StoreError::from)?;
            parts.remove((id, number)).map_err(StoreError::from)?;
            self.garbage.borrow_mut().push(part.blob);
        }
        Ok(())
    }

    /// Writes a part, in the place of one of the same number.
    pub(in crate::services::s3) fn put_part(
        &self,
        upload: &str,
        number: u16,
        record: &PartRecord,
    ) -> Result<(), Refusal> {
        let mut table = self.transaction.open_table(PARTS).map_err(StoreError::from)?;
        let text = encode("parts", record)?;
        if let Some(old) = table.insert((upload, number), text.as_slice()).map_err(StoreError::from)? {
            let old: PartRecord = super::read::decode("parts", old.value())?;
            self.garbage.borrow_mut().push(old.blob);
        }
        Ok(())
    }

    /// A number that grows with every write.
    fn next_order(&self) -> Result<u64, Refusal> {
        let mut table = self.transaction.open_table(COUNTERS).map_err(StoreError::from)?;
        let last = table.get("order").map_err(StoreError::from)?.map_or(0, |last| last.value());
        table.insert("order", last + 1).map_err(StoreError::from)?;
        Ok(last + 1)
    }
}

fn encode<T: Serialize>(table: &'static str, record: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(record).map_err(|source| StoreError::Document { table, source })
}
