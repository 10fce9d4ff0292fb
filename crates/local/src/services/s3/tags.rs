//! Tags of buckets and of objects.
//!
//! Limits of <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>: 10 tags on an object, 50 on a
//! bucket, keys of 128 and values of 256 characters.

use std::collections::HashSet;

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::Cloud;
use super::index::{Read, Refusal};
use super::objects::{find_version, version_to_show};
use super::records::{Tags, VersionRecord};
use super::refusals::custom;

const MOST_ON_BUCKET: usize = 50;
const MOST_ON_OBJECT: usize = 10;

pub(super) async fn get_of_bucket(
    cloud: &Cloud,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<GetBucketTaggingOutput> {
    let tags = cloud.bucket(&request.input.bucket).await?.tags;
    if tags.is_empty() {
        return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
    }
    Ok(GetBucketTaggingOutput { tag_set: to_dto(tags) })
}

pub(super) async fn put_on_bucket(
    cloud: &Cloud,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<PutBucketTaggingOutput> {
    let tags = checked(request.input.tagging.tag_set, MOST_ON_BUCKET)?;
    let alter = cloud.alter_bucket(request.input.bucket, move |record| {
        record.tags = tags;
        Ok(())
    });
    alter.await?;
    Ok(PutBucketTaggingOutput {})
}

pub(super) async fn delete_from_bucket(
    cloud: &Cloud,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<DeleteBucketTaggingOutput> {
    let alter = cloud.alter_bucket(request.input.bucket, |record| {
        record.tags = Vec::new();
        Ok(())
    });
    alter.await?;
    Ok(DeleteBucketTaggingOutput {})
}

pub(super) async fn get_of_object(
    cloud: &Cloud,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<GetObjectTaggingOutput> {
    let GetObjectTaggingInput { bucket, key, version_id, .. } = request.input;
    let (record, versioned) = cloud.version_of(bucket, key, version_id).await?;
    let version_id = version_to_show(versioned, &record);
    Ok(GetObjectTaggingOutput { tag_set: to_dto(record.tags), version_id })
}

pub(super) async fn put_on_object(
    cloud: &Cloud,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<PutObjectTaggingOutput> {
    let PutObjectTaggingInput { bucket, key, version_id, tagging, .. } = request.input;
    let tags = checked(tagging.tag_set, MOST_ON_OBJECT)?;
    let version_id = retag(cloud, bucket, key, version_id, tags).await?;
    Ok(PutObjectTaggingOutput { version_id })
}

pub(super) async fn delete_from_object(
    cloud: &Cloud,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<DeleteObjectTaggingOutput> {
    let DeleteObjectTaggingInput { bucket, key, version_id, .. } = request.input;
    let version_id = retag(cloud, bucket, key, version_id, Vec::new()).await?;
    Ok(DeleteObjectTaggingOutput { version_id })
}

async fn retag(
    cloud: &Cloud,
    bucket: String,
    key: String,
    version: Option<String>,
    tags: Tags,
) -> S3Result<Option<String>> {
    let change = cloud.index.change(vec![], move |writer| -> Result<_, Refusal> {
        let versioning = writer.read().bucket(&bucket)?.versioning;
        let (inverse, record) = find_version(writer.read(), &bucket, &key, version.as_deref())?;
        let record = VersionRecord { tags, ..record };
        writer.replace_version(&bucket, &key, inverse, &record)?;
        Ok(version_to_show(versioning, &record))
    });
    Ok(change.await?)
}

/// The tags of an `x-amz-tagging` header: a URL query.
pub(super) fn of_header(header: Option<&str>) -> S3Result<Tags> {
    let Some(header) = header.filter(|header| !header.is_empty()) else { return Ok(Tags::new()) };
    let wrong = || {
        s3_error!(
            InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
        )
    };
    let mut set = Vec::new();
    for pair in header.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_encoding::percent_decode_str(&text).decode_utf8().map(|text| text.into_owned()).map_err(|_| wrong())
        };
        set.push(Tag { key: Some(decoded(key)?), value: Some(decoded(value)?) });
    }
    checked(set, MOST_ON_OBJECT)
}

fn checked(set: Vec<Tag>, most: usize) -> S3Result<Tags> {
    if set.len() > most {
        let what = if most == MOST_ON_OBJECT { "Object tags" } else { "Bucket tags" };
        return Err(custom("BadRequest", 400, &format!("{what} cannot be greater than {most}")));
    }
    let mut seen = HashSet::new();
    let mut tags = Tags::with_capacity(set.len());
    for tag in set {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        if key.is_empty() || key.chars().count() > 128 {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(invalid("The TagValue you have provided is invalid"));
        }
        if key.starts_with("aws:") {
            return Err(invalid("System tags cannot be added/updated by requester"));
        }
        if !seen.insert(key.clone()) {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
        tags.push((key, value));
    }
    Ok(tags)
}

fn to_dto(tags: Tags) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

fn invalid(why: &'static str) -> S3Error {
    S3Error::with_message(s3s::S3ErrorCode::InvalidTag, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagging_header_is_a_url_query() {
        let tags = of_header(Some("team=data&note=a%2Bb+c&empty")).unwrap();
        let expected = [("team", "data"), ("note", "a+b c"), ("empty", "")];
        assert_eq!(tags, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn tags_over_the_limits_are_refused() {
        let code = |header: &str| of_header(Some(header)).unwrap_err().code().as_str().to_owned();
        assert_eq!(code("a=1&a=2"), "InvalidTag");
        assert_eq!(code("aws:x=1"), "InvalidTag");
        assert_eq!(code("=1"), "InvalidTag");
        assert_eq!(code(&"k".repeat(129)), "InvalidTag");
        let eleven: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
        assert_eq!(code(&eleven.join("&")), "BadRequest");
    }
}
