//! Listings as the protocol has them: pages, markers, tokens and URL encoding around [`listing`](super::listing).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::Cloud;
use super::buckets::owner;
use super::conditions::{etag, timestamp};
use super::index::Read;
use super::listing::{Entry, ListedVersion, Page, Query};
use super::objects::check_version_id;
use super::records::VersionRecord;

/// The most entries of one page, and how many there are unless asked.
const MOST_ENTRIES: usize = 1000;

/// What S3 leaves as it is with `encoding-type=url`. A space becomes `%20`, which all decoders agree on.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');

/// How names are written into a listing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    pub(super) fn of(asked: Option<&EncodingType>) -> S3Result<Encoding> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Encoding::Plain),
            Some(EncodingType::URL) => Ok(Encoding::Url),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn apply(self, name: &str) -> String {
        match self {
            Encoding::Plain => name.to_owned(),
            Encoding::Url => utf8_percent_encode(name, KEPT).to_string(),
        }
    }
}

/// How many entries a page may have.
pub(super) fn page_size(asked: Option<i32>, argument: &str) -> S3Result<usize> {
    let Some(asked) = asked else { return Ok(MOST_ENTRIES) };
    let asked = usize::try_from(asked);
    let asked = asked
        .map_err(|_| s3_error!(InvalidArgument, "Argument {argument} must be an integer between 0 and 2147483647"))?;
    Ok(asked.min(MOST_ENTRIES))
}

impl Cloud {
    async fn page_of_objects(&self, query: Query) -> S3Result<Page<VersionRecord>> {
        let page = self.index.read(move |read| {
            read.bucket(&query.bucket)?;
            super::listing::list_objects(read, &query)
        });
        Ok(page.await?)
    }
}

pub(super) async fn list_v2(cloud: &Cloud, request: S3Request<ListObjectsV2Input>) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_size(input.max_keys, "maxKeys")?;
    let after = match &input.continuation_token {
        Some(token) => name_of_token(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after,
        limit,
    };
    let page = cloud.page_of_objects(query).await?;
    let shown_owner = input.fetch_owner.unwrap_or(false);
    let next = page.last_name().filter(|_| page.truncated).map(token_of_name);
    let (truncated, key_count) = (page.truncated, page.entries.len());
    let (contents, common_prefixes) = split(page, encoding, shown_owner);
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(input.prefix.as_deref().unwrap_or_default())),
        delimiter: input.delimiter.as_deref().map(|delimiter| encoding.apply(delimiter)),
        start_after: input.start_after.as_deref().map(|name| encoding.apply(name)),
        max_keys: i32::try_from(limit).ok(),
        key_count: i32::try_from(key_count).ok(),
        is_truncated: Some(truncated),
        continuation_token: input.continuation_token,
        next_continuation_token: next,
        encoding_type: input.encoding_type,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        request_charged: None,
    })
}

pub(super) async fn list_v1(cloud: &Cloud, request: S3Request<ListObjectsInput>) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_size(input.max_keys, "maxKeys")?;
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: input.marker.clone().unwrap_or_default(),
        limit,
    };
    let page = cloud.page_of_objects(query).await?;
    // Without a delimiter the last key is the marker, and S3 does not repeat it.
    let grouped = input.delimiter.as_deref().is_some_and(|delimiter| !delimiter.is_empty());
    let next = page.last_name().filter(|_| page.truncated && grouped).map(|name| encoding.apply(name));
    let truncated = page.truncated;
    let (contents, common_prefixes) = split(page, encoding, true);
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(input.prefix.as_deref().unwrap_or_default())),
        delimiter: input.delimiter.as_deref().map(|delimiter| encoding.apply(delimiter)),
        marker: Some(encoding.apply(input.marker.as_deref().unwrap_or_default())),
        next_marker: next,
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(truncated),
        encoding_type: input.encoding_type,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        request_charged: None,
    })
}

fn split(page: Page<VersionRecord>, encoding: Encoding, shown_owner: bool) -> (Vec<Object>, Vec<CommonPrefix>) {
    let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
    for entry in page.entries {
        match entry {
            Entry::Group(prefix) => prefixes.push(CommonPrefix { prefix: Some(encoding.apply(&prefix)) }),
            Entry::One(key, record) => contents.push(Object {
                key: Some(encoding.apply(&key)),
                last_modified: Some(timestamp(record.modified_millis)),
                e_tag: Some(etag(&record.etag)),
                size: i64::try_from(record.size).ok(),
                checksum_algorithm: Some(algorithms(&record)),
                checksum_type: record.checksums.kind(),
                storage_class: Some(ObjectStorageClass::from(storage_class(&record))),
                owner: shown_owner.then(owner),
                restore_status: None,
            }),
        }
    }
    (contents, prefixes)
}

pub(super) async fn list_versions(
    cloud: &Cloud,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<ListObjectVersionsOutput> {
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_size(input.max_keys, "maxKeys")?;
    let after = input.key_marker.clone().unwrap_or_default();
    let version_marker = input.version_id_marker.clone().filter(|marker| !marker.is_empty());
    if let Some(marker) = &version_marker {
        if after.is_empty() {
            return Err(s3_error!(InvalidArgument, "A version-id marker cannot be specified without a key marker."));
        }
        check_version_id(marker)?;
    }
    let query = Query {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after,
        limit,
    };
    let page = cloud.index.read(move |read| {
        read.bucket(&query.bucket)?;
        super::listing::list_versions(read, &query, version_marker.as_deref())
    });
    let page = page.await?;
    let next_key = page.last_name().filter(|_| page.truncated).map(|name| encoding.apply(name));
    let next_version = match page.entries.last().filter(|_| page.truncated) {
        Some(Entry::One(_, listed)) => Some(listed.record.version_name().to_owned()),
        _ => None,
    };
    let mut output = ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(input.prefix.as_deref().unwrap_or_default())),
        delimiter: input.delimiter.as_deref().map(|delimiter| encoding.apply(delimiter)),
        key_marker: Some(encoding.apply(input.key_marker.as_deref().unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        next_key_marker: next_key,
        next_version_id_marker: next_version,
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(page.truncated),
        encoding_type: input.encoding_type,
        ..ListObjectVersionsOutput::default()
    };
    let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
    for entry in page.entries {
        match entry {
            Entry::Group(prefix) => prefixes.push(CommonPrefix { prefix: Some(encoding.apply(&prefix)) }),
            Entry::One(key, listed) if listed.record.delete_marker => {
                markers.push(marker(encoding.apply(&key), &listed));
            }
            Entry::One(key, listed) => versions.push(version(encoding.apply(&key), listed)),
        }
    }
    output.versions = Some(versions);
    output.delete_markers = Some(markers);
    output.common_prefixes = Some(prefixes);
    Ok(output)
}

fn version(key: String, listed: ListedVersion) -> ObjectVersion {
    let ListedVersion { record, is_latest } = listed;
    ObjectVersion {
        key: Some(key),
        version_id: Some(record.version_name().to_owned()),
        is_latest: Some(is_latest),
        last_modified: Some(timestamp(record.modified_millis)),
        e_tag: Some(etag(&record.etag)),
        size: i64::try_from(record.size).ok(),
        checksum_algorithm: Some(algorithms(&record)),
        checksum_type: record.checksums.kind(),
        storage_class: Some(ObjectVersionStorageClass::from(storage_class(&record))),
        owner: Some(owner()),
        restore_status: None,
    }
}

fn marker(key: String, listed: &ListedVersion) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        key: Some(key),
        version_id: Some(listed.record.version_name().to_owned()),
        is_latest: Some(listed.is_latest),
        last_modified: Some(timestamp(listed.record.modified_millis)),
        owner: Some(owner()),
    }
}

fn algorithms(record: &VersionRecord) -> Vec<ChecksumAlgorithm> {
    let algorithms = record.checksums.algorithms();
    algorithms.into_iter().map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())).collect()
}

fn storage_class(record: &VersionRecord) -> String {
    record.description.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned())
}

/// A token is the last name of the page before; opaque, so that nobody writes one by hand.
fn token_of_name(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("1{name}"))
}

fn name_of_token(token: &str) -> S3Result<String> {
    let wrong = || s3_error!(InvalidArgument, "The continuation token provided is incorrect");
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    text.strip_prefix('1').map(str::to_owned).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_so_that_every_decoder_reads_them_back() {
        let name = "topics/pin+0+0000000001.json ü%\u{1}&<";
        let encoded = Encoding::Url.apply(name);
        assert_eq!(encoded, "topics/pin%2B0%2B0000000001.json%20%C3%BC%25%01%26%3C");
        assert_eq!(percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap(), name);
        assert_eq!(Encoding::Plain.apply(name), name);
    }

    #[test]
    fn tokens_are_read_back_and_others_refused() {
        assert_eq!(name_of_token(&token_of_name("a//b/ü")).unwrap(), "a//b/ü");
        assert!(name_of_token("a//b").is_err());
        assert!(name_of_token("").is_err());
    }
}
