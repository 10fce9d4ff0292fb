//! What somebody deletes and makes again under its recorded name is theirs: what they keep in it is never touched.

use aws_sdk_kinesis::primitives::Blob;
use pinfra_aws::Clients;

use crate::support::{STREAMS, Sandbox};

const STREAM: &str = "pins-pin";
const BUCKET: &str = "pins-000000000000-us-east-1";
const MADE_AGAIN: &str = "made again by somebody else";

/// The stack that [`STREAMS`] is the file of, made. The local cloud stays when the stack goes.
fn made() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    sandbox.ok(&["up", "streams.yaml"]);
    sandbox
}

/// Nothing that makes or changes touches it, and who looks is told.
fn is_left_alone(sandbox: &Sandbox, address: &str) {
    for command in [&["plan", "streams.yaml"][..], &["up", "streams.yaml"]] {
        let refused = sandbox.run(command);
        assert_eq!(refused.code, 1, "{command:?}: {}\n{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains(address) && refused.stderr.contains(MADE_AGAIN), "{}", refused.stderr);
    }
    for drift in [&["drift", "streams.yaml"][..], &["drift", "pins"]] {
        let drift = sandbox.run(drift);
        assert_eq!(drift.code, 2, "{}\n{}", drift.stdout, drift.stderr);
        assert!(drift.stdout.contains(address) && drift.stdout.contains(MADE_AGAIN), "{}", drift.stdout);
        assert!(drift.stdout.contains("resources differs: 1 missing\n"), "told once: {}", drift.stdout);
    }
    let down = sandbox.ok(&["down", "pins"]);
    assert!(down.stderr.contains(MADE_AGAIN), "{}", down.stderr);
}

async fn delete_stream(clients: &Clients) {
    clients.kinesis.delete_stream().stream_name(STREAM).send().await.unwrap();
    while clients.kinesis.describe_stream_summary().stream_name(STREAM).send().await.is_ok() {}
}

/// A stream of the name of ours, with a record in it, made by somebody else. Returns the iterator that begins with the record.
async fn make_stream(clients: &Clients) -> String {
    let kinesis = &clients.kinesis;
    kinesis.create_stream().stream_name(STREAM).shard_count(2).send().await.unwrap();
    let put = || kinesis.put_record().stream_name(STREAM).partition_key("k").data(Blob::new("theirs")).send();
    let mut answer = put().await;
    while answer.is_err() {
        answer = put().await;
    }
    let shard = answer.unwrap().shard_id;
    let iterator = kinesis.get_shard_iterator().stream_name(STREAM).shard_id(shard);
    let iterator = iterator.shard_iterator_type(aws_sdk_kinesis::types::ShardIteratorType::TrimHorizon).send().await;
    iterator.unwrap().shard_iterator.unwrap()
}

#[tokio::test]
async fn a_stream_with_somebody_elses_records() {
    let sandbox = made();
    let clients = sandbox.clients().await;
    delete_stream(&clients).await;
    let iterator = make_stream(&clients).await;
    is_left_alone(&sandbox, "kinesis/stream.pin");
    assert_eq!(sandbox.streams().await, [STREAM]);
    let records = clients.kinesis.get_records().shard_iterator(iterator).send().await.unwrap().records;
    assert_eq!(records[0].data.as_ref(), b"theirs");
}

#[tokio::test]
async fn a_bucket_with_somebody_elses_object() {
    let sandbox = made();
    let s3 = sandbox.clients().await.s3;
    s3.delete_bucket().bucket(BUCKET).send().await.unwrap();
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    s3.put_object().bucket(BUCKET).key("theirs").body(b"theirs".to_vec().into()).send().await.unwrap();
    is_left_alone(&sandbox, "s3/bucket.lake");
    assert_eq!(sandbox.streams().await, [""; 0], "what is ours is gone");
    let object = s3.get_object().bucket(BUCKET).key("theirs").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), b"theirs");
}

#[tokio::test]
async fn a_role_and_the_policy_in_it() {
    let sandbox = Sandbox::new();
    let file = "name: pins\ntables: { pin: { key: index } }\nstreams: { shards: 1 }\napi: {}\n";
    sandbox.write("streams.yaml", file);
    sandbox.ok(&["local", "start", "--settle-ms", "20"]);
    sandbox.ok(&["up", "streams.yaml"]);
    let iam = sandbox.clients().await.iam;
    let roles = iam.list_roles().path_prefix("/pinfra/pins/").send().await.unwrap().roles;
    let name = roles[0].role_name();
    let policies = iam.list_role_policies().role_name(name).send().await.unwrap().policy_names;
    iam.delete_role_policy().role_name(name).policy_name(&policies[0]).send().await.unwrap();
    iam.delete_role().role_name(name).send().await.unwrap();
    let nobody = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\"Action\":\"sts:AssumeRole\",\
                  \"Principal\":{\"Service\":\"ec2.amazonaws.com\"}}]}";
    iam.create_role().role_name(name).assume_role_policy_document(nobody).send().await.unwrap();
    let put = iam.put_role_policy().role_name(name).policy_name(&policies[0]).policy_document(POLICY);
    put.send().await.unwrap();
    is_left_alone(&sandbox, "iam/role.api");
    assert_eq!(iam.list_role_policies().role_name(name).send().await.unwrap().policy_names, policies);
}

/// A policy that somebody else's role may have.
const POLICY: &str = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\
                      \"Resource\":\"arn:aws:s3:::theirs/*\"}]}";

/// Tags say more than when it was made.
#[tokio::test]
async fn what_is_made_again_with_the_stacks_tags_is_the_stacks_and_so_is_what_only_lost_them() {
    let sandbox = made();
    let clients = sandbox.clients().await;
    let s3 = &clients.s3;
    let tags = s3.get_bucket_tagging().bucket(BUCKET).send().await.unwrap().tag_set;
    s3.delete_bucket_tagging().bucket(BUCKET).send().await.unwrap();
    let plan = sandbox.ok(&["plan", "streams.yaml"]);
    assert!(plan.stdout.contains("s3/bucket.lake") && plan.stdout.contains("tags"), "{}", plan.stdout);
    sandbox.ok(&["up", "streams.yaml"]);
    assert_eq!(s3.get_bucket_tagging().bucket(BUCKET).send().await.unwrap().tag_set, tags);

    s3.delete_bucket().bucket(BUCKET).send().await.unwrap();
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let refused = sandbox.run(&["plan", "streams.yaml"]);
    assert!(refused.stderr.contains(MADE_AGAIN), "also while it is empty: {}", refused.stderr);
    let tagging = aws_sdk_s3::types::Tagging::builder().set_tag_set(Some(tags)).build().unwrap();
    s3.put_bucket_tagging().bucket(BUCKET).tagging(tagging).send().await.unwrap();
    sandbox.ok(&["up", "streams.yaml"]);
    sandbox.ok(&["plan", "streams.yaml", "--detailed-exitcode"]);
    // The new one is known by its own mark now, and a run that changes nothing forgets it no more than one that does.
    sandbox.ok(&["up", "streams.yaml"]);
    s3.delete_bucket().bucket(BUCKET).send().await.unwrap();
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    is_left_alone(&sandbox, "s3/bucket.lake");
}
