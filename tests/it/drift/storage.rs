//! Changes in S3 and Kinesis.

use aws_sdk_kinesis::types::{EncryptionType, ScalingType};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, MetadataDirective, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging,
    VersioningConfiguration,
};

use super::world::{BUCKET, Change, World, change};

const ARCHIVE: &str = "application/zip";

pub(super) fn changes(world: &World) -> Vec<Change<'_>> {
    let mut changes = bucket(world);
    changes.extend(objects(world));
    changes.extend(streams(world));
    changes
}

fn bucket(world: &World) -> Vec<Change<'_>> {
    let s3 = &world.clients.s3;
    let versioning = move |status: BucketVersioningStatus| async move {
        let configuration = VersioningConfiguration::builder().status(status).build();
        s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(configuration).send().await.unwrap();
    };
    let access = move |locked: bool| async move {
        let block = PublicAccessBlockConfiguration::builder().block_public_acls(locked).ignore_public_acls(true);
        let block = block.block_public_policy(true).restrict_public_buckets(true).build();
        s3.put_public_access_block().bucket(BUCKET).public_access_block_configuration(block).send().await.unwrap();
    };
    let encryption = move |algorithm: ServerSideEncryption| async move {
        let by_default = ServerSideEncryptionByDefault::builder().sse_algorithm(algorithm).build().unwrap();
        let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(by_default).build();
        let configuration = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
        let put = s3.put_bucket_encryption().bucket(BUCKET).server_side_encryption_configuration(configuration);
        put.send().await.unwrap();
    };
    let kept = std::sync::Arc::new(std::sync::Mutex::new((Vec::new(), String::new())));
    let [rules, rules_back, policy, policy_back] = std::array::from_fn(|_| kept.clone());
    let lifecycle = move |rules: Vec<LifecycleRule>| async move {
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().unwrap();
        let put = s3.put_bucket_lifecycle_configuration().bucket(BUCKET).lifecycle_configuration(configuration);
        put.send().await.unwrap();
    };
    let tags = move |value: &'static str| async move {
        let there = s3.get_bucket_tagging().bucket(BUCKET).send().await.unwrap().tag_set;
        let mut tags: Vec<Tag> = there.into_iter().filter(|tag| tag.key() != "team").collect();
        tags.push(Tag::builder().key("team").value(value).build().unwrap());
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().unwrap();
        s3.put_bucket_tagging().bucket(BUCKET).tagging(tagging).send().await.unwrap();
    };
    vec![
        change(
            "the bucket keeps versions",
            &["changed s3/bucket.lake#versioning"],
            versioning(BucketVersioningStatus::Enabled),
            versioning(BucketVersioningStatus::Suspended),
        ),
        change(
            "a lock against public access is opened",
            &["changed s3/bucket.lake#public_access_block.block_public_acls"],
            access(false),
            access(true),
        ),
        change(
            "the bucket is encrypted otherwise",
            &["changed s3/bucket.lake#encryption.algorithm"],
            encryption(ServerSideEncryption::AwsKms),
            encryption(ServerSideEncryption::Aes256),
        ),
        change(
            "the bucket policy is deleted",
            &["changed s3/bucket.lake#policy"],
            async move {
                let there = s3.get_bucket_policy().bucket(BUCKET).send().await.unwrap();
                policy.lock().unwrap().1 = there.policy.unwrap();
                s3.delete_bucket_policy().bucket(BUCKET).send().await.unwrap();
            },
            async move {
                let was = policy_back.lock().unwrap().1.clone();
                s3.put_bucket_policy().bucket(BUCKET).policy(was).send().await.unwrap();
            },
        ),
        change(
            "one more rule deletes objects",
            &["unmanaged s3/bucket.lake#lifecycle"],
            async move {
                let there = s3.get_bucket_lifecycle_configuration().bucket(BUCKET).send().await.unwrap();
                let mut all = there.rules.unwrap();
                rules.lock().unwrap().0 = all.clone();
                let rule = LifecycleRule::builder().id("mine").status(ExpirationStatus::Enabled);
                let rule = rule.filter(LifecycleRuleFilter::builder().prefix("tables/").build());
                let rule = rule.expiration(LifecycleExpiration::builder().days(1).build());
                all.push(rule.build().unwrap());
                lifecycle(all).await;
            },
            async move {
                let was = rules_back.lock().unwrap().0.clone();
                lifecycle(was).await;
            },
        ),
        change("a tag of the bucket is changed", &["changed s3/bucket.lake#tags.team"], tags("web"), tags("data")),
    ]
}

fn objects(world: &World) -> Vec<Change<'_>> {
    let s3 = &world.clients.s3;
    let archive = world.archive.as_str();
    let address = move |what: &str, field: &str| {
        let hash = archive.split('/').nth(2).unwrap();
        format!("{what} s3/object.plugin.{}{field}", &hash[..8])
    };
    let kept = std::sync::Arc::new(std::sync::Mutex::new(Kept::default()));
    let [write, write_back, delete, delete_back] = std::array::from_fn(|_| kept.clone());
    let keep = move |kept: std::sync::Arc<std::sync::Mutex<Kept>>| async move {
        let tags = s3.get_object_tagging().bucket(BUCKET).key(archive).send().await.unwrap().tag_set;
        let object = s3.get_object().bucket(BUCKET).key(archive).send().await.unwrap();
        let metadata = object.metadata.clone().unwrap_or_default();
        let body = object.body.collect().await.unwrap().to_vec();
        *kept.lock().unwrap() = Kept { body, metadata: metadata.into_iter().collect(), tags };
    };
    let put = move |kept: Kept, body: Vec<u8>| async move {
        let mut put = s3.put_object().bucket(BUCKET).key(archive).content_type(ARCHIVE).body(ByteStream::from(body));
        for (key, value) in kept.metadata {
            put = put.metadata(key, value);
        }
        put.send().await.unwrap();
        let tagging = Tagging::builder().set_tag_set(Some(kept.tags)).build().unwrap();
        s3.put_object_tagging().bucket(BUCKET).key(archive).tagging(tagging).send().await.unwrap();
    };
    let relabelled = move |change: fn(&str) -> String| async move {
        let agent = "_pinfra/agent.json";
        let mut metadata = s3.head_object().bucket(BUCKET).key(agent).send().await.unwrap().metadata.unwrap();
        let label = metadata.get_mut("tags").unwrap();
        *label = change(label);
        let copy = s3.copy_object().bucket(BUCKET).key(agent).copy_source(format!("{BUCKET}/{agent}"));
        let copy = copy.metadata_directive(MetadataDirective::Replace).set_metadata(Some(metadata));
        copy.content_type("application/json").send().await.unwrap();
    };
    vec![
        change(
            "the plugin's archive is written over",
            &[&address("changed", "#sha256")],
            async move {
                keep(write.clone()).await;
                let mut was = write.lock().unwrap().clone();
                // What others write does not say what it is of.
                was.metadata.retain(|(name, _)| name == "tags");
                put(was, b"other bytes".to_vec()).await;
            },
            async move {
                let was = write_back.lock().unwrap().clone();
                put(was.clone(), was.body).await;
            },
        ),
        change(
            "the plugin's archive is deleted",
            &[&address("missing", "")],
            async move {
                keep(delete.clone()).await;
                s3.delete_object().bucket(BUCKET).key(archive).send().await.unwrap();
            },
            async move {
                let was = delete_back.lock().unwrap().clone();
                put(was.clone(), was.body).await;
            },
        ),
        change(
            "a tag is put on an object",
            &["changed s3/object.agent#tags.owner"],
            relabelled(|label| format!("{label}&owner=me")),
            relabelled(|label| label.replace("&owner=me", "")),
        ),
    ]
}

/// An object as it was.
#[derive(Clone, Default)]
struct Kept {
    body: Vec<u8>,
    metadata: Vec<(String, String)>,
    tags: Vec<Tag>,
}

fn streams(world: &World) -> Vec<Change<'_>> {
    let kinesis = &world.clients.kinesis;
    let settled = move || async move {
        for _ in 0..1_000 {
            let stream = kinesis.describe_stream_summary().stream_name("pins-pin").send().await.unwrap();
            if stream.stream_description_summary.unwrap().stream_status.as_str() == "ACTIVE" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the stream does not come to rest");
    };
    let shards = move |count: i32| async move {
        let update = kinesis.update_shard_count().stream_name("pins-pin").target_shard_count(count);
        update.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
        settled().await;
    };
    let tag = move |value: &'static str| async move {
        kinesis.add_tags_to_stream().stream_name("pins-geo").tags("team", value).send().await.unwrap();
    };
    vec![
        change(
            "records are kept longer",
            &["changed kinesis/stream.pin#retention_hours"],
            async move {
                let longer = kinesis.increase_stream_retention_period().stream_name("pins-pin");
                longer.retention_period_hours(48).send().await.unwrap();
                settled().await;
            },
            async move {
                let shorter = kinesis.decrease_stream_retention_period().stream_name("pins-pin");
                shorter.retention_period_hours(24).send().await.unwrap();
                settled().await;
            },
        ),
        change("a stream gets a second shard", &["changed kinesis/stream.pin#shards"], shards(2), shards(1)).slowly(),
        change(
            "a stream is not encrypted any more",
            &["changed kinesis/stream.pin#encryption_key"],
            async move {
                let stop = kinesis.stop_stream_encryption().stream_name("pins-pin");
                stop.encryption_type(EncryptionType::Kms).key_id("alias/aws/kinesis").send().await.unwrap();
                settled().await;
            },
            async move {
                let start = kinesis.start_stream_encryption().stream_name("pins-pin");
                start.encryption_type(EncryptionType::Kms).key_id("alias/aws/kinesis").send().await.unwrap();
                settled().await;
            },
        ),
        change("a tag of a stream is changed", &["changed kinesis/stream.geo#tags.team"], tag("web"), tag("data")),
        change(
            "a stream says that it is of the stack",
            &["unmanaged kinesis/stream.ghost"],
            async move {
                let tags = [("pinfra:stack", "pins"), ("pinfra:address", "kinesis/stream.ghost")];
                let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
                let create = kinesis.create_stream().stream_name("ghost").shard_count(1).set_tags(Some(tags));
                create.send().await.unwrap();
            },
            async move {
                kinesis.delete_stream().stream_name("ghost").send().await.unwrap();
            },
        )
        .slowly(),
    ]
}
