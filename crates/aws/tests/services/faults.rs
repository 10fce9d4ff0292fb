//! Trouble on request, as SDK clients of several protocols meet it. What kills its caller is tested with the program itself
//! (`tests/it/faults.rs`): the process that serves this cloud is never killed.

mod once;

use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pinfra_local::Settings;

use self::once::{Once, TRUST, Trouble, there};
use crate::cloud::{Cloud, code};

fn rules(cloud: &Cloud, text: &str) {
    cloud.local.faults().set(text).unwrap();
}

#[tokio::test]
async fn every_service_refuses_in_its_own_words() {
    let cloud = Cloud::start().await;
    let once = Once::of(&cloud);
    let said = async |rule: &str| {
        rules(&cloud, rule);
        let reads = once.reads().await;
        reads.into_iter().map(|(service, code, status)| format!("{service} {status} {code}")).collect::<Vec<_>>()
    };
    assert_eq!(
        said("on *:* do throttle").await,
        [
            "apigateway 429 TooManyRequestsException",
            "ec2 503 RequestLimitExceeded",
            "iam 400 Throttling",
            "kafka 429 TooManyRequestsException",
            "kafkaconnect 429 TooManyRequestsException",
            "kinesis 400 LimitExceededException",
            "s3 503 SlowDown",
            "sts 400 Throttling",
            "tagging 400 ThrottledException",
        ]
    );
    assert_eq!(
        said("on *:* do error 500").await,
        [
            "apigateway 500 InternalFailure",
            "ec2 500 InternalError",
            "iam 500 ServiceFailure",
            "kafka 500 InternalServerErrorException",
            "kafkaconnect 500 InternalServerErrorException",
            "kinesis 500 InternalFailure",
            "s3 500 InternalError",
            "sts 500 InternalFailure",
            "tagging 500 InternalServiceException",
        ]
    );
    let away = said("on *:* do error 503").await;
    assert!(away.iter().all(|said| said.contains(" 503 ")), "{away:?}");
    let refused = said("on *:* do refuse ExpiredToken status=403").await;
    assert!(refused.iter().all(|said| said.ends_with(" 403 ExpiredToken")), "{refused:?}");

    rules(&cloud, "on apigateway:* do throttle");
    let error = once.apigateway.create_rest_api().name("a").send().await.unwrap_err().into_service_error();
    let aws_sdk_apigateway::operation::create_rest_api::CreateRestApiError::TooManyRequestsException(error) = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(error.retry_after_seconds(), Some("1"));
    // Without a status that of the code, where it has one.
    rules(&cloud, "on s3:* do refuse AccessDenied message=\"not today\"");
    let error = once.s3.list_buckets().send().await.unwrap_err();
    assert_eq!(error.raw_response().map(|raw| raw.status().as_u16()), Some(403));
    assert_eq!(error.message(), Some("not today"));
}

#[tokio::test]
async fn what_is_lost_on_the_way_has_no_effect_and_what_is_lost_on_the_way_back_has() {
    let cloud = Cloud::start().await;
    cloud.bucket("there").await;
    let once = Once::of(&cloud);
    let no_answer = |(_, trouble): &(&str, Trouble)| *trouble == Trouble::NoAnswer;
    for act in ["reset", "hang 20ms"] {
        rules(&cloud, &format!("on *:* writes do {act}"));
        let lost = once.makes("lost-before").await;
        assert!(lost.iter().all(no_answer), "{act}: {lost:?}");
        let there = there(&cloud.clients, "lost-before").await;
        assert!(there.iter().all(|(_, there)| !there), "{act}: {there:?}");
    }
    rules(&cloud, "on *:* writes do lose-answer");
    let lost = once.makes("lost-after").await;
    assert!(lost.iter().all(no_answer), "{lost:?}");
    let found = there(&cloud.clients, "lost-after").await;
    assert!(found.iter().all(|(_, there)| *there), "{found:?}");

    rules(&cloud, "on *:* writes do refuse OperationAborted status=409");
    let refused = once.makes("refused").await;
    let aborted = Trouble::Code("OperationAborted".to_owned());
    assert!(refused.iter().all(|(_, trouble)| *trouble == aborted), "{refused:?}");
    let found = there(&cloud.clients, "refused").await;
    assert!(found.iter().all(|(_, there)| !there), "{found:?}");
    // The connections that were closed were one call's each.
    cloud.local.faults().clear();
    let made = once.makes("made").await;
    assert!(made.iter().all(|(_, trouble)| *trouble == Trouble::None), "{made:?}");
}

#[tokio::test]
async fn a_delay_goes_on_and_a_latency_is_for_every_call() {
    let cloud = Cloud::start().await;
    rules(&cloud, "on kinesis:ListStreams do delay 100ms\non kinesis:* do delay 50ms");
    let start = Instant::now();
    cloud.clients.kinesis.list_streams().send().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());

    let slow = Cloud::with(|settings| Settings { latency: Duration::from_millis(60), ..settings }).await;
    let start = Instant::now();
    slow.clients.s3.list_buckets().send().await.unwrap();
    slow.clients.iam.list_roles().send().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_sdk_gets_over_what_passes_and_the_log_has_each_try() {
    let cloud = Cloud::start().await;
    cloud.local.faults().forget_calls(false);
    rules(&cloud, "on kafka:ListClustersV2 nth=1 do throttle\non kafka:ListClustersV2 nth=2 do reset");
    cloud.clients.kafka.list_clusters_v2().send().await.unwrap();
    assert_eq!(code(Once::of(&cloud).s3.head_bucket().bucket("nowhere").send().await), "NotFound");
    let calls = cloud.local.faults().calls();
    let short: Vec<_> = calls
        .iter()
        .map(|call| {
            (call.number, call.service, call.operation, call.mutating, call.status, call.code.as_deref(), call.fault)
        })
        .collect();
    assert_eq!(
        short,
        [
            (1, "kafka", "ListClustersV2", false, Some(429), Some("TooManyRequestsException"), Some("throttle")),
            (2, "kafka", "ListClustersV2", false, None, None, Some("reset")),
            (3, "kafka", "ListClustersV2", false, Some(200), None, None),
            (4, "s3", "HeadBucket", false, Some(404), Some("NoSuchBucket"), None),
        ]
    );
    let counts: Vec<_> = cloud.local.faults().rules().iter().map(|rule| (rule.matched, rule.fired)).collect();
    assert_eq!(counts, [(3, 1), (3, 1)]);
}

#[tokio::test]
async fn roles_are_left_alone_unless_they_are_meant() {
    let cloud = Cloud::start().await;
    let iam = &cloud.clients.iam;
    iam.create_role().role_name("worker").assume_role_policy_document(TRUST).send().await.unwrap();
    let everything = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    iam.put_role_policy().role_name("worker").policy_name("p").policy_document(everything).send().await.unwrap();
    let sts = aws_sdk_sts::Client::new(&cloud.config(cloud.credentials()));
    let assumed = sts.assume_role().role_arn("arn:aws:iam::000000000000:role/worker").role_session_name("i-1");
    let keys = assumed.send().await.unwrap().credentials.unwrap();
    let keys = Credentials::new(keys.access_key_id, keys.secret_access_key, Some(keys.session_token), None, "test");
    let worker = Once::with(&cloud.config(keys));

    cloud.local.faults().forget_calls(false);
    rules(&cloud, "on *:* do throttle");
    worker.kinesis.list_streams().send().await.unwrap();
    worker.s3.list_buckets().send().await.unwrap();
    assert_eq!(cloud.local.faults().calls(), []);

    cloud.local.faults().forget_calls(true);
    rules(&cloud, "on *:* do throttle by=any");
    assert_eq!(code(worker.kinesis.list_streams().send().await), "LimitExceededException");
    assert_eq!(code(worker.s3.list_buckets().send().await), "SlowDown");
    let by: Vec<_> = cloud.local.faults().calls().iter().map(|call| call.by.to_string()).collect();
    assert_eq!(by, ["role/worker", "role/worker"]);
}

#[tokio::test]
async fn a_kill_that_cannot_be_done_is_an_error_of_its_own() {
    let cloud = Cloud::start().await;
    cloud.bucket("there").await;
    let once = Once::of(&cloud);
    for moment in ["before", "after", "answered"] {
        rules(&cloud, &format!("on *:* writes do kill {moment}"));
        let refused = once.makes("spared").await;
        let expected = Trouble::Code("FaultCannotBePlayed".to_owned());
        assert!(refused.iter().all(|(_, trouble)| *trouble == expected), "{moment}: {refused:?}");
        let there = there(&cloud.clients, "spared").await;
        assert!(there.iter().all(|(_, there)| !there), "{moment}: {there:?}");
    }
    let error = once.kinesis.create_stream().stream_name("spared").shard_count(1).send().await.unwrap_err();
    assert!(error.message().unwrap().contains("is the local cloud itself"), "{error:?}");
}

#[tokio::test]
async fn with_rates_what_is_more_than_aws_takes_is_refused() {
    let cloud = Cloud::with(|settings| Settings { rates: true, ..settings }).await;
    let once = Once::of(&cloud);
    once.apigateway.create_rest_api().name("first").send().await.unwrap();
    let second = once.apigateway.create_rest_api().name("second").send().await.unwrap_err();
    assert_eq!(second.raw_response().unwrap().headers().get("retry-after"), Some("30"));
    assert_eq!(second.code(), Some("TooManyRequestsException"));

    let lists = (0..40).map(|_| once.kinesis.list_streams().send());
    let codes: Vec<_> = futures::future::join_all(lists).await.into_iter().filter_map(Result::err).collect();
    assert!(!codes.is_empty() && codes.iter().all(|error| error.code() == Some("LimitExceededException")), "{codes:?}");
    assert!(codes[0].message().unwrap().starts_with("Rate exceeded"), "{codes:?}");

    let many = Cloud::with(|settings| Settings { rates: true, settle: Duration::from_secs(3600), ..settings }).await;
    for number in 0..5 {
        many.stream(&format!("s{number}"), 1).await;
    }
    let once_of_many = Once::of(&many);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let sixth = once_of_many.kinesis.create_stream().stream_name("s5").shard_count(1).send().await.unwrap_err();
        if sixth.message().unwrap().contains("simultaneously") {
            break;
        }
        // The calls of this second are used up.
        assert!(sixth.message().unwrap().starts_with("Rate exceeded") && Instant::now() < deadline, "{sixth:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let reads = (0..200).map(|_| once.ec2.describe_instances().send());
    let codes: Vec<_> = futures::future::join_all(reads).await.into_iter().filter_map(Result::err).collect();
    assert!(!codes.is_empty() && codes.iter().all(|error| error.code() == Some("RequestLimitExceeded")), "{codes:?}");
    // Nothing is published for these.
    let lists = (0..60).map(|_| once.iam.list_roles().send());
    assert!(futures::future::join_all(lists).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn stale_reads_do_not_know_what_was_just_made_and_then_do() {
    let cloud = Cloud::with(|settings| Settings { stale: Duration::from_millis(400), ..settings }).await;
    let once = Once::of(&cloud);
    let group = once.ec2.create_security_group().group_name("pins").description("d").send().await.unwrap();
    let id = group.group_id().unwrap();
    let named = || once.ec2.describe_security_groups().group_ids(id).send();
    assert_eq!(code(named().await), "InvalidGroup.NotFound");
    let listed = once.ec2.describe_security_groups().send().await.unwrap();
    assert!(listed.security_groups().iter().all(|group| group.group_id() != Some(id)), "{listed:?}");
    // A write sees it.
    let permission = aws_sdk_ec2::types::IpPermission::builder().ip_protocol("-1");
    let range = aws_sdk_ec2::types::IpRange::builder().cidr_ip("10.0.0.0/8").build();
    let rule = once.ec2.authorize_security_group_ingress().group_id(id);
    rule.ip_permissions(permission.ip_ranges(range).build()).send().await.unwrap();

    once.iam.create_role().role_name("pins").assume_role_policy_document(TRUST).send().await.unwrap();
    assert_eq!(code(once.iam.get_role().role_name("pins").send().await), "NoSuchEntity");
    assert!(once.iam.list_roles().send().await.unwrap().roles().is_empty());

    let deadline = Instant::now() + Duration::from_secs(10);
    while named().await.is_err() || once.iam.get_role().role_name("pins").send().await.is_err() {
        assert!(Instant::now() < deadline, "still not seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
