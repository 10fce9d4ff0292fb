//! Buckets: making, removing, finding and listing them.

use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput, Owner, PublicAccessBlockConfiguration, Timestamp,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};
use time::OffsetDateTime;

use super::index::Read;
use super::records::{BucketRecord, Versioning};
use super::{Cloud, OWNER_ID};

/// AWS allows 10,000 general purpose buckets in an account.
const MOST_BUCKETS: usize = 10_000;

const DEFAULT_REGION: &str = "us-east-1";

impl Cloud {
    /// The bucket, or `NoSuchBucket`.
    pub(super) async fn bucket(&self, name: &str) -> S3Result<BucketRecord> {
        let name = name.to_owned();
        Ok(self.index.read(move |read| read.bucket(&name)).await?)
    }

    /// Changes the settings of a bucket.
    pub(super) async fn alter_bucket(
        &self,
        name: String,
        alter: impl FnOnce(&mut BucketRecord) -> S3Result<()> + Send + 'static,
    ) -> S3Result<()> {
        let change = self.index.change(vec![], move |writer| {
            let mut record = writer.read().bucket(&name)?;
            alter(&mut record)?;
            writer.put_bucket(&name, &record)
        });
        Ok(change.await?)
    }
}

/// The one account, as listings and ACLs show it.
pub(super) fn owner() -> Owner {
    Owner { display_name: Some("local".to_owned()), id: Some(OWNER_ID.to_owned()) }
}

pub(super) async fn create(cloud: &Cloud, request: S3Request<CreateBucketInput>) -> S3Result<CreateBucketOutput> {
    let signed_region = request.region.as_ref().map_or(DEFAULT_REGION, |region| region.as_str()).to_owned();
    let input = request.input;
    let name = input.bucket;
    check_new_name(&name)?;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(s3_error!(NotImplemented, "the local cloud does not have object lock"));
    }
    let constraint = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    let region = bucket_region(&signed_region, constraint.as_ref().map(BucketLocationConstraint::as_str))?;
    let ownership = input.object_ownership.map(|ownership| ownership.as_str().to_owned());
    let record = BucketRecord {
        created_millis: cloud.clock.now_millis(),
        region: region.clone(),
        versioning: Versioning::Off,
        policy: None,
        tags: Vec::new(),
        encryption: None,
        public_access_block: Some(all_blocked()),
        ownership: Some(ownership.unwrap_or_else(|| "BucketOwnerEnforced".to_owned())),
        lifecycle: None,
    };
    let location = format!("/{name}");
    let change = cloud.index.change(vec![], move |writer| {
        if let Some(existing) = writer.read().find_bucket(&name)? {
            // Kept from before there were regions: making one's own bucket again there is no error.
            if existing.region == DEFAULT_REGION && region == DEFAULT_REGION {
                return Ok(());
            }
            return Err(already_yours().into());
        }
        if writer.read().all_buckets()?.len() >= MOST_BUCKETS {
            return Err(too_many_buckets().into());
        }
        writer.put_bucket(&name, &record)
    });
    change.await?;
    Ok(CreateBucketOutput { location: Some(location) })
}

pub(super) async fn delete(cloud: &Cloud, request: S3Request<DeleteBucketInput>) -> S3Result<DeleteBucketOutput> {
    let name = request.input.bucket;
    let change = cloud.index.change(vec![], move |writer| {
        writer.read().bucket(&name)?;
        if !writer.read().is_empty(&name)? {
            return Err(not_empty().into());
        }
        writer.remove_bucket(&name)
    });
    change.await?;
    Ok(DeleteBucketOutput {})
}

pub(super) async fn head(cloud: &Cloud, request: S3Request<HeadBucketInput>) -> S3Result<HeadBucketOutput> {
    let record = cloud.bucket(&request.input.bucket).await?;
    Ok(HeadBucketOutput {
        bucket_region: Some(record.region),
        access_point_alias: Some(false),
        ..HeadBucketOutput::default()
    })
}

pub(super) async fn location(
    cloud: &Cloud,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    let record = cloud.bucket(&request.input.bucket).await?;
    let elsewhere = Some(record.region).filter(|region| region != DEFAULT_REGION);
    Ok(GetBucketLocationOutput { location_constraint: elsewhere.map(BucketLocationConstraint::from) })
}

pub(super) async fn list(cloud: &Cloud, request: S3Request<ListBucketsInput>) -> S3Result<ListBucketsOutput> {
    let input = request.input;
    let limit = input.max_buckets.and_then(|most| usize::try_from(most).ok()).unwrap_or(MOST_BUCKETS);
    let after = input.continuation_token.unwrap_or_default();
    let all = cloud.index.read(|read| read.all_buckets()).await?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let mut wanted = all.into_iter().filter(|(name, record)| {
        *name > after
            && name.starts_with(&prefix)
            && input.bucket_region.as_ref().is_none_or(|region| *region == record.region)
    });
    let buckets: Vec<Bucket> = wanted.by_ref().take(limit).map(|(name, record)| listed(name, record)).collect();
    let more = wanted.next().is_some();
    let continuation_token = if more { buckets.last().and_then(|bucket| bucket.name.clone()) } else { None };
    Ok(ListBucketsOutput { buckets: Some(buckets), continuation_token, owner: Some(owner()), prefix: input.prefix })
}

fn listed(name: String, record: BucketRecord) -> Bucket {
    Bucket {
        bucket_region: Some(record.region),
        creation_date: Some(to_the_millisecond(record.created_millis)),
        name: Some(name),
    }
}

/// S3 tells whole seconds. Here a bucket is made again sooner than that, and its date tells it from the one before.
fn to_the_millisecond(millis: i64) -> Timestamp {
    let nanos = i128::from(millis) * 1_000_000;
    Timestamp::from(OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

fn all_blocked() -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration {
        block_public_acls: Some(true),
        block_public_policy: Some(true),
        ignore_public_acls: Some(true),
        restrict_public_buckets: Some(true),
    }
}

/// `s3s` has checked the characters; these are the reserved names of
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
fn check_new_name(name: &str) -> S3Result<()> {
    let prefixes = ["xn--", "sthree-", "amzn-s3-demo-"];
    let suffixes = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    if prefixes.iter().any(|prefix| name.starts_with(prefix)) || suffixes.iter().any(|suffix| name.ends_with(suffix)) {
        return Err(s3_error!(InvalidBucketName, "The specified bucket is not valid: `{name}` is a reserved name."));
    }
    Ok(())
}

/// Where a bucket is made: the location constraint must be the region that was asked, which us-east-1 does not need
/// and does not take.
fn bucket_region(signed: &str, constraint: Option<&str>) -> S3Result<String> {
    match constraint.filter(|constraint| !constraint.is_empty()) {
        None if signed == DEFAULT_REGION || signed == "aws-global" => Ok(DEFAULT_REGION.to_owned()),
        None => Err(s3_error!(
            IllegalLocationConstraintException,
            "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."
        )),
        Some(constraint) if constraint == DEFAULT_REGION || !(constraint == "EU" || is_region(constraint)) => {
            Err(s3_error!(InvalidLocationConstraint, "The specified location-constraint is not valid"))
        }
        Some("EU") => Ok("eu-west-1".to_owned()),
        Some(constraint) if constraint == signed || signed == DEFAULT_REGION => Ok(constraint.to_owned()),
        Some(constraint) => Err(s3_error!(
            IllegalLocationConstraintException,
            "The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to."
        )),
    }
}

/// Whether it has the form of a region, such as `us-gov-west-1`: new ones need no new version of this.
fn is_region(text: &str) -> bool {
    let Some((place, number)) = text.rsplit_once('-') else { return false };
    let words: Vec<&str> = place.split('-').collect();
    (2..=4).contains(&words.len())
        && words.iter().all(|word| (2..=10).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        && (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn already_yours() -> S3Error {
    s3_error!(
        BucketAlreadyOwnedByYou,
        "Your previous request to create the named bucket succeeded and you already own it."
    )
}

fn not_empty() -> S3Error {
    s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")
}

fn too_many_buckets() -> S3Error {
    s3_error!(TooManyBuckets, "You have attempted to create more buckets than allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_made_in_the_region_that_was_asked() {
        let made =
            |signed, constraint| bucket_region(signed, constraint).map_err(|error| error.code().as_str().to_owned());
        assert_eq!(made("us-east-1", None), Ok("us-east-1".to_owned()));
        assert_eq!(made("us-east-1", Some("eu-west-1")), Ok("eu-west-1".to_owned()));
        assert_eq!(made("eu-west-1", Some("eu-west-1")), Ok("eu-west-1".to_owned()));
        assert_eq!(made("eu-west-1", None), Err("IllegalLocationConstraintException".to_owned()));
        assert_eq!(made("eu-west-1", Some("eu-west-2")), Err("IllegalLocationConstraintException".to_owned()));
        assert_eq!(made("us-east-1", Some("us-gov-west-1")), Ok("us-gov-west-1".to_owned()));
        for nowhere in ["us-east-1", "us-east", "Mars", "eu-west-1-", "-west-1", "xxxxxxxxxxxxxxx-west-1", "eu west-1"]
        {
            assert_eq!(made("us-east-1", Some(nowhere)), Err("InvalidLocationConstraint".to_owned()), "{nowhere}");
        }
    }
}
