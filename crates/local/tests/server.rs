//! A running local cloud: who is let in, what STS, SSM and Tagging answer, and how it starts and stops.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail it by panicking")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use pinfra_local::{LocalCloud, Settings, StartError};
use serde_json::{Value, json};
use support::{Client, TestCloud};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CALLER: &str = "Action=GetCallerIdentity&Version=2011-06-15";

#[tokio::test]
async fn the_caller_is_the_local_user() {
    let test = TestCloud::start();
    let answer = test.client().form("sts", CALLER).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let user_id = test.cloud.access_key().replacen("AKIA", "AIDA", 1);
    let request_id = answer.header("x-amzn-requestid");
    let expected = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <UserId>{user_id}</UserId><Account>000000000000</Account><Arn>arn:aws:iam::000000000000:user/local</Arn>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    );
    assert_eq!(answer.text, expected);
    assert_eq!(request_id.len(), 36);
}

#[tokio::test]
async fn an_assumed_role_is_somebody_else_also_after_a_restart() {
    let test = TestCloud::start();
    let trust = json!({"Statement": {
        "Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole",
    }});
    let create = format!("Action=CreateRole&RoleName=cleaner&Path=%2Fpins%2F&AssumeRolePolicyDocument={trust}");
    assert_eq!(test.client().form("iam", &create).await.status, 200);
    let role = "arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fpins%2Fcleaner";
    let form = format!("Action=AssumeRole&RoleArn={role}&RoleSessionName=i-1&DurationSeconds=900");
    let answer = test.client().form("sts", &form).await;
    let mut session =
        Client::new(test.cloud.endpoint(), answer.element("AccessKeyId"), answer.element("SecretAccessKey"));
    session.session_token = Some(answer.element("SessionToken").to_owned());
    let arn = "arn:aws:sts::000000000000:assumed-role/cleaner/i-1";
    assert!(answer.element("AssumedRoleUser").contains(arn), "{answer:?}");
    assert_eq!(session.form("sts", CALLER).await.element("Arn"), arn);

    // A token is part of the key.
    let token = session.session_token.take();
    assert_eq!(session.form("sts", CALLER).await.element("Code"), "InvalidClientTokenId");
    session.session_token = token;
    let chained = session.form("sts", "Action=GetSessionToken").await;
    assert_eq!((chained.status.as_u16(), chained.element("Code")), (403, "AccessDenied"));

    let TestCloud { cloud, folder } = test;
    cloud.stop().await;
    let cloud = LocalCloud::start(Settings::new(folder.path())).unwrap();
    session.endpoint = cloud.endpoint().to_owned();
    assert_eq!(session.form("sts", CALLER).await.element("Arn"), arn);
    cloud.clock().advance(Duration::from_secs(901));
    assert_eq!(session.form("sts", CALLER).await.element("Code"), "ExpiredToken");
    let json = session.json("ssm", "AmazonSSM.GetParameter", &json!({"Name": "/a"})).await;
    assert_eq!(json.json()["__type"], "ExpiredTokenException");
}

#[tokio::test]
async fn only_good_signatures_are_let_in() {
    let test = TestCloud::start();
    let stranger = Client::new(test.cloud.endpoint(), "AKIAIOSFODNN7EXAMPLE", "secret");
    let forger = Client::new(test.cloud.endpoint(), test.cloud.access_key(), "secret");
    let parameter = json!({"Name": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"});
    let cases = [
        (&stranger, "UnrecognizedClientException", 400, "InvalidClientTokenId", "AuthFailure"),
        (&forger, "InvalidSignatureException", 400, "SignatureDoesNotMatch", "AuthFailure"),
    ];
    for (client, json_code, json_status, query_code, ec2_code) in cases {
        let answer = client.json("ssm", "AmazonSSM.GetParameter", &parameter).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["__type"]), (json_status, &json!(json_code)));
        let answer = client.form("sts", CALLER).await;
        assert_eq!((answer.status.as_u16(), answer.element("Code")), (403, query_code));
        let answer = client.form("ec2", "Action=DescribeVpcs").await;
        assert_eq!((answer.status.as_u16(), answer.element("Code")), (401, ec2_code));
        assert!(answer.text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>"));
        let answer = client.send(client.sign("kafka", Method::GET, "/v1/clusters", &[], Vec::new())).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-amzn-errortype")), (403, json_code));
    }

    let unsigned = Request::post(test.cloud.endpoint())
        .header("x-amz-target", "AmazonSSM.GetParameter")
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    let answer = test.client().send(unsigned).await;
    assert_eq!(answer.json()["__type"], "MissingAuthenticationTokenException");
    assert_eq!(test.cloud.requests().total, 0, "what was not let in is not counted");
}

#[tokio::test]
async fn a_moved_clock_does_not_spoil_signatures() {
    let test = TestCloud::start();
    test.cloud.clock().advance(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(test.client().form("sts", CALLER).await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let test = TestCloud::start();
    let client = test.client();
    let put = json!({"Name": "/a", "Value": "b", "Type": "String"});
    let answer = client.json("ssm", "AmazonSSM.PutParameter", &put).await;
    let body = json!({
        "__type": "UnknownOperationException",
        "message": "the local cloud does not have the operation PutParameter of ssm",
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (400, body));

    let answer = client.json("kinesis", "Kinesis_20131202.CreateChannel", &json!({})).await;
    assert!(answer.json()["message"].as_str().unwrap().contains("CreateChannel of kinesis"), "{answer:?}");
    let answer = client.json("dynamodb", "DynamoDB_20120810.ListTables", &json!({})).await;
    let message = "the local cloud does not have the service dynamodb, which was asked for ListTables";
    assert_eq!(answer.json()["message"], message);
    let answer = client.send(client.sign("lambda", Method::GET, "/2015-03-31/functions/", &[], Vec::new())).await;
    assert!(answer.text.contains("the service lambda, which was asked for GET /2015-03-31/functions/"), "{answer:?}");
    let answer = client.form("sns", "Action=ListTopics").await;
    assert_eq!(answer.element("Code"), "UnknownOperationException");
    let answer = client.form("iam", "Action=CreateGroup").await;
    assert_eq!(answer.element("Code"), "UnknownOperationException");
    let answer = client.send(client.sign("kafka", Method::GET, "/v1/nothing", &[], Vec::new())).await;
    assert_eq!(answer.header("x-amzn-errortype"), "UnknownOperationException");
    assert!(answer.text.contains("GET /v1/nothing of kafka"), "{answer:?}");
}

#[tokio::test]
async fn bad_input_is_refused_before_a_service_sees_it() {
    let test = TestCloud::start();
    let client = test.client();
    let answer = client.json("ssm", "AmazonSSM.GetParameters", &json!({"Names": []})).await;
    let message = "1 validation error detected: Value '[]' at 'names' failed to satisfy constraint: \
        Member must have length greater than or equal to 1";
    assert_eq!(answer.json(), json!({"__type": "ValidationException", "message": message}));

    let answer = client.json("ssm", "AmazonSSM.GetParameter", &json!({"Name": 7})).await;
    let expected = json!({"__type": "SerializationException", "message": "NUMBER_VALUE cannot be converted to String"});
    assert_eq!(answer.json(), expected);

    let headers = [("content-type", "application/x-amz-cbor-1.1"), ("x-amz-target", "AmazonSSM.GetParameter")];
    let answer = client.send(client.sign("ssm", Method::POST, "/", &headers, vec![0xa0])).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["__type"]), (415, &json!("UnsupportedMediaTypeException")));

    let large = json!({"Name": "x".repeat(2 * 1024 * 1024)});
    let answer = client.json("ssm", "AmazonSSM.GetParameter", &large).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["__type"]), (413, &json!("RequestEntityTooLargeException")));

    let deep = "[".repeat(100_000);
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.GetParameters")];
    let body = format!("{{\"Names\":{deep}").into_bytes();
    let answer = client.send(client.sign("ssm", Method::POST, "/", &headers, body)).await;
    assert_eq!(answer.json()["__type"], "SerializationException");
}

#[tokio::test]
async fn public_parameters() {
    let test = TestCloud::start();
    let client = test.client();
    let name = "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id";
    let one = client.json("ssm", "AmazonSSM.GetParameter", &json!({"Name": name})).await.json();
    let image = one["Parameter"]["Value"].as_str().unwrap();
    assert!(image.len() == 21 && image.starts_with("ami-"), "{image}");
    assert_eq!(one["Parameter"]["ARN"], format!("arn:aws:ssm:us-east-1::parameter{name}"));

    let some = json!({"Names": [format!("{name}:1"), "/none"]});
    let some = client.json("ssm", "AmazonSSM.GetParameters", &some).await.json();
    assert_eq!(some["Parameters"][0]["Value"], image);
    assert_eq!(some["InvalidParameters"], json!(["/none"]));
    let none = client.json("ssm", "AmazonSSM.GetParameter", &json!({"Name": "/none"})).await;
    assert_eq!((none.status.as_u16(), &none.json()["__type"]), (400, &json!("ParameterNotFound")));

    let mut names = Vec::new();
    let mut input = json!({"Path": "/aws/service/ami-amazon-linux-latest", "MaxResults": 7});
    loop {
        let page = client.json("ssm", "AmazonSSM.GetParametersByPath", &input).await.json();
        let page_names = page["Parameters"].as_array().unwrap().iter().map(|parameter| parameter["Name"].clone());
        names.extend(page_names);
        match &page["NextToken"] {
            Value::Null => break,
            token => input["NextToken"] = token.clone(),
        }
    }
    assert_eq!(names.len(), 16);
    let empty = json!({"Path": "/aws/service/canonical/ubuntu"});
    let empty = client.json("ssm", "AmazonSSM.GetParametersByPath", &empty).await.json();
    assert_eq!(empty["Parameters"], json!([]));
}

#[tokio::test]
async fn nothing_is_tagged_in_an_empty_cloud() {
    let test = TestCloud::start();
    let target = "ResourceGroupsTaggingAPI_20170126.GetResources";
    let answer = test.client().json("tagging", target, &json!({"TagFilters": [{"Key": "pinfra:stack"}]})).await;
    assert_eq!(answer.text, r#"{"PaginationToken":"","ResourceTagMappingList":[]}"#);
}

#[tokio::test]
async fn streams_and_buckets_are_found_by_their_tags() {
    let test = TestCloud::start();
    let client = test.client();
    let stream = json!({"StreamName": "pins-pin", "ShardCount": 1, "Tags": {"pinfra:stack": "pins"}});
    let created = client.json("kinesis", "Kinesis_20131202.CreateStream", &stream).await;
    assert_eq!((created.status.as_u16(), created.text.as_str()), (200, ""));
    let tags = b"<Tagging><TagSet><Tag><Key>pinfra:stack</Key><Value>pins</Value></Tag></TagSet></Tagging>";
    for (target, body) in [("/pins-lake", &b""[..]), ("/pins-lake?tagging=", tags)] {
        let made = client.s3(Method::PUT, target, body).await;
        assert!(made.status.is_success(), "{made:?}");
    }

    let target = "ResourceGroupsTaggingAPI_20170126.GetResources";
    let find = async |types: Value| {
        let input = json!({
            "TagFilters": [{"Key": "pinfra:stack", "Values": ["pins"]}], "ResourceTypeFilters": types,
        });
        client.json("tagging", target, &input).await.json()["ResourceTagMappingList"].clone()
    };
    let tags = json!([{"Key": "pinfra:stack", "Value": "pins"}]);
    let stream = json!({"ResourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/pins-pin", "Tags": tags});
    let bucket = json!({"ResourceARN": "arn:aws:s3:::pins-lake", "Tags": tags});
    assert_eq!(find(json!([])).await, json!([stream, bucket]));
    assert_eq!(find(json!(["kinesis:stream"])).await, json!([stream]));
    assert_eq!(find(json!(["s3"])).await, json!([bucket]));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let test = TestCloud::start();
    let client = test.client();
    client.json("kinesis", "Kinesis_20131202.CreateStream", &json!({"StreamName": "s", "ShardCount": 1})).await;
    settled(&client).await;
    let record = json!({"StreamName": "s", "PartitionKey": "k", "Data": "aGVsbG8="});
    let put = client.json("kinesis", "Kinesis_20131202.PutRecord", &record).await;
    assert_eq!(put.json()["ShardId"], "shardId-000000000000", "{put:?}");
    client.s3(Method::PUT, "/lake", b"").await;
    assert_eq!(client.s3(Method::PUT, "/lake/_pinfra/status", b"hello").await.status, 200);

    let TestCloud { cloud, folder } = test;
    cloud.stop().await;
    let test = TestCloud { cloud: LocalCloud::start(Settings::new(folder.path())).unwrap(), folder };
    let client = test.client();
    let shard = json!({"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = client.json("kinesis", "Kinesis_20131202.GetShardIterator", &shard).await.json();
    let records = json!({"ShardIterator": iterator["ShardIterator"]});
    let records = client.json("kinesis", "Kinesis_20131202.GetRecords", &records).await.json();
    assert_eq!(records["Records"][0]["Data"], "aGVsbG8=", "{records}");
    let object = client.s3(Method::GET, "/lake/_pinfra/status", b"").await;
    assert_eq!(object.text, "hello");
    assert!(!object.header("x-amzn-requestid").is_empty());

    let stranger = Client::new(test.cloud.endpoint(), "AKIAIOSFODNN7EXAMPLE", "secret");
    let refused = stranger.s3(Method::GET, "/lake/_pinfra/status", b"").await;
    assert_eq!((refused.status.as_u16(), refused.element("Code")), (403, "InvalidAccessKeyId"));
}

/// Waits until the stream `s` can be used.
async fn settled(client: &Client) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let name = json!({"StreamName": "s"});
        let stream = client.json("kinesis", "Kinesis_20131202.DescribeStreamSummary", &name).await.json();
        if stream["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
            return;
        }
        assert!(Instant::now() < deadline, "{stream}");
    }
}

#[tokio::test]
async fn foreign_hosts_are_refused() {
    let test = TestCloud::start();
    let address = test.cloud.endpoint().strip_prefix("http://").unwrap().to_owned();
    let refused = move |host: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let told = "the local cloud answers only to the hosts 127.0.0.1, localhost and [::1]";
        // S3 refuses anonymous requests with the same status, but in other words.
        answer.starts_with("HTTP/1.1 403 Forbidden\r\n") && answer.contains(told)
    };
    tokio::task::spawn_blocking(move || {
        assert!(refused("rebound.example.com"));
        assert!(!refused("localhost:99"));
        assert!(!refused("lake.localhost"));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let test = TestCloud::start();
    let client = test.client();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let signed = client.sign("sts", Method::POST, "/", &headers, CALLER.as_bytes().to_vec());
    let mut head = "POST / HTTP/1.1\r\n".to_owned();
    for (name, value) in signed.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    head.push_str(&format!("content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n", CALLER.len()));
    let address = test.cloud.endpoint().strip_prefix("http://").unwrap().to_owned();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(CALLER.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_begins_gives_its_seat_back() {
    let test = TestCloud::start();
    let client = test.client();
    let address = test.cloud.endpoint().strip_prefix("http://").unwrap().to_owned();
    assert_eq!(client.form("sts", CALLER).await.status, 200);

    let mut half = tokio::net::TcpStream::connect(&address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: localh").await.unwrap();
    let asked = tokio::time::Instant::now();
    assert_eq!(half.read(&mut [0; 64]).await.unwrap(), 0);
    let waited = asked.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(20)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn one_process_at_a_time() {
    let test = TestCloud::start();
    let error = LocalCloud::start(Settings::new(test.folder.path())).unwrap_err();
    match &error {
        StartError::InUse { pid, .. } => assert_eq!(*pid, Some(std::process::id())),
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");

    let port = test.cloud.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let taken = LocalCloud::start(Settings { port, ..Settings::new(folder.path()) }).unwrap_err();
    assert!(matches!(taken, StartError::Bind { port: taken, .. } if taken == port), "{taken}");
}

#[tokio::test]
async fn the_admin_face_counts_and_stops() {
    let test = TestCloud::start();
    let client = test.client();
    let file = test.folder.path().join("server.json");
    let about: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(about["endpoint"], test.cloud.endpoint());
    assert_eq!(about["pid"], std::process::id());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    client.form("sts", CALLER).await;
    client.form("sts", CALLER).await;
    client.json("ssm", "AmazonSSM.PutParameter", &json!({"Name": "/a", "Value": "b"})).await;
    client
        .send(Request::get(format!("{}/lake?list-type=2", test.cloud.endpoint())).body(Full::default()).unwrap())
        .await;

    let ask = async |method: Method, path: &str, token: &str| {
        let request = Request::builder().method(method).uri(format!("{}{path}", test.cloud.endpoint()));
        client.send(request.header("authorization", format!("Bearer {token}")).body(Full::default()).unwrap()).await
    };
    let token = about["token"].as_str().unwrap();
    assert_eq!(ask(Method::GET, "/_pinfra/status", "guess").await.status, 401);
    assert_eq!(ask(Method::POST, "/_pinfra/stop", "").await.status, 401);
    assert_eq!(ask(Method::GET, "/_pinfra/other", token).await.status, 404);
    let status = ask(Method::GET, "/_pinfra/status", token).await.json();
    assert_eq!((&status["requests"], &status["mutating_requests"]), (&json!(4), &json!(1)));
    let requests = ask(Method::GET, "/_pinfra/requests", token).await.json();
    let expected = json!({
        "s3": {"ListObjectsV2": 1}, "ssm": {"PutParameter": 1}, "sts": {"GetCallerIdentity": 2},
    });
    assert_eq!(requests, expected);

    assert_eq!(ask(Method::POST, "/_pinfra/stop", token).await.status, 202);
    tokio::time::timeout(Duration::from_secs(10), test.cloud.stop_requested()).await.unwrap();
    let endpoint = test.cloud.endpoint().to_owned();
    test.cloud.stop().await;
    assert!(!file.exists());
    assert!(TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).is_err());
}

#[tokio::test]
async fn dropped_and_started_again() {
    let test = TestCloud::start();
    let (keys, folder) = (test.cloud.access_key().to_owned(), test.folder);
    drop(test.cloud);
    let deadline = Instant::now() + Duration::from_secs(10);
    let again = loop {
        match LocalCloud::start(Settings::new(folder.path())) {
            Ok(cloud) => break cloud,
            Err(StartError::InUse { .. }) if Instant::now() < deadline => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(again.access_key(), keys);
}
