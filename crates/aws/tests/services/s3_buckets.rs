//! S3: buckets and their settings.

use std::time::Duration;

use aws_sdk_s3::client::Waiters;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketLocationConstraint, CreateBucketConfiguration, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging,
};

use crate::cloud::{Cloud, code};

#[tokio::test]
async fn buckets_come_are_listed_and_go() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake-0").await;
    let soon = Duration::from_secs(5);
    s3.wait_until_bucket_exists().bucket("lake-0").wait(soon).await.unwrap();
    // In us-east-1 one may make one's own bucket again.
    cloud.bucket("lake-0").await;
    for number in 1..5 {
        cloud.bucket(&format!("lake-{number}")).await;
    }
    let pages: Vec<_> = s3.list_buckets().max_buckets(2).into_paginator().send().try_collect().await.unwrap();
    let names: Vec<_> = pages.iter().flat_map(|page| page.buckets()).map(|bucket| bucket.name().unwrap()).collect();
    assert_eq!((pages.len(), names), (3, vec!["lake-0", "lake-1", "lake-2", "lake-3", "lake-4"]));
    s3.put_object().bucket("lake-0").key("k").body(vec![].into()).send().await.unwrap();
    assert_eq!(code(s3.delete_bucket().bucket("lake-0").send().await), "BucketNotEmpty");
    s3.delete_bucket().bucket("lake-1").send().await.unwrap();
    s3.wait_until_bucket_not_exists().bucket("lake-1").wait(soon).await.unwrap();
    assert_eq!(code(s3.create_bucket().bucket("Upper_Case").send().await), "InvalidBucketName");

    let west = BucketLocationConstraint::EuWest1;
    let there = |region: &BucketLocationConstraint| {
        CreateBucketConfiguration::builder().location_constraint(region.clone()).build()
    };
    let config = s3.config().to_builder().region(aws_config::Region::new("eu-west-1")).build();
    let in_west = aws_sdk_s3::Client::from_conf(config);
    let make = |region| in_west.create_bucket().bucket("lake-west").create_bucket_configuration(there(region)).send();
    assert_eq!(code(make(&BucketLocationConstraint::EuCentral1).await), "IllegalLocationConstraintException");
    make(&west).await.unwrap();
    let again = make(&west).await.unwrap_err().into_service_error();
    assert!(again.is_bucket_already_owned_by_you(), "{again:?}");
    let location = in_west.get_bucket_location().bucket("lake-west").send().await.unwrap();
    assert_eq!(location.location_constraint(), Some(&west));
}

#[tokio::test]
async fn settings_that_were_never_made_have_their_codes() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    assert_eq!(code(s3.get_bucket_policy().bucket("lake").send().await), "NoSuchBucketPolicy");
    assert_eq!(code(s3.get_bucket_tagging().bucket("lake").send().await), "NoSuchTagSet");
    assert_eq!(
        code(s3.get_bucket_lifecycle_configuration().bucket("lake").send().await),
        "NoSuchLifecycleConfiguration"
    );
    assert_eq!(code(s3.get_bucket_cors().bucket("lake").send().await), "NoSuchCORSConfiguration");
    assert_eq!(code(s3.get_bucket_website().bucket("lake").send().await), "NoSuchWebsiteConfiguration");
    assert_eq!(code(s3.get_bucket_policy().bucket("none").send().await), "NoSuchBucket");
    // AWS encrypts and blocks without being asked.
    let encryption = s3.get_bucket_encryption().bucket("lake").send().await.unwrap();
    let rules = encryption.server_side_encryption_configuration().unwrap().rules();
    let algorithm = rules[0].apply_server_side_encryption_by_default().unwrap().sse_algorithm();
    assert_eq!(algorithm, &ServerSideEncryption::Aes256);
    let block = s3.get_public_access_block().bucket("lake").send().await.unwrap();
    assert_eq!(block.public_access_block_configuration().unwrap().block_public_acls(), Some(true));
}

#[tokio::test]
async fn settings_come_back_as_they_were_made() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Sid":"tls","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::lake","arn:aws:s3:::lake/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
    s3.put_bucket_policy().bucket("lake").policy(policy).send().await.unwrap();
    assert_eq!(s3.get_bucket_policy().bucket("lake").send().await.unwrap().policy(), Some(policy));
    assert_eq!(code(s3.put_bucket_policy().bucket("lake").policy("{}").send().await), "MalformedPolicy");

    let by_default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::AwsKms)
        .kms_master_key_id("alias/pins")
        .build()
        .unwrap();
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(by_default)
        .bucket_key_enabled(true)
        .build();
    let encryption = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    let put = s3.put_bucket_encryption().bucket("lake").server_side_encryption_configuration(encryption.clone());
    put.send().await.unwrap();
    let got = s3.get_bucket_encryption().bucket("lake").send().await.unwrap();
    let rules = got.server_side_encryption_configuration().unwrap().rules();
    assert_eq!(
        rules[0].apply_server_side_encryption_by_default(),
        encryption.rules()[0].apply_server_side_encryption_by_default()
    );
    assert_eq!(rules[0].bucket_key_enabled(), Some(true));

    let rule = LifecycleRule::builder()
        .id("topics & more")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("topics/").build())
        .expiration(LifecycleExpiration::builder().days(30).build())
        .build()
        .unwrap();
    let lifecycle = BucketLifecycleConfiguration::builder().rules(rule.clone()).build().unwrap();
    let put = s3.put_bucket_lifecycle_configuration().bucket("lake").lifecycle_configuration(lifecycle);
    put.send().await.unwrap();
    let got = s3.get_bucket_lifecycle_configuration().bucket("lake").send().await.unwrap();
    assert_eq!(got.rules(), [rule]);

    let block = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(false)
        .block_public_policy(true)
        .restrict_public_buckets(false)
        .build();
    let put = s3.put_public_access_block().bucket("lake").public_access_block_configuration(block.clone());
    put.send().await.unwrap();
    let got = s3.get_public_access_block().bucket("lake").send().await.unwrap();
    assert_eq!(got.public_access_block_configuration(), Some(&block));

    let tag = |key: &str| Tag::builder().key(key).value("a + ü <&>").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag("a")).tag_set(tag("b")).build().unwrap();
    s3.put_bucket_tagging().bucket("lake").tagging(tagging).send().await.unwrap();
    assert_eq!(s3.get_bucket_tagging().bucket("lake").send().await.unwrap().tag_set(), [tag("a"), tag("b")]);
    s3.delete_bucket_tagging().bucket("lake").send().await.unwrap();
    assert_eq!(code(s3.get_bucket_tagging().bucket("lake").send().await), "NoSuchTagSet");
}
