//! Listings: ordered walks over the index that jump over whatever a page does not show.
//!
//! Rules of ListObjectsV2, ListObjectVersions and ListMultipartUploads: names come by the bytes of their UTF-8;
//! those that share a prefix up to the delimiter are one entry; an entry, single or grouped, is listed if it is
//! greater than the marker. A group costs one seek however many keys it holds.

use redb::ReadableTable;

use super::index::{Document, Read, Refusal, UploadKey, VersionKey, decode, inverse_order_of};
use super::records::{UploadRecord, VersionRecord};
use crate::store::StoreError;

/// What is asked of a listing.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    /// Only entries greater than this; empty for all.
    pub(super) after: String,
    pub(super) limit: usize,
}

/// One line of a listing.
#[derive(Clone, Debug)]
pub(super) enum Entry<T> {
    One(String, T),
    /// All names that share this prefix.
    Group(String),
}

impl<T> Entry<T> {
    pub(super) fn name(&self) -> &str {
        match self {
            Entry::One(name, _) | Entry::Group(name) => name,
        }
    }
}

/// A version in a listing of versions.
#[derive(Clone, Debug)]
pub(super) struct ListedVersion {
    pub(super) record: VersionRecord,
    pub(super) is_latest: bool,
}

/// A page, and whether there is more.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) entries: Vec<Entry<T>>,
    pub(super) truncated: bool,
}

impl<T> Page<T> {
    fn new() -> Page<T> {
        Page { entries: Vec::new(), truncated: false }
    }

    /// Adds an entry; false when the page was full before.
    fn add(&mut self, entry: Entry<T>, limit: usize) -> bool {
        if self.entries.len() < limit {
            self.entries.push(entry);
            return true;
        }
        // With `max-keys=0` AWS says that nothing is left out.
        self.truncated = limit > 0;
        false
    }

    /// Where the next page goes on.
    pub(super) fn last_name(&self) -> Option<&str> {
        self.entries.last().map(Entry::name)
    }
}

/// What a name is to a query.
enum Place<'n> {
    Outside,
    Single,
    Group(&'n [u8]),
}

impl Query {
    fn place<'n>(&self, name: &'n [u8]) -> Place<'n> {
        let Some(rest) = name.strip_prefix(self.prefix.as_bytes()) else { return Place::Outside };
        let Some(delimiter) = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()) else {
            return Place::Single;
        };
        let delimiter = delimiter.as_bytes();
        match rest.windows(delimiter.len()).position(|window| window == delimiter) {
            Some(at) => Place::Group(&name[..self.prefix.len() + at + delimiter.len()]),
            None => Place::Single,
        }
    }

    /// The first name that may be listed.
    fn start(&self) -> Vec<u8> {
        if self.after.is_empty() || self.after.as_bytes() < self.prefix.as_bytes() {
            return self.prefix.clone().into_bytes();
        }
        next_name(self.after.as_bytes())
    }

    fn shows_group(&self, group: &[u8]) -> bool {
        group > self.after.as_bytes()
    }
}

/// The keys that are there now: newest versions that are no delete markers.
pub(super) fn list_objects(read: &impl Read, query: &Query) -> Result<Page<VersionRecord>, Refusal> {
    let table = read.versions()?;
    let mut page = Page::new();
    let mut from = Some(query.start());
    while let Some(start) = from.take() {
        let mut seen: Option<Vec<u8>> = None;
        for row in range(&table, &query.bucket, &start, 0)? {
            let (place, record) = row.map_err(StoreError::from)?;
            let (bucket, name, _) = place.value();
            if bucket != query.bucket {
                return Ok(page);
            }
            if seen.as_deref() == Some(name) {
                // Older versions: jump to the next key, there may be thousands.
                from = Some(next_name(name));
                break;
            }
            let group = match query.place(name) {
                Place::Outside => return Ok(page),
                Place::Group(group) if !query.shows_group(group) => {
                    from = after_group(group);
                    break;
                }
                Place::Group(group) => Some(group),
                Place::Single => None,
            };
            let record: VersionRecord = decode("versions", record.value())?;
            seen = Some(name.to_vec());
            if record.delete_marker {
                continue;
            }
            let entry = match group {
                Some(group) => Entry::Group(text(group)),
                None => Entry::One(text(name), record),
            };
            if !page.add(entry, query.limit) {
                return Ok(page);
            }
            if let Some(group) = group {
                from = after_group(group);
                break;
            }
        }
    }
    Ok(page)
}

/// Every version and delete marker, newest first for each key. `after_version` goes on inside the key `query.after`.
pub(super) fn list_versions(
    read: &impl Read,
    query: &Query,
    after_version: Option<&str>,
) -> Result<Page<ListedVersion>, Refusal> {
    let mut start = (query.start(), 0);
    let mut last_key = None;
    if let Some(version) = after_version {
        let inverse = match inverse_order_of(version) {
            Some(inverse) => Some(inverse),
            None => read.version(&query.bucket, &query.after, version)?.map(|(inverse, _)| inverse),
        };
        if let Some(inverse) = inverse.filter(|inverse| *inverse < u64::MAX) {
            start = (query.after.clone().into_bytes(), inverse + 1);
            last_key = Some(query.after.clone().into_bytes());
        }
    }
    let table = read.versions()?;
    let mut page = Page::new();
    let mut from = Some(start);
    while let Some((name, inverse)) = from.take() {
        for row in range(&table, &query.bucket, &name, inverse)? {
            let (place, record) = row.map_err(StoreError::from)?;
            let (bucket, name, _) = place.value();
            if bucket != query.bucket {
                return Ok(page);
            }
            match query.place(name) {
                Place::Outside => return Ok(page),
                Place::Group(group) => {
                    if query.shows_group(group) && !page.add(Entry::Group(text(group)), query.limit) {
                        return Ok(page);
                    }
                    from = after_group(group).map(|name| (name, 0));
                    break;
                }
                Place::Single => {
                    let is_latest = last_key.as_deref() != Some(name);
                    last_key = Some(name.to_vec());
                    let record = decode("versions", record.value())?;
                    let entry = Entry::One(text(name), ListedVersion { record, is_latest });
                    if !page.add(entry, query.limit) {
                        return Ok(page);
                    }
                }
            }
        }
    }
    Ok(page)
}

/// Uploads in progress by key and id. `after_upload` goes on inside the key `query.after`.
pub(super) fn list_uploads(
    read: &impl Read,
    query: &Query,
    after_upload: Option<&str>,
) -> Result<Page<(String, UploadRecord)>, Refusal> {
    let mut start = (query.start(), String::new());
    if let Some(upload) = after_upload {
        start = (query.after.clone().into_bytes(), format!("{upload}\0"));
    }
    let table = read.uploads()?;
    let mut page = Page::new();
    let mut from = Some(start);
    while let Some((name, upload)) = from.take() {
        for row in upload_range(&table, &query.bucket, &name, &upload)? {
            let (place, record) = row.map_err(StoreError::from)?;
            let (bucket, name, id) = place.value();
            if bucket != query.bucket {
                return Ok(page);
            }
            match query.place(name) {
                Place::Outside => return Ok(page),
                Place::Group(group) => {
                    if query.shows_group(group) && !page.add(Entry::Group(text(group)), query.limit) {
                        return Ok(page);
                    }
                    from = after_group(group).map(|name| (name, String::new()));
                    break;
                }
                Place::Single => {
                    let record = decode("uploads", record.value())?;
                    if !page.add(Entry::One(text(name), (id.to_owned(), record)), query.limit) {
                        return Ok(page);
                    }
                }
            }
        }
    }
    Ok(page)
}

fn range<'t>(
    table: &'t impl ReadableTable<VersionKey, Document>,
    bucket: &str,
    name: &[u8],
    inverse: u64,
) -> Result<redb::Range<'t, VersionKey, Document>, StoreError> {
    Ok(table.range((bucket, name, inverse)..)?)
}

fn upload_range<'t>(
    table: &'t impl ReadableTable<UploadKey, Document>,
    bucket: &str,
    name: &[u8],
    upload: &str,
) -> Result<redb::Range<'t, UploadKey, Document>, StoreError> {
    Ok(table.range((bucket, name, upload)..)?)
}

/// The least name greater than this one.
fn next_name(name: &[u8]) -> Vec<u8> {
    let mut next = name.to_vec();
    next.push(0);
    next
}

/// The least name greater than all that start with this group; `None` if there is none.
fn after_group(group: &[u8]) -> Option<Vec<u8>> {
    let mut next = group.to_vec();
    while let Some(last) = next.pop() {
        if last < u8::MAX {
            next.push(last + 1);
            return Some(next);
        }
    }
    None
}

/// Names come from `&str` keys; a group ends after a whole delimiter.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
