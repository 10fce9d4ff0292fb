//! Kinesis, S3, SSM and the tagging API.

use std::time::Duration;

use aws_config::SdkConfig;
use serde_json::json;

use super::{NOON, ODD, arn, base64, call, every_byte, sdk, tell};

pub async fn kinesis(config: &SdkConfig) {
    use aws_sdk_kinesis::primitives::{Blob, DateTime};
    use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardFilter, ShardFilterType, ShardIteratorType};

    let sdk = sdk!("kinesis", aws_sdk_kinesis, "aws-sdk-kinesis");
    let client = aws_sdk_kinesis::Client::new(config);
    let stream = arn("kinesis", "stream/pins-pin");

    let sent = client.create_stream().stream_name("pins-pin").shard_count(2).tags("note", ODD).send();
    call(sdk, "CreateStream", json!({"StreamName": "pins-pin", "ShardCount": 2, "Tags": {"note": ODD}}), sent).await;

    let sent = client.put_record().stream_arn(&stream).partition_key(ODD).data(Blob::new(every_byte())).send();
    let expect = json!({"StreamARN": stream, "PartitionKey": ODD, "Data": base64(every_byte())});
    call(sdk, "PutRecord", expect, sent).await;

    let record = |key: &str, data: &[u8]| PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data));
    let sent = client
        .put_records()
        .stream_name("pins-pin")
        .records(record("1", b"").build().expect("complete"))
        .records(
            record("2", b"\xff")
                .explicit_hash_key("170141183460469231731687303715884105728")
                .build()
                .expect("complete"),
        )
        .send();
    let expect = json!({"StreamName": "pins-pin", "Records": [
        {"PartitionKey": "1", "Data": ""},
        {"PartitionKey": "2", "Data": "/w==", "ExplicitHashKey": "170141183460469231731687303715884105728"},
    ]});
    call(sdk, "PutRecords", expect, sent).await;

    for (time, seconds) in [
        (DateTime::from_secs(NOON), json!(NOON)),
        (DateTime::from_millis(NOON * 1000 + 250), json!(NOON as f64 + 0.25)),
    ] {
        let sent = client
            .get_shard_iterator()
            .stream_name("pins-pin")
            .shard_id("shardId-000000000000")
            .shard_iterator_type(ShardIteratorType::AtTimestamp)
            .timestamp(time)
            .send();
        let expect = json!({"StreamName": "pins-pin", "ShardId": "shardId-000000000000",
            "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": seconds});
        call(sdk, "GetShardIterator", expect, sent).await;
    }

    let filter = ShardFilter::builder().r#type(ShardFilterType::AfterShardId).shard_id("shardId-000000000003");
    let sent = client.list_shards().stream_name("pins-pin").shard_filter(filter.build().expect("complete")).send();
    let expect =
        json!({"StreamName": "pins-pin", "ShardFilter": {"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000003"}});
    call(sdk, "ListShards", expect, sent).await;

    call(sdk, "ListStreams", json!({}), client.list_streams().send()).await;

    let sent = client.delete_stream().stream_name("pins-pin").enforce_consumer_deletion(true).send();
    call(sdk, "DeleteStream", json!({"StreamName": "pins-pin", "EnforceConsumerDeletion": true}), sent).await;
}

pub async fn s3(config: &SdkConfig) {
    use aws_sdk_s3::presigning::PresigningConfig;
    use aws_sdk_s3::primitives::ByteStream;
    use aws_sdk_s3::types::{Delete, ObjectIdentifier, Tag, Tagging};

    let sdk = sdk!("s3", aws_sdk_s3, "aws-sdk-s3");
    // An IP address has no subdomains, so the SDK puts the bucket into the path here by itself.
    let client = aws_sdk_s3::Client::new(config);
    let key = "topics/pins.pin/partition=0/pins.pin+0+0000000000.json";

    call(sdk, "CreateBucket", json!({"Bucket": "pins-lake"}), client.create_bucket().bucket("pins-lake").send()).await;

    let sent = client
        .put_object()
        .bucket("pins-lake")
        .key(key)
        .body(ByteStream::from(every_byte()))
        .metadata("note", "a b+c")
        .if_none_match("*")
        .send();
    let expect = json!({"Bucket": "pins-lake", "Key": key, "Body": base64(every_byte()),
        "Metadata": {"note": "a b+c"}, "IfNoneMatch": "*"});
    call(sdk, "PutObject", expect, sent).await;

    // From a file the body is a stream: `aws-chunked` with the checksum in a trailer.
    let file = std::env::temp_dir().join(format!("capture-{}", std::process::id()));
    std::fs::write(&file, every_byte()).expect("a temporary file can be written");
    let body = ByteStream::from_path(&file).await.expect("a temporary file can be read");
    let sent = client.put_object().bucket("pins-lake").key("streamed").body(body).send();
    let expect = json!({"Bucket": "pins-lake", "Key": "streamed", "Body": base64(every_byte())});
    call(sdk, "PutObject", expect, sent).await;
    std::fs::remove_file(&file).expect("the temporary file is still there");

    let sent = client.get_object().bucket("pins-lake").key(ODD).range("bytes=0-9").send();
    call(sdk, "GetObject", json!({"Bucket": "pins-lake", "Key": ODD, "Range": "bytes=0-9"}), sent).await;

    let sent = client.head_object().bucket("pins-lake").key("a//b/../c/./d ").send();
    call(sdk, "HeadObject", json!({"Bucket": "pins-lake", "Key": "a//b/../c/./d "}), sent).await;

    let sent = client
        .list_objects_v2()
        .bucket("pins-lake")
        .prefix("topics/a+b c/é")
        .delimiter("/")
        .continuation_token("a+b/c==")
        .send();
    let expect =
        json!({"Bucket": "pins-lake", "Prefix": "topics/a+b c/é", "Delimiter": "/", "ContinuationToken": "a+b/c=="});
    call(sdk, "ListObjectsV2", expect, sent).await;

    let object = |key: &str| ObjectIdentifier::builder().key(key).build().expect("complete");
    let delete = Delete::builder().objects(object(ODD)).objects(object("b+c")).quiet(true).build().expect("complete");
    let sent = client.delete_objects().bucket("pins-lake").delete(delete).send();
    let expect = json!({"Bucket": "pins-lake", "Delete": {"Objects": [{"Key": ODD}, {"Key": "b+c"}], "Quiet": true}});
    call(sdk, "DeleteObjects", expect, sent).await;

    let tag = Tag::builder().key("note").value(ODD).build().expect("complete");
    let tagging = Tagging::builder().tag_set(tag).build().expect("complete");
    let sent = client.put_bucket_tagging().bucket("pins-lake").tagging(tagging).send();
    let expect = json!({"Bucket": "pins-lake", "Tagging": {"TagSet": [{"Key": "note", "Value": ODD}]}});
    call(sdk, "PutBucketTagging", expect, sent).await;

    let hour = || PresigningConfig::expires_in(Duration::from_secs(3600)).expect("an hour is allowed");
    let url = client.get_object().bucket("pins-lake").key("a b+c/é").presigned(hour()).await.expect("can be signed");
    send_presigned(&url, b"").await;
    tell(sdk, "GetObject", &json!({"Bucket": "pins-lake", "Key": "a b+c/é"}));

    let url = client.put_object().bucket("pins-lake").key("a b+c/é").presigned(hour()).await.expect("can be signed");
    send_presigned(&url, b"by anyone").await;
    tell(sdk, "PutObject", &json!({"Bucket": "pins-lake", "Key": "a b+c/é", "Body": base64("by anyone")}));
}

/// A presigned URL is used by programs that know nothing of AWS, so nothing is added or normalised here.
async fn send_presigned(request: &aws_sdk_s3::presigning::PresignedRequest, body: &[u8]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (host, target) = request.uri().strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut head =
        format!("{} /{target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", request.method(), body.len());
    for (name, value) in request.headers() {
        if !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("content-length") {
            head += &format!("{name}: {value}\r\n");
        }
    }
    let mut connection = tokio::net::TcpStream::connect(host).await.expect("the recorder listens");
    connection.write_all((head + "\r\n").as_bytes()).await.expect("the recorder reads");
    connection.write_all(body).await.expect("the recorder reads");
    connection.read_u8().await.expect("the recorder answers");
}

pub async fn ssm(config: &SdkConfig) {
    use aws_sdk_ssm::types::{ParameterStringFilter, ParameterType};

    let sdk = sdk!("ssm", aws_sdk_ssm, "aws-sdk-ssm");
    let client = aws_sdk_ssm::Client::new(config);
    let image = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";

    call(sdk, "GetParameter", json!({"Name": image}), client.get_parameter().name(image).send()).await;

    let filter = ParameterStringFilter::builder().key("Type").option("Equals").values("String").values("StringList");
    let sent = client
        .get_parameters_by_path()
        .path("/aws/service/")
        .recursive(true)
        .parameter_filters(filter.build().expect("complete"))
        .send();
    let expect = json!({"Path": "/aws/service/", "Recursive": true,
        "ParameterFilters": [{"Key": "Type", "Option": "Equals", "Values": ["String", "StringList"]}]});
    call(sdk, "GetParametersByPath", expect, sent).await;

    let sent =
        client.put_parameter().name("/pins/note").value(ODD).r#type(ParameterType::String).overwrite(false).send();
    let expect = json!({"Name": "/pins/note", "Value": ODD, "Type": "String", "Overwrite": false});
    call(sdk, "PutParameter", expect, sent).await;
}

pub async fn tagging(config: &SdkConfig) {
    use aws_sdk_resourcegroupstagging::types::TagFilter;

    let sdk = sdk!("resourcegroupstaggingapi", aws_sdk_resourcegroupstagging, "aws-sdk-resourcegroupstagging");
    let client = aws_sdk_resourcegroupstagging::Client::new(config);

    call(sdk, "GetResources", json!({}), client.get_resources().send()).await;

    let sent = client
        .get_resources()
        .pagination_token("eyJ0b2tlbiI6MX0=")
        .tag_filters(TagFilter::builder().key("pinfra:stack").values("pins").values(ODD).build())
        .tag_filters(TagFilter::builder().key("team").build())
        .resources_per_page(100)
        .resource_type_filters("kinesis:stream")
        .include_compliance_details(false)
        .send();
    let expect = json!({
        "PaginationToken": "eyJ0b2tlbiI6MX0=",
        "TagFilters": [{"Key": "pinfra:stack", "Values": ["pins", ODD]}, {"Key": "team"}],
        "ResourcesPerPage": 100,
        "ResourceTypeFilters": ["kinesis:stream"],
        "IncludeComplianceDetails": false,
    });
    call(sdk, "GetResources", expect, sent).await;
}
