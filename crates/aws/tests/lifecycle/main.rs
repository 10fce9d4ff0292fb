//! The whole life of every kind, through the real SDK against a real endpoint.
//!
//! By default each test starts a local cloud of its own. With `PINFRA_TEST_AWS=1` the same tests run against the account
//! and region of the environment (they make and destroy real streams and buckets there).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that calls them")]

mod api_gateway;
mod deployed_api;
mod ec2;
mod held;
mod iam;
mod msk;
mod msk_connect;
mod object;
mod process;
mod read_only;

use std::time::Duration;

use pinfra_aws::clients::Endpoint;
use pinfra_aws::kinesis::stream::{Mode, Stream, StreamInputs};
use pinfra_aws::s3::bucket::{Bucket, BucketInputs, Encryption, LifecycleRule, PublicAccessBlock, tls_only_policy};
use pinfra_aws::tags::{Tags, ownership};
use pinfra_aws::{Clients, Connection, catalog, claims};
use pinfra_engine::{Address, Call, ErrorKind, Owner, Resource};
use pinfra_local::{LocalCloud, Settings};

/// A cloud, and the folder that it keeps its data in.
struct Cloud {
    clients: Clients,
    local: Option<(LocalCloud, tempfile::TempDir)>,
}

impl Cloud {
    /// The address of the local cloud.
    fn endpoint(&self) -> &str {
        self.local.as_ref().expect("this test is for a local cloud").0.endpoint()
    }
}

async fn cloud() -> Cloud {
    let region = std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned());
    if std::env::var_os("PINFRA_TEST_AWS").is_some() {
        let clients = Clients::connect(&Connection { region, endpoint: None, apis: None }).await.unwrap();
        return Cloud { clients, local: None };
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { settle: Duration::from_millis(30), ..Settings::new(folder.path()) };
    let local = LocalCloud::start(settings).unwrap();
    let clients = Clients::connect(&connection(&region, &local)).await.unwrap();
    Cloud { clients, local: Some((local, folder)) }
}

/// How to reach a local cloud.
fn connection(region: &str, local: &LocalCloud) -> Connection {
    let endpoint = Endpoint {
        url: local.endpoint().to_owned(),
        access_key: local.access_key().to_owned(),
        secret_key: local.secret_key().to_owned(),
    };
    Connection { region: region.to_owned(), endpoint: Some(endpoint), apis: None }
}

/// A name that no other test, and no earlier run against AWS, has taken.
fn unique(name: &str) -> String {
    use std::time::{SystemTime, UNIX_EPOCH};
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("pinfra-test-{name}-{}-{}", std::process::id(), nanos % 1_000_000_000)
}

fn stream_inputs(name: &str) -> StreamInputs {
    StreamInputs {
        name: name.to_owned(),
        mode: Mode::Provisioned,
        shards: Some(1),
        retention_hours: 24,
        encryption_key: None,
        tags: ownership(name, &Address::new("kinesis/stream", "pin"), &Tags::new()),
    }
}

fn bucket_inputs(name: &str) -> BucketInputs {
    BucketInputs {
        name: name.to_owned(),
        encryption: Encryption { algorithm: "AES256".to_owned(), key: None },
        public_access_block: PublicAccessBlock::ALL,
        policy: Some(tls_only_policy(name, "us-east-1")),
        versioning: false,
        lifecycle: vec![rule("abort", "")],
        tags: ownership(name, &Address::new("s3/bucket", "lake"), &Tags::new()),
    }
}

fn rule(id: &str, prefix: &str) -> LifecycleRule {
    LifecycleRule {
        id: id.to_owned(),
        prefix: prefix.to_owned(),
        expire_days: None,
        noncurrent_days: None,
        abort_multipart_days: Some(7),
        other: None,
    }
}

/// What the cloud holds, as far as it is compared with what was asked for.
async fn read_back<R: Resource>(kind: &R, id: &str, asked: &R::Inputs) -> R::Inputs {
    let live = kind.read(id).await.unwrap().unwrap();
    match R::COMPARABLE {
        Some(comparable) => comparable(live, std::slice::from_ref(asked)),
        None => live.inputs,
    }
}

/// Creates, settles and reads back: what is there is what was asked for. Settling again changes nothing.
async fn made<R: Resource>(kind: &R, call: &Call, inputs: &R::Inputs) -> String
where
    R::Inputs: PartialEq + std::fmt::Debug,
{
    let id = kind.create(call, inputs).await.unwrap();
    assert_eq!(kind.settle(call, &id, inputs).await.unwrap().inputs, *inputs);
    assert_eq!(read_back(kind, &id, inputs).await, *inputs);
    assert_eq!(kind.settle(call, &id, inputs).await.unwrap().inputs, *inputs);
    id
}

/// Moves the object from what it is to `new` and reads back.
async fn updated<R: Resource>(kind: &R, call: &Call, id: &str, new: &R::Inputs)
where
    R::Inputs: PartialEq + std::fmt::Debug,
{
    let old = kind.read(id).await.unwrap().unwrap().inputs;
    kind.update(call, id, &old, new).await.unwrap();
    kind.settle(call, id, new).await.unwrap();
    assert_eq!(read_back(kind, id, new).await, *new);
}

/// Deletes twice: the second time there is nothing to delete, and that is success.
async fn deleted<R: Resource>(kind: &R, call: &Call, id: &str) {
    kind.delete(call, id).await.unwrap();
    assert!(kind.read(id).await.unwrap().is_none());
    kind.delete(call, id).await.unwrap();
}

#[tokio::test]
async fn a_stream_lives_through_every_change() {
    let cloud = cloud().await;
    let (kind, call) = (Stream::new(&cloud.clients), Call::silent(Address::new("kinesis/stream", "pin")));
    let mut inputs = StreamInputs {
        retention_hours: 48,
        encryption_key: Some("alias/aws/kinesis".to_owned()),
        ..stream_inputs(&unique("life"))
    };
    let id = made(&kind, &call, &inputs).await;
    inputs.shards = Some(5);
    updated(&kind, &call, &id, &inputs).await;
    inputs.shards = Some(1);
    inputs.retention_hours = 24;
    updated(&kind, &call, &id, &inputs).await;
    inputs.encryption_key = None;
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call, &id, &inputs).await;
    inputs.tags.remove("team");
    inputs.mode = Mode::OnDemand;
    inputs.shards = None;
    updated(&kind, &call, &id, &inputs).await;
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_stream_with_more_tags_than_a_call_takes() {
    let cloud = cloud().await;
    let (kind, call) = (Stream::new(&cloud.clients), Call::silent(Address::new("kinesis/stream", "pin")));
    let mut inputs = stream_inputs(&unique("tags"));
    let id = made(&kind, &call, &inputs).await;
    inputs.tags.extend((0..30).map(|n| (format!("tag-{n:02}"), "x".to_owned())));
    updated(&kind, &call, &id, &inputs).await;
    inputs.tags.retain(|key, _| !key.starts_with("tag-"));
    updated(&kind, &call, &id, &inputs).await;
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_stream_that_an_interrupted_run_left_is_found_and_finished() {
    let cloud = cloud().await;
    let (kind, call) = (Stream::new(&cloud.clients), Call::silent(Address::new("kinesis/stream", "pin")));
    let inputs = StreamInputs { retention_hours: 72, ..stream_inputs(&unique("found")) };
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    // The request left and the answer never came: nothing was settled.
    let id = kind.create(&call, &inputs).await.unwrap();
    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    assert_eq!(kind.create(&call, &inputs).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    kind.settle(&call, &id, &inputs).await.unwrap();
    assert_eq!(kind.read(&id).await.unwrap().unwrap().inputs, inputs);
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_stream_of_somebody_else_is_not_ours() {
    let cloud = cloud().await;
    let (kind, call) = (Stream::new(&cloud.clients), Call::silent(Address::new("kinesis/stream", "pin")));
    let inputs = stream_inputs(&unique("theirs"));
    let id = made(&kind, &call, &inputs).await;
    let mut other = inputs.clone();
    other.tags = ownership("another", &Address::new("kinesis/stream", "pin"), &Tags::new());
    let Owner::Theirs(owner) = kind.find(&other).await.unwrap().unwrap().owner else { panic!("it is not ours") };
    assert!(owner.contains(&inputs.name), "{owner}");
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_stream_can_be_made_again_at_once_after_it_was_deleted() {
    let cloud = cloud().await;
    let (kind, call) = (Stream::new(&cloud.clients), Call::silent(Address::new("kinesis/stream", "pin")));
    let inputs = stream_inputs(&unique("again"));
    let id = made(&kind, &call, &inputs).await;
    cloud.clients.kinesis.delete_stream().stream_name(&id).send().await.unwrap();
    assert!(kind.read(&id).await.unwrap().is_none(), "a stream that is going is as good as gone");
    made(&kind, &call, &inputs).await;
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn many_streams_are_found_and_read_in_few_calls() {
    let cloud = cloud().await;
    let (kind, call) = (Stream::new(&cloud.clients), Call::silent(Address::new("kinesis/stream", "pin")));
    let names: Vec<String> = (0..12).map(|n| format!("{}-{n}", unique("many"))).collect();
    let inputs: Vec<StreamInputs> = names.iter().map(|name| stream_inputs(name)).collect();
    assert!(kind.find_many(&inputs).await.into_iter().all(|found| found.unwrap().is_none()));
    assert_eq!(cloud.clients.meter.counts().get("Kinesis.DescribeStreamSummary"), None);
    for wanted in &inputs {
        made(&kind, &call, wanted).await;
    }
    let before = cloud.clients.meter.counts();
    let read = kind.read_many(&names).await;
    for (live, wanted) in read.into_iter().zip(&inputs) {
        assert_eq!(live.unwrap().unwrap().inputs, *wanted);
    }
    let after = cloud.clients.meter.counts();
    let made = |operation: &str| after.get(operation).unwrap_or(&0) - before.get(operation).unwrap_or(&0);
    assert_eq!(made("Kinesis.DescribeStreamSummary"), 12);
    assert_eq!(made("Resource Groups Tagging API.GetResources"), 1);
    assert_eq!(made("Kinesis.ListTagsForStream"), 0);
    let owned = claims::owned_by(&cloud.clients, &catalog(&cloud.clients), &names[3]).await.unwrap().found;
    assert_eq!(owned, [(Address::new("kinesis/stream", "pin"), names[3].clone())]);
    for name in &names {
        deleted(&kind, &call, name).await;
    }
}

#[tokio::test]
async fn a_bucket_lives_through_every_change() {
    let cloud = cloud().await;
    let (kind, call) = (Bucket::new(&cloud.clients), Call::silent(Address::new("s3/bucket", "lake")));
    let mut inputs = bucket_inputs(&unique("life"));
    let id = made(&kind, &call, &inputs).await;
    inputs.versioning = true;
    inputs.lifecycle.push(LifecycleRule { expire_days: Some(30), ..rule("topics", "topics/") });
    inputs.lifecycle.push(LifecycleRule { noncurrent_days: Some(3), ..rule("versions", "") });
    updated(&kind, &call, &id, &inputs).await;
    inputs.lifecycle.clear();
    inputs.policy = None;
    inputs.public_access_block.restrict_public_buckets = false;
    updated(&kind, &call, &id, &inputs).await;
    inputs.public_access_block = PublicAccessBlock::ALL;
    inputs.policy = Some(tls_only_policy(&inputs.name, "us-east-1"));
    inputs.encryption = Encryption { algorithm: "aws:kms".to_owned(), key: Some("alias/aws/s3".to_owned()) };
    inputs.versioning = false;
    inputs.tags.insert("team".to_owned(), "data & more".to_owned());
    updated(&kind, &call, &id, &inputs).await;
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_full_bucket_is_emptied_before_it_is_deleted() {
    let cloud = cloud().await;
    let (kind, call) = (Bucket::new(&cloud.clients), Call::silent(Address::new("s3/bucket", "lake")));
    let inputs = BucketInputs { versioning: true, ..bucket_inputs(&unique("full")) };
    let id = made(&kind, &call, &inputs).await;
    let s3 = &cloud.clients.s3;
    for key in ["a", "a/b+c", "ü/é", "x//y"] {
        for _ in 0..2 {
            s3.put_object().bucket(&id).key(key).body(b"data".to_vec().into()).send().await.unwrap();
        }
    }
    s3.delete_object().bucket(&id).key("a").send().await.unwrap();
    s3.create_multipart_upload().bucket(&id).key("half").send().await.unwrap();
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_bare_bucket_that_an_interrupted_run_left_is_ours_and_a_used_one_is_not() {
    let cloud = cloud().await;
    let (kind, call) = (Bucket::new(&cloud.clients), Call::silent(Address::new("s3/bucket", "lake")));
    let inputs = bucket_inputs(&unique("found"));
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = kind.create(&call, &inputs).await.unwrap();
    assert_eq!(kind.find(&inputs).await.unwrap().unwrap().owner, Owner::Ours);
    cloud.clients.s3.put_object().bucket(&id).key("x").body(vec![].into()).send().await.unwrap();
    assert_eq!(kind.find(&inputs).await.unwrap().unwrap().owner, Owner::Theirs("not made by pinfra".to_owned()));
    deleted(&kind, &call, &id).await;
}

/// Inputs of every kind.
fn samples() -> Vec<(&'static str, serde_json::Value)> {
    let mut samples = vec![
        ("kinesis/stream", serde_json::to_value(stream_inputs("a")).unwrap()),
        ("s3/bucket", serde_json::to_value(bucket_inputs("a")).unwrap()),
        ("s3/object", serde_json::to_value(object::inputs("a", "a")).unwrap()),
        ("worker/process", serde_json::to_value(process::inputs("a")).unwrap()),
        ("iam/role", serde_json::to_value(iam::role_inputs("a")).unwrap()),
        ("iam/role_policy", serde_json::to_value(iam::policy_inputs("a")).unwrap()),
        ("iam/instance_profile", serde_json::to_value(iam::profile_inputs("a", "b")).unwrap()),
    ];
    samples.extend(api_gateway::samples());
    samples.extend(ec2::samples());
    samples.extend(msk::samples());
    samples.extend(msk_connect::samples());
    samples
}

/// The diff looks a field's cost up by name: a field that is not listed would be replaced, and one that is listed and
/// not there would be a lie in `explain`.
#[tokio::test]
async fn every_input_is_listed() {
    let cloud = cloud().await;
    let samples = samples();
    let catalog = catalog(&cloud.clients);
    assert_eq!(catalog.kinds().count(), samples.len(), "a kind has no sample here");
    for (kind, sample) in samples {
        let info = catalog.get(kind).unwrap().info();
        let mut listed: Vec<&str> = info.fields.iter().map(|field| field.name.split('.').next().unwrap()).collect();
        listed.sort_unstable();
        listed.dedup();
        let mut there: Vec<&str> = sample.as_object().unwrap().keys().map(String::as_str).collect();
        there.sort_unstable();
        assert_eq!(listed, there, "{kind}");
    }
}

#[tokio::test]
async fn a_dead_endpoint_and_wrong_credentials_are_told_quickly() {
    let started = std::time::Instant::now();
    let endpoint = |url: &str| Endpoint { url: url.into(), access_key: "AKIAEXAMPLE".into(), secret_key: "x".into() };
    let connection = |url: &str| Connection { region: "us-east-1".into(), endpoint: Some(endpoint(url)), apis: None };
    // Port 1 (tcpmux) is open nowhere.
    let error = Clients::connect(&connection("http://127.0.0.1:1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.hint.is_some());
    let folder = tempfile::tempdir().unwrap();
    let local = LocalCloud::start(Settings::new(folder.path())).unwrap();
    let error = Clients::connect(&connection(local.endpoint())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Credentials, "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    local.stop().await;
}
