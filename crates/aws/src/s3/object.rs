//! `s3/object`: a file, or a short text, as an object of a bucket.
//!
//! What it holds is told by the SHA-256 of its bytes. Where S3 keeps that checksum of the whole object it is S3's own
//! word; a large object is uploaded in parts, whose checksum is one of the parts' checksums (S3 user guide, "Checking
//! object integrity"), so there our metadata says it, which nobody else's upload has.

use std::time::Duration;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, MetadataDirective, TaggingDirective};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};

use super::label::{self, LABEL, label};
use super::listing::{Stamp, unchanged};
use super::upload;
use crate::clients::Clients;
use crate::error::{classify, unless_gone};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, wait_until};

/// S3 shows an object as soon as it is written (S3 user guide, "Strong consistency"); a bucket that was made a moment
/// ago may not be known everywhere.
const PACE: Pace = Pace { slowest: Duration::from_secs(2), limit: Duration::from_secs(60) };

/// What the source of a copy is written with ("CopyObject", S3 API reference: URL-encoded).
const IN_SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// The metadata that holds the SHA-256.
pub(super) const SHA256: &str = "sha256";

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectInputs {
    /// The bucket's name.
    pub bucket: Input<String>,
    /// The object's key.
    pub key: String,
    /// The SHA-256 of the bytes that are stored, in hex.
    pub sha256: String,
    /// The file that has these bytes, read when the object is written.
    pub source: Option<String>,
    /// The bytes themselves, where they are a short text; either this or `source`.
    pub content: Option<String>,
    /// The content type.
    pub content_type: String,
    /// Whose it is; the object's metadata holds them ([`mod@label`]).
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectOutputs {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Its version, in a bucket that keeps versions.
    pub version: Option<String>,
    /// By which a list tells that nobody has written it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Object {
    clients: Clients,
}

impl Object {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Object {
        Object { clients: clients.clone() }
    }

    /// Writes metadata alone: S3 copies the object onto itself.
    async fn relabel(&self, new: &ObjectInputs) -> Result<(), CloudError> {
        let (bucket, key) = (bucket_of(new)?, new.key.as_str());
        let request = self.clients.s3.copy_object().bucket(bucket).key(key);
        let request = request.copy_source(format!("{bucket}/{}", utf8_percent_encode(key, IN_SOURCE)));
        let request = request.metadata_directive(MetadataDirective::Replace).metadata(SHA256, &new.sha256);
        let request = request.content_type(&new.content_type).checksum_algorithm(ChecksumAlgorithm::Sha256);
        // The tags that an earlier version put on it are taken off.
        let request = request.tagging_directive(TaggingDirective::Replace).metadata(LABEL, label(&new.tags));
        request.send().await.map(drop).map_err(|error| classify("s3:CopyObject", &error))
    }

    async fn write(&self, new: &ObjectInputs) -> Result<(), CloudError> {
        let target = upload::Target {
            bucket: bucket_of(new)?,
            key: &new.key,
            sha256: &new.sha256,
            content_type: &new.content_type,
            tags: &new.tags,
        };
        match (&new.source, &new.content) {
            (Some(path), None) => upload::file(&self.clients.s3, &target, path).await,
            (None, Some(text)) => {
                upload::whole(&self.clients.s3, &target, ByteStream::from(text.clone().into_bytes())).await
            }
            _ => {
                let message = "a bug: an object has either a file or a text";
                Err(CloudError::new(ErrorKind::Invalid, "s3/object", message))
            }
        }
    }
}

impl Resource for Object {
    const INFO: KindInfo = KindInfo {
        kind: "s3/object",
        summary: "a file, or a short text, as an object of a bucket",
        fields: &[
            Field { name: "bucket", on_change: OnChange::Replace, doc: "the bucket's name" },
            Field { name: "key", on_change: OnChange::Replace, doc: "the object's key, at most 1024 bytes" },
            Field {
                name: "sha256",
                on_change: OnChange::Update,
                doc: "the SHA-256 of the bytes, in hex: another one means another content",
            },
            Field { name: "source", on_change: OnChange::Ignore, doc: "the file that has these bytes" },
            Field { name: "content", on_change: OnChange::Ignore, doc: "the bytes, where they are a short text" },
            Field { name: "content_type", on_change: OnChange::Update, doc: "the content type" },
            Field { name: "tags", on_change: OnChange::Update, doc: "whose it is, in the object's metadata" },
        ],
        outputs: &[
            ("bucket", "the bucket's name"),
            ("key", "the object's key"),
            ("sha256", "the SHA-256 of its bytes"),
            ("version", "its version, in a bucket that keeps versions"),
            ("stamp", "its ETag and when it was written"),
        ],
        loses: "",
        usual_create: Duration::from_secs(5),
        usual_update: Duration::from_secs(5),
        usual_delete: Duration::from_secs(1),
    };
    const CHANGING_OUTPUTS: &'static [&'static str] = &["sha256", "version", "stamp"];

    type Inputs = ObjectInputs;
    type Outputs = ObjectOutputs;

    async fn create(&self, call: &Call, new: &ObjectInputs) -> Result<String, CloudError> {
        let bucket = bucket_of(new)?;
        call.progress("uploading");
        self.write(new).await?;
        Ok(format!("{bucket}/{}", new.key))
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &ObjectInputs,
    ) -> Result<Live<ObjectInputs, ObjectOutputs>, CloudError> {
        let what = format!("waiting for the object {id}");
        let found = wait_until(call, &what, PACE, || async {
            Ok(match self.read(id).await? {
                Some(found) => Progress::Ready(found),
                None => Progress::Unseen,
            })
        })
        .await?;
        if found.inputs == as_read(new) {
            return Ok(Live { inputs: new.clone(), outputs: found.outputs });
        }
        self.update(call, id, &found.inputs, new).await?;
        let written = self.read(id).await?;
        let written = written.ok_or_else(|| {
            let message = "it was deleted while it was being written";
            CloudError::new(ErrorKind::Conflict, format!("writing the object {id}"), message)
        })?;
        // The stamp is of what was asked for, or of nothing.
        let stamp = written.outputs.stamp.filter(|_| written.inputs == as_read(new));
        Ok(Live { inputs: new.clone(), outputs: ObjectOutputs { stamp, ..written.outputs } })
    }

    async fn read(&self, id: &str) -> Result<Option<Live<ObjectInputs, ObjectOutputs>>, CloudError> {
        let (bucket, key) = parts(id)?;
        let stamp = |outputs: &ObjectOutputs| outputs.stamp.clone();
        if let Some(recorded) = unchanged::<Object>(&self.clients, bucket, key, id, stamp).await? {
            return Ok(Some(Live { inputs: as_read(&recorded.inputs), outputs: recorded.outputs }));
        }
        let Some((head, tags)) = head(&self.clients.s3, bucket, key).await? else { return Ok(None) };
        let ours = head.metadata().and_then(|metadata| metadata.get(SHA256));
        let sha256 = whole_checksum(head.checksum_sha256()).or_else(|| ours.cloned()).unwrap_or_default();
        let outputs = ObjectOutputs {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            sha256: sha256.clone(),
            version: head.version_id().map(str::to_owned),
            stamp: Stamp::of(head.metadata(), head.e_tag(), head.last_modified()),
        };
        let inputs = ObjectInputs {
            bucket: Input::Known(bucket.to_owned()),
            key: key.to_owned(),
            sha256,
            source: None,
            content: None,
            content_type: head.content_type().unwrap_or_default().to_owned(),
            tags,
        };
        Ok(Some(Live { inputs, outputs }))
    }

    async fn find(&self, new: &ObjectInputs) -> Result<Option<Found>, CloudError> {
        let bucket = bucket_of(new)?;
        let tags = tags_of(&self.clients.s3, bucket, &new.key).await?;
        let id = format!("{bucket}/{}", new.key);
        Ok(tags.map(|tags| Found { id, owner: tags::owner(&new.tags, &tags) }))
    }

    async fn update(&self, call: &Call, _id: &str, old: &ObjectInputs, new: &ObjectInputs) -> Result<(), CloudError> {
        if old.sha256 == new.sha256 && old.content_type == new.content_type {
            match self.relabel(new).await {
                // S3 copies up to 5 GB in one request.
                Err(error) if error.kind == ErrorKind::Invalid => {}
                done => return done,
            }
        }
        call.progress("uploading");
        self.write(new).await
    }

    fn id_in(global_name: &str) -> Option<String> {
        // `arn:aws:s3:::<bucket>/<key>`
        let id = global_name.rsplit_once(":::")?.1;
        id.split_once('/').is_some_and(|(bucket, key)| !bucket.is_empty() && !key.is_empty()).then(|| id.to_owned())
    }

    async fn delete(&self, _call: &Call, id: &str) -> Result<(), CloudError> {
        let (bucket, key) = parts(id)?;
        delete(&self.clients.s3, bucket, key).await
    }
}

/// What `read` can say of inputs: not where the bytes came from.
fn as_read(inputs: &ObjectInputs) -> ObjectInputs {
    ObjectInputs { source: None, content: None, ..inputs.clone() }
}

/// Bucket and key of an id.
fn parts(id: &str) -> Result<(&str, &str), CloudError> {
    let wrong = || CloudError::new(ErrorKind::Invalid, "s3/object", format!("`{id}` is not `<bucket>/<key>`"));
    id.split_once('/').ok_or_else(wrong)
}

/// The bucket's name, which the engine has resolved.
fn bucket_of(inputs: &ObjectInputs) -> Result<&str, CloudError> {
    Ok(inputs.bucket.known()?)
}

/// In hex, where it is a checksum of the whole object: a composite one ends in the number of parts.
fn whole_checksum(base64: Option<&str>) -> Option<String> {
    base64.and_then(|text| STANDARD.decode(text).ok()).map(hex::encode)
}

/// The SHA-256 of an object's bytes, as far as it is told; `None` when there is none.
pub async fn sha256(clients: &Clients, bucket: &str, key: &str) -> Result<Option<String>, CloudError> {
    let found = Object::new(clients).read(&format!("{bucket}/{key}")).await?;
    Ok(found.map(|live| live.inputs.sha256))
}

/// What S3 tells of an object without its bytes, and its tags; `None` when there is none.
async fn head(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    key: &str,
) -> Result<Option<(HeadObjectOutput, Tags)>, CloudError> {
    let answer = s3.head_object().bucket(bucket).key(key).checksum_mode(ChecksumMode::Enabled).send().await;
    let head = match answer.map_err(|error| classify("s3:HeadObject", &error)) {
        Ok(head) => head,
        Err(gone) if gone.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            // To a `HEAD` S3 says no more than a status: what answers with a code tells whether credentials have expired.
            object_tags(s3, bucket, key).await?;
            return Err(error);
        }
    };
    let tags = match label::read(head.metadata()) {
        Some(tags) => Some(tags),
        None => object_tags(s3, bucket, key).await?,
    };
    Ok(tags.map(|tags| (head, tags)))
}

/// The tags of an object, wherever they are kept; `None` when there is none.
pub(super) async fn tags_of(s3: &aws_sdk_s3::Client, bucket: &str, key: &str) -> Result<Option<Tags>, CloudError> {
    Ok(head(s3, bucket, key).await?.map(|(_, tags)| tags))
}

/// What S3 calls the tags of an object: where objects without a label have them. `None` when there is no such object.
pub(crate) async fn object_tags(s3: &aws_sdk_s3::Client, bucket: &str, key: &str) -> Result<Option<Tags>, CloudError> {
    let answer = s3.get_object_tagging().bucket(bucket).key(key).send().await;
    let answer = unless_gone(answer.map_err(|error| classify("s3:GetObjectTagging", &error)))?;
    Ok(answer.map(|answer| answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()))
}

/// Deletes an object; one that is not there, in a bucket that is not there, is deleted already.
pub(crate) async fn delete(s3: &aws_sdk_s3::Client, bucket: &str, key: &str) -> Result<(), CloudError> {
    let answer = s3.delete_object().bucket(bucket).key(key).send().await;
    unless_gone(answer.map_err(|error| classify("s3:DeleteObject", &error))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_bucket_and_key_and_is_found_in_an_arn() {
        assert_eq!(parts("lake/_pinfra/bin/x.gz").unwrap(), ("lake", "_pinfra/bin/x.gz"));
        assert_eq!(Object::id_in("arn:aws:s3:::lake/a/b").as_deref(), Some("lake/a/b"));
        assert_eq!(Object::id_in("arn:aws:s3:::lake"), None);
    }

    #[test]
    fn a_checksum_of_parts_is_not_the_objects_own() {
        assert_eq!(whole_checksum(Some("AAEC")).as_deref(), Some("000102"));
        assert_eq!(whole_checksum(Some("AAEC-3")), None);
        assert_eq!(whole_checksum(None), None);
    }
}
