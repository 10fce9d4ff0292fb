//! `s3/bucket`: an S3 bucket with its settings, as one resource.
//!
//! Making one is a call that names it and six that set it up, so an interrupted making leaves a bare bucket: an
//! empty bucket of our name without tags, in our account, is taken for that.

use std::time::Duration;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier};
use futures::try_join;
use pinfra_engine::drift::Hints;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::settings;
use crate::clients::{Clients, partition};
use crate::delete::{Holder, delete_once_free};
use crate::error::classify;
use crate::policy::normalise_policy;
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, wait_until};

/// A bucket is there within seconds; one whose name was just given up can take minutes.
const PACE: Pace = Pace { slowest: Duration::from_secs(5), limit: Duration::from_secs(5 * 60) };

/// What one list tells, and what one call deletes, at most.
const PAGE: i32 = 1_000;

/// For how long a bucket is emptied again while somebody writes into it. What was on its way is there by then.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketInputs {
    /// Unique in the world.
    pub name: String,
    /// How objects are encrypted at rest.
    pub encryption: Encryption,
    /// What keeps the bucket from being public.
    pub public_access_block: PublicAccessBlock,
    /// The bucket policy, normalised by [`normalise_policy`].
    pub policy: Option<Value>,
    /// Whether old versions of objects are kept.
    pub versioning: bool,
    /// What is deleted by itself, sorted by id.
    pub lifecycle: Vec<LifecycleRule>,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// How objects are encrypted at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// `AES256` or `aws:kms`.
    pub algorithm: String,
    /// The KMS key, with `aws:kms`.
    pub key: Option<String>,
}

/// The four locks against public access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicAccessBlock {
    /// Refuses ACLs that make something public.
    pub block_public_acls: bool,
    /// Ignores those that are there.
    pub ignore_public_acls: bool,
    /// Refuses policies that make something public.
    pub block_public_policy: bool,
    /// Ignores those that are there.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// All four locked, as AWS makes new buckets.
    pub const ALL: PublicAccessBlock = PublicAccessBlock {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

/// What is deleted by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecycleRule {
    /// Unique in the bucket.
    pub id: String,
    /// Of the keys it is about; empty for all.
    pub prefix: String,
    /// Objects, after so many days.
    pub expire_days: Option<i32>,
    /// Old versions, so many days after they were replaced.
    pub noncurrent_days: Option<i32>,
    /// Unfinished multipart uploads, after so many days.
    pub abort_multipart_days: Option<i32>,
    /// What a rule that somebody else wrote says besides; never asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// When S3 says that it was made: another one of its name was made at another time. It is asked for when the bucket was made
    /// or changed, and where its tags do not say whose it is. Editing a bucket may change it as well (S3 API reference,
    /// `Bucket.CreationDate`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
}

/// The policy that refuses every request that does not come over TLS (S3 user guide, "Security best practices").
/// On loopback there is no network to listen on, and the local cloud does not evaluate it.
pub fn tls_only_policy(bucket: &str, region: &str) -> Value {
    let arn = arn_of(bucket, region);
    normalise_policy(&json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, format!("{arn}/*")],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }],
    }))
}

/// The ARN of a bucket: it names neither region nor account, and yet the partition of both.
pub(super) fn arn_of(bucket: &str, region: &str) -> String {
    format!("arn:{}:s3:::{bucket}", partition(region))
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Bucket {
    clients: Clients,
}

impl Bucket {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Bucket {
        Bucket { clients: clients.clone() }
    }

    async fn tags_if_there(&self, name: &str) -> Result<Option<Tags>, CloudError> {
        match settings::read_tags(&self.clients.s3, name).await {
            Ok(tags) => Ok(Some(tags)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The tags of a bucket that is there, from the list of what is tagged if that has it.
    async fn listed_tags(&self, name: &str) -> Result<Tags, CloudError> {
        let arn = arn_of(name, &self.clients.region);
        match tags::listed(&self.clients, &arn).await {
            Some(tags) => Ok(tags),
            None => settings::read_tags(&self.clients.s3, name).await,
        }
    }

    async fn is_empty(&self, name: &str) -> Result<bool, CloudError> {
        let answer = self.clients.s3.list_object_versions().bucket(name).max_keys(1).send().await;
        let answer = answer.map_err(|error| classify("s3:ListObjectVersions", &error))?;
        Ok(answer.versions().is_empty() && answer.delete_markers().is_empty())
    }

    /// Deletes every version, delete marker and unfinished upload. Where somebody goes on writing, some are left.
    async fn empty(&self, call: &Call, name: &str) -> Result<(), CloudError> {
        let s3 = &self.clients.s3;
        let (mut deleted, mut ends) = (0, 0);
        // Each round lists from the start, since what was listed is gone. What is there after an end was written since.
        while ends < 3 {
            let page = s3.list_object_versions().bucket(name).max_keys(PAGE).send().await;
            let page = page.map_err(|error| classify("s3:ListObjectVersions", &error))?;
            let versions = page.versions().iter().map(|v| (v.key.clone(), v.version_id.clone()));
            let markers = page.delete_markers().iter().map(|m| (m.key.clone(), m.version_id.clone()));
            let identifiers = versions
                .chain(markers)
                .map(|(key, version)| ObjectIdentifier::builder().set_key(key).set_version_id(version).build());
            let identifiers = identifiers.collect::<Result<Vec<_>, _>>();
            let wrong = |error: aws_smithy_types::error::operation::BuildError| {
                CloudError::new(ErrorKind::Other, "s3:DeleteObjects", error.to_string())
            };
            let identifiers = identifiers.map_err(wrong)?;
            if identifiers.is_empty() {
                break;
            }
            deleted += identifiers.len();
            ends += usize::from(page.is_truncated() != Some(true));
            let delete = Delete::builder().set_objects(Some(identifiers)).quiet(true).build().map_err(wrong)?;
            let answer = s3.delete_objects().bucket(name).delete(delete).send().await;
            let answer = answer.map_err(|error| classify("s3:DeleteObjects", &error))?;
            // What failed inside S3 is listed again.
            let passes = |code: Option<&str>| matches!(code, Some("InternalError" | "SlowDown" | "ServiceUnavailable"));
            if let Some(refused) = answer.errors().iter().find(|error| !passes(error.code())) {
                let key = refused.key().unwrap_or_default();
                let message = format!("`{key}` cannot be deleted: {}", refused.message().unwrap_or_default());
                let mut error = CloudError::new(ErrorKind::Permission, "s3:DeleteObjects", message);
                error.code = refused.code().map(str::to_owned);
                error.hint =
                    Some("an object lock or a policy keeps it: lift that, then run the command again".to_owned());
                return Err(error);
            }
            call.progress(format!("{deleted} objects deleted"));
        }
        loop {
            let page = s3.list_multipart_uploads().bucket(name).send().await;
            let page = page.map_err(|error| classify("s3:ListMultipartUploads", &error))?;
            if page.uploads().is_empty() {
                return Ok(());
            }
            for upload in page.uploads() {
                let abort = s3.abort_multipart_upload().bucket(name);
                let abort = abort.set_key(upload.key.clone()).set_upload_id(upload.upload_id.clone());
                match abort.send().await.map_err(|error| classify("s3:AbortMultipartUpload", &error)) {
                    Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
    }

    /// What was written since the bucket was emptied, and with it who writes.
    async fn writer(&self, name: &str) -> Result<Holder, CloudError> {
        let page = self.clients.s3.list_object_versions().bucket(name).max_keys(PAGE).send().await;
        let page = page.map_err(|error| classify("s3:ListObjectVersions", &error))?;
        let newest = page.versions().iter().max_by_key(|version| version.last_modified().map(|time| time.secs()));
        let Some(key) = newest.and_then(|version| version.key()) else {
            return Ok(Holder::Passing("an upload that was just begun".to_owned()));
        };
        let hint = "stop who writes into the bucket (what is written tells who, and so does CloudTrail), then run the command \
                    again";
        Ok(Holder::Staying {
            who: format!("objects that are written as fast as they are deleted, such as `{key}`"),
            hint: hint.to_owned(),
        })
    }

    /// The bucket as it is; `None` when it is gone.
    async fn settings(&self, name: &str) -> Result<Option<BucketInputs>, CloudError> {
        let s3 = &self.clients.s3;
        // Six SDK calls at once make a future of 30 KB, which has no place inside those that wait for it.
        let settings = Box::pin(async {
            try_join!(
                self.listed_tags(name),
                settings::read_encryption(s3, name),
                settings::read_public_access(s3, name),
                settings::read_policy(s3, name),
                settings::read_versioning(s3, name),
                settings::read_lifecycle(s3, name),
            )
        });
        let (tags, encryption, public_access_block, policy, versioning, lifecycle) = match settings.await {
            Ok(settings) => settings,
            Err(gone) if gone.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let name = name.to_owned();
        Ok(Some(BucketInputs { name, encryption, public_access_block, policy, versioning, lifecycle, tags }))
    }

    /// When S3 says that the bucket was made; `None` where the caller may not ask, since only the list of all buckets tells.
    async fn created(&self, name: &str) -> Result<Option<String>, CloudError> {
        let buckets = match self.clients.s3.list_buckets().prefix(name).send().await {
            Ok(answer) => answer.buckets.unwrap_or_default(),
            Err(error) => match classify("s3:ListBuckets", &error) {
                denied if denied.kind == ErrorKind::Permission => return Ok(None),
                error => return Err(error),
            },
        };
        let bucket = buckets.into_iter().find(|bucket| bucket.name() == Some(name));
        Ok(bucket.and_then(|bucket| bucket.creation_date).map(|created| created.to_string()))
    }

    fn live(&self, inputs: BucketInputs, created: Option<String>) -> Live<BucketInputs, BucketOutputs> {
        let (name, arn) = (inputs.name.clone(), arn_of(&inputs.name, &self.clients.region));
        Live { inputs, outputs: BucketOutputs { arn, name, created } }
    }

    async fn is_there(&self, name: &str) -> Result<bool, CloudError> {
        match self.clients.s3.head_bucket().bucket(name).send().await {
            Ok(_) => Ok(true),
            Err(error) => match classify("s3:HeadBucket", &error) {
                gone if gone.kind == ErrorKind::NotFound => Ok(false),
                error => Err(error),
            },
        }
    }
}

impl Resource for Bucket {
    const INFO: KindInfo = KindInfo {
        kind: "s3/bucket",
        summary: "an S3 bucket with its settings",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "3 to 63 of lower-case letters, digits, `-`" },
            Field {
                name: "encryption",
                on_change: OnChange::Update,
                doc: "how new objects are encrypted at rest: `AES256`, or `aws:kms` with a key",
            },
            Field {
                name: "public_access_block",
                on_change: OnChange::Update,
                doc: "the four locks against public access",
            },
            Field { name: "policy", on_change: OnChange::Update, doc: "the bucket policy; by default: TLS only" },
            Field {
                name: "versioning",
                on_change: OnChange::Update,
                doc: "whether replaced and deleted objects are kept as old versions",
            },
            Field {
                name: "lifecycle",
                on_change: OnChange::Update,
                doc: "what is deleted by itself: unfinished uploads, old versions, objects",
            },
            Field { name: "tags", on_change: OnChange::Update, doc: "the bucket's tags and pinfra's own" },
        ],
        outputs: &[
            ("arn", "the bucket's ARN"),
            ("name", "the bucket's name"),
            ("created", "when it was made or edited last, which tells it from another one of its name"),
        ],
        loses: "every object in it",
        usual_create: Duration::from_secs(4),
        usual_update: Duration::from_secs(2),
        usual_delete: Duration::from_secs(3),
    };

    const DRIFT: Hints = Hints { members: &["lifecycle"], works: &[] };

    const CHANGING_OUTPUTS: &'static [&'static str] = &["created"];
    const MARK: Option<&'static str> = Some("created");

    type Inputs = BucketInputs;
    type Outputs = BucketOutputs;

    async fn create(&self, call: &Call, new: &BucketInputs) -> Result<String, CloudError> {
        let what = format!("making the bucket {}", new.name);
        wait_until(call, &what, PACE, || async {
            let request = self.clients.s3.create_bucket().bucket(&new.name);
            // In us-east-1 there must be no constraint (S3 API reference, `CreateBucket`).
            let elsewhere = (self.clients.region != "us-east-1").then(|| {
                let region = BucketLocationConstraint::from(self.clients.region.as_str());
                CreateBucketConfiguration::builder().location_constraint(region).build()
            });
            match request.set_create_bucket_configuration(elsewhere).send().await {
                Ok(_) => Ok(Progress::Ready(new.name.clone())),
                Err(error) => match classify("s3:CreateBucket", &error) {
                    busy if busy.kind == ErrorKind::Conflict => Ok(Progress::Held(busy)),
                    error => Err(error),
                },
            }
        })
        .await
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &BucketInputs,
    ) -> Result<Live<BucketInputs, BucketOutputs>, CloudError> {
        let what = format!("waiting for the bucket {id}");
        let found = wait_until(call, &what, PACE, || async {
            Ok(match self.settings(id).await? {
                Some(found) => Progress::Ready(found),
                None => Progress::Unseen,
            })
        })
        .await?;
        if found != *new {
            settings::write(&self.clients.s3, &found, new).await?;
        }
        Ok(self.live(new.clone(), self.created(id).await?))
    }

    async fn read(&self, id: &str) -> Result<Option<Live<BucketInputs, BucketOutputs>>, CloudError> {
        let Some(inputs) = self.settings(id).await? else { return Ok(None) };
        let created = if tags::are_pinfras(&inputs.tags) { None } else { self.created(id).await? };
        Ok(Some(self.live(inputs, created)))
    }

    async fn find(&self, new: &BucketInputs) -> Result<Option<Found>, CloudError> {
        let name = new.name.clone();
        let tags = match self.tags_if_there(&name).await {
            Ok(None) => return Ok(None),
            Ok(Some(tags)) => tags,
            Err(error) if error.kind == ErrorKind::Permission => {
                let owner = Owner::Theirs("in another account (bucket names are unique in the world)".to_owned());
                return Ok(Some(Found { id: name, owner }));
            }
            Err(error) => return Err(error),
        };
        let bare = tags.is_empty() && self.is_empty(&name).await?;
        let owner = if bare { Owner::Ours } else { tags::owner(&new.tags, &tags) };
        Ok(Some(Found { id: name, owner }))
    }

    async fn update(&self, _call: &Call, _id: &str, old: &BucketInputs, new: &BucketInputs) -> Result<(), CloudError> {
        settings::write(&self.clients.s3, old, new).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let what = format!("deleting the bucket {id}");
        let send = || async {
            if !self.is_there(id).await? {
                return Ok(());
            }
            self.empty(call, id).await?;
            let sent = self.clients.s3.delete_bucket().bucket(id).send().await;
            sent.map(drop).map_err(|error| classify("s3:DeleteBucket", &error))
        };
        delete_once_free(call, &what, PACE, PATIENCE, send, || self.writer(id)).await
    }
}
