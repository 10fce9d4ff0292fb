//! STS, SSM and the Resource Groups Tagging API.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use aws_sdk_s3::types::{Tag, Tagging};

use crate::cloud::{Cloud, code};

#[tokio::test]
async fn the_caller_a_session_and_an_assumed_role() {
    let cloud = Cloud::start().await;
    let sts = aws_sdk_sts::Client::new(&cloud.config(cloud.credentials()));
    let caller = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(caller.account(), Some("000000000000"));
    assert_eq!(caller.arn(), Some("arn:aws:iam::000000000000:user/local"));

    let trust = serde_json::json!({"Statement": {
        "Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole",
    }});
    let role = cloud.clients.iam.create_role().role_name("gateway").path("/pins/");
    role.assume_role_policy_document(trust.to_string()).send().await.unwrap();
    let attach = cloud.clients.iam.attach_role_policy().role_name("gateway");
    attach.policy_arn("arn:aws:iam::aws:policy/AdministratorAccess").send().await.unwrap();
    let assumed = sts
        .assume_role()
        .role_arn("arn:aws:iam::000000000000:role/pins/gateway")
        .role_session_name("i-1")
        .duration_seconds(900)
        .send()
        .await
        .unwrap();
    let arn = "arn:aws:sts::000000000000:assumed-role/gateway/i-1";
    assert_eq!(assumed.assumed_role_user().map(|user| user.arn()), Some(arn));
    let keys = assumed.credentials().unwrap();
    assert!(keys.expiration().secs() > caller_time(&cloud) + 890);
    let credentials = Credentials::new(
        keys.access_key_id(),
        keys.secret_access_key(),
        Some(keys.session_token().into()),
        None,
        "test",
    );
    let as_role = cloud.config(credentials);
    let role = aws_sdk_sts::Client::new(&as_role);
    assert_eq!(role.get_caller_identity().send().await.unwrap().arn(), Some(arn));
    // Temporary credentials are good for every service, S3's own check of signatures included.
    aws_sdk_s3::Client::new(&as_role).list_buckets().send().await.unwrap();
    aws_sdk_kinesis::Client::new(&as_role).list_streams().send().await.unwrap();
    assert_eq!(code(role.get_session_token().send().await), "AccessDenied");

    let session = sts.get_session_token().send().await.unwrap();
    assert!(session.credentials().is_some_and(|keys| keys.access_key_id().starts_with("ASIA")));
    assert_eq!(
        code(sts.assume_role().role_arn("arn:aws:iam::000000000000:user/x").role_session_name("i-1").send().await),
        "ValidationError"
    );
}

fn caller_time(cloud: &Cloud) -> i64 {
    cloud.local.clock().now().unix_timestamp()
}

#[tokio::test]
async fn strangers_are_refused_by_every_service() {
    let cloud = Cloud::start().await;
    let forged = Credentials::new(cloud.local.access_key(), "not the secret", None, None, "test");
    let unknown = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    for (credentials, query, json, s3) in [
        (forged, "SignatureDoesNotMatch", "InvalidSignatureException", "SignatureDoesNotMatch"),
        (unknown, "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
    ] {
        let config = cloud.config(credentials);
        assert_eq!(code(aws_sdk_sts::Client::new(&config).get_caller_identity().send().await), query);
        assert_eq!(code(aws_sdk_kinesis::Client::new(&config).list_streams().send().await), json);
        assert_eq!(code(aws_sdk_ssm::Client::new(&config).get_parameter().name("/a").send().await), json);
        assert_eq!(code(aws_sdk_resourcegroupstagging::Client::new(&config).get_resources().send().await), json);
        assert_eq!(code(aws_sdk_s3::Client::new(&config).list_buckets().send().await), s3);
    }
}

#[tokio::test]
async fn public_parameters_are_read_by_name_and_by_path() {
    const NAME: &str = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    let cloud = Cloud::start().await;
    let ssm = aws_sdk_ssm::Client::new(&cloud.config(cloud.credentials()));
    let parameter = ssm.get_parameter().name(NAME).send().await.unwrap().parameter.unwrap();
    assert!(parameter.value().is_some_and(|image| image.starts_with("ami-")), "{parameter:?}");
    assert_eq!((parameter.version, parameter.data_type()), (1, Some("text")));

    let several = ssm.get_parameters().names(NAME).names("/aws/service/none").send().await.unwrap();
    assert_eq!(several.parameters(), [parameter]);
    assert_eq!(several.invalid_parameters(), ["/aws/service/none"]);
    let absent = ssm.get_parameter().name("/none").send().await.unwrap_err().into_service_error();
    assert!(absent.is_parameter_not_found(), "{absent:?}");

    let pages = ssm.get_parameters_by_path().path("/aws/service").recursive(true).max_results(7).into_paginator();
    let pages: Vec<_> = pages.send().try_collect().await.unwrap();
    let names: Vec<&str> = pages.iter().flat_map(|page| page.parameters()).filter_map(|found| found.name()).collect();
    assert!(pages.len() > 2 && names.is_sorted() && names.contains(&NAME), "{names:?}");
    assert_eq!(code(ssm.put_parameter().name("/a").value("b").send().await), "UnknownOperationException");
}

#[tokio::test]
async fn tagged_streams_and_buckets_are_found_page_by_page() {
    let cloud = Cloud::start().await;
    let mut expected = BTreeMap::new();
    for number in 0..7 {
        let name = format!("tagged-{number}");
        let team = ["data", "web"][number % 2];
        let create = cloud.clients.kinesis.create_stream().stream_name(&name).shard_count(1);
        create.tags("team", team).tags("n", number.to_string()).send().await.unwrap();
        expected.insert(format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}"), team);
    }
    let s3 = cloud.bucket("tagged-lake").await;
    let tag = Tag::builder().key("team").value("data").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    s3.put_bucket_tagging().bucket("tagged-lake").tagging(tagging).send().await.unwrap();
    expected.insert("arn:aws:s3:::tagged-lake".to_owned(), "data");
    cloud.stream("bare", 1).await;

    let tagging = &cloud.clients.tagging;
    let pages: Vec<_> =
        tagging.get_resources().resources_per_page(3).into_paginator().send().try_collect().await.unwrap();
    assert_eq!(pages.len(), 3);
    let mut found = BTreeMap::new();
    for resource in pages.iter().flat_map(|page| page.resource_tag_mapping_list()) {
        let team = resource.tags().iter().find(|tag| tag.key() == "team").unwrap().value();
        found.insert(resource.resource_arn().unwrap().to_owned(), team);
    }
    assert_eq!(found, expected);

    let team = |value: &str| TagFilter::builder().key("team").values(value).build();
    let streams = tagging.get_resources().tag_filters(team("data")).resource_type_filters("kinesis:stream");
    assert_eq!(streams.send().await.unwrap().resource_tag_mapping_list().len(), 4);
    let nobody = tagging.get_resources().tag_filters(team("ops")).send().await.unwrap();
    assert_eq!(nobody.resource_tag_mapping_list().len(), 0);
    let wrong = tagging.get_resources().pagination_token("?").send().await.unwrap_err().into_service_error();
    assert!(wrong.is_pagination_token_expired_exception(), "{wrong:?}");
    let mixed = tagging.get_resources().tag_filters(team("data")).resource_arn_list("arn:aws:s3:::tagged-lake");
    let mixed = mixed.send().await.unwrap_err().into_service_error();
    assert!(mixed.is_invalid_parameter_exception(), "{mixed:?}");
}
