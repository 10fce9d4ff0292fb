//! `s3/object`.

use pinfra_aws::s3::bucket::Bucket;
use pinfra_aws::s3::object::{Object, ObjectInputs};
use pinfra_engine::value::Input;
use sha2::{Digest, Sha256};

use super::*;

pub(super) fn inputs(bucket: &str, content: &str) -> ObjectInputs {
    ObjectInputs {
        bucket: Input::Known(bucket.to_owned()),
        key: "_pinfra/a b+ü.json".to_owned(),
        sha256: hex::encode(Sha256::digest(content)),
        source: None,
        content: Some(content.to_owned()),
        content_type: "application/json".to_owned(),
        tags: ownership(bucket, &address(), &Tags::new()),
    }
}

fn address() -> Address {
    Address::new("s3/object", "program")
}

/// A bucket to put objects into, and its name.
pub(super) async fn bucket(cloud: &Cloud, name: &str) -> (Bucket, Call, String) {
    let (kind, call) = (Bucket::new(&cloud.clients), Call::silent(Address::new("s3/bucket", "lake")));
    let name = made(&kind, &call, &bucket_inputs(&unique(name))).await;
    (kind, call, name)
}

/// Where the bytes came from cannot be read back.
fn as_read(inputs: &ObjectInputs) -> ObjectInputs {
    ObjectInputs { source: None, content: None, ..inputs.clone() }
}

async fn read(kind: &Object, id: &str) -> ObjectInputs {
    kind.read(id).await.unwrap().unwrap().inputs
}

async fn moved(kind: &Object, call: &Call, id: &str, new: &ObjectInputs) {
    let old = read(kind, id).await;
    kind.update(call, id, &old, new).await.unwrap();
    assert_eq!(kind.settle(call, id, new).await.unwrap().outputs.sha256, new.sha256);
    assert_eq!(read(kind, id).await, as_read(new));
}

#[tokio::test]
async fn an_object_lives_through_every_change() {
    let cloud = cloud().await;
    let (buckets, bucket_call, bucket) = bucket(&cloud, "object").await;
    let (kind, call) = (Object::new(&cloud.clients), Call::silent(address()));
    let mut wanted = inputs(&bucket, "{}");
    assert_eq!(kind.find(&wanted).await.unwrap(), None);
    let id = kind.create(&call, &wanted).await.unwrap();
    assert_eq!(kind.find(&wanted).await.unwrap().unwrap().owner, Owner::Ours);
    assert_eq!(kind.settle(&call, &id, &wanted).await.unwrap().inputs, wanted);
    assert_eq!(read(&kind, &id).await, as_read(&wanted));
    wanted = ObjectInputs { tags: wanted.tags, ..inputs(&bucket, "{\"more\": 1}") };
    moved(&kind, &call, &id, &wanted).await;
    wanted.content_type = "text/plain".to_owned();
    moved(&kind, &call, &id, &wanted).await;
    wanted.tags.insert("team".to_owned(), "data + more".to_owned());
    let puts = cloud.clients.meter.counts()["S3.PutObject"];
    moved(&kind, &call, &id, &wanted).await;
    assert_eq!(cloud.clients.meter.counts()["S3.PutObject"], puts, "another tag is no reason to upload again");
    let mut other = wanted.clone();
    other.tags = ownership("another", &address(), &Tags::new());
    assert!(matches!(kind.find(&other).await.unwrap().unwrap().owner, Owner::Theirs(_)));
    deleted(&kind, &call, &id).await;
    deleted(&buckets, &bucket_call, &bucket).await;
    kind.delete(&call, &id).await.unwrap();
}

#[tokio::test]
async fn what_an_earlier_version_wrote_is_ours_by_its_object_tags() {
    let cloud = cloud().await;
    let (buckets, bucket_call, bucket) = bucket(&cloud, "earlier").await;
    let (kind, call) = (Object::new(&cloud.clients), Call::silent(address()));
    let wanted = inputs(&bucket, "ours");
    let tags: Vec<String> = wanted.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let put = cloud.clients.s3.put_object().bucket(&bucket).key(&wanted.key).content_type(&wanted.content_type);
    let put = put.metadata("sha256", &wanted.sha256).tagging(tags.join("&").replace(':', "%3A").replace('/', "%2F"));
    put.body(b"ours".to_vec().into()).send().await.unwrap();
    let found = kind.find(&wanted).await.unwrap().unwrap();
    assert_eq!(found.owner, Owner::Ours);
    let there = kind.read(&found.id).await.unwrap().unwrap();
    assert_eq!(there.inputs, as_read(&wanted));
    assert_eq!(there.outputs.stamp, None, "its tags change without a trace, so it is always read");
    // Written again, it carries them where a list tells of every change.
    let more = ObjectInputs { tags: [("team".to_owned(), "data".to_owned())].into(), ..wanted.clone() };
    moved(&kind, &call, &found.id, &more).await;
    assert!(kind.read(&found.id).await.unwrap().unwrap().outputs.stamp.is_some());
    let left = cloud.clients.s3.get_object_tagging().bucket(&bucket).key(&wanted.key).send().await.unwrap();
    assert_eq!(left.tag_set().len(), 0);
    deleted(&buckets, &bucket_call, &bucket).await;
}

#[tokio::test]
async fn what_somebody_else_wrote_into_an_object_is_seen() {
    let cloud = cloud().await;
    let (buckets, bucket_call, bucket) = bucket(&cloud, "edited").await;
    let (kind, call) = (Object::new(&cloud.clients), Call::silent(address()));
    let wanted = inputs(&bucket, "ours");
    let id = kind.create(&call, &wanted).await.unwrap();
    let put = cloud.clients.s3.put_object().bucket(&bucket).key(&wanted.key);
    put.body(b"theirs".to_vec().into()).send().await.unwrap();
    let found = read(&kind, &id).await;
    assert_ne!((found.sha256, found.tags), (wanted.sha256.clone(), wanted.tags.clone()));
    kind.settle(&call, &id, &wanted).await.unwrap();
    assert_eq!(read(&kind, &id).await, as_read(&wanted));
    deleted(&buckets, &bucket_call, &bucket).await;
}

#[tokio::test]
async fn a_file_is_uploaded_in_parts_when_it_is_large_and_only_as_it_was_planned() {
    let cloud = cloud().await;
    let (buckets, bucket_call, bucket) = bucket(&cloud, "file").await;
    let (kind, call) = (Object::new(&cloud.clients), Call::silent(address()));
    let folder = tempfile::tempdir().unwrap();
    // What a run left that was killed in the middle of an upload.
    let key = inputs(&bucket, "").key;
    cloud.clients.s3.create_multipart_upload().bucket(&bucket).key(key).send().await.unwrap();
    for (name, size) in [("small", 1_000), ("large", (100 << 20) + 17)] {
        let path = folder.path().join(name);
        let bytes: Vec<u8> = (0..size).map(|n: usize| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let wanted = ObjectInputs {
            sha256: hex::encode(Sha256::digest(&bytes)),
            source: Some(path.to_str().unwrap().to_owned()),
            content: None,
            ..inputs(&bucket, "")
        };
        let id = kind.create(&call, &wanted).await.unwrap();
        assert_eq!(kind.settle(&call, &id, &wanted).await.unwrap().inputs, wanted);
        assert_eq!(read(&kind, &id).await, as_read(&wanted));
        // The file is another one now, and what was there stays.
        std::fs::write(&path, vec![1; size]).unwrap();
        let error = kind.create(&call, &wanted).await.unwrap_err();
        assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("has changed")), "{error:?}");
        assert_eq!(read(&kind, &id).await, as_read(&wanted));
        std::fs::remove_file(&path).unwrap();
        let error = kind.create(&call, &wanted).await.unwrap_err();
        assert!(error.message.contains("cannot be read"), "{error}");
    }
    assert_eq!(cloud.clients.meter.counts()["S3.UploadPart"], 14);
    let unfinished = cloud.clients.s3.list_multipart_uploads().bucket(&bucket).send().await.unwrap();
    assert_eq!(unfinished.uploads().len(), 0);
    deleted(&buckets, &bucket_call, &bucket).await;
}
