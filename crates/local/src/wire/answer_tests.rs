//! Answers and refusals byte for byte, in each protocol.

use http::Response;
use serde_json::{Value, json};

use super::answer;
use super::catalogue;
use super::error::ApiError;

fn success(service: &str, operation: &str, output: &Value) -> (u16, String, String) {
    let (_, model) = catalogue::service(service).unwrap();
    read(&answer::success(model, model.operation(operation).unwrap(), output, "id-1").unwrap())
}

fn refusal(service: &str, error: &ApiError) -> (u16, String, String) {
    read(&answer::refusal(Some(catalogue::service(service).unwrap().1), error, "id-1"))
}

fn read(response: &Response<bytes::Bytes>) -> (u16, String, String) {
    assert_eq!(response.headers()["x-amzn-requestid"], "id-1");
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), content_type, String::from_utf8(response.body().to_vec()).unwrap())
}

fn expect(status: u16, content_type: &str, body: &str) -> (u16, String, String) {
    (status, content_type.to_owned(), body.to_owned())
}

#[test]
fn json_answers() {
    let output = json!({"ShardId": "shardId-000000000000", "SequenceNumber": "1", "EncryptionType": null});
    let body = r#"{"ShardId":"shardId-000000000000","SequenceNumber":"1"}"#;
    assert_eq!(success("kinesis", "PutRecord", &output), expect(200, "application/x-amz-json-1.1", body));
    assert_eq!(success("kinesis", "CreateStream", &json!({})), expect(200, "application/x-amz-json-1.1", ""));

    let record = json!({
        "Data": "AA==", "PartitionKey": "a\"\n😀", "SequenceNumber": "1", "ApproximateArrivalTimestamp": 1709510400.25,
    });
    let output = json!({"Records": [record], "MillisBehindLatest": 0, "NextShardIterator": "i"});
    let body = r#"{"Records":[{"Data":"AA==","PartitionKey":"a\"\n😀","SequenceNumber":"1","ApproximateArrivalTimestamp":1709510400.25}],"MillisBehindLatest":0,"NextShardIterator":"i"}"#;
    assert_eq!(success("kinesis", "GetRecords", &output).2, body);
}

#[test]
fn json_refusals() {
    let error = ApiError::new("ResourceNotFoundException", "Stream \"pins\" not found.");
    let body = r#"{"__type":"ResourceNotFoundException","message":"Stream \"pins\" not found."}"#;
    assert_eq!(refusal("kinesis", &error), expect(400, "application/x-amz-json-1.1", body));
    let failed = ApiError::internal(&std::fmt::Error);
    assert_eq!(refusal("kinesis", &failed).0, 500);
    // The tagging API spells it with a capital.
    let error = ApiError::new("InvalidParameterException", "no");
    assert_eq!(refusal("tagging", &error).2, r#"{"__type":"InvalidParameterException","Message":"no"}"#);
}

#[test]
fn rest_json_answers() {
    // Wire names differ from member names, times are ISO where the model says so.
    let output = json!({"ClusterInfo": {"ClusterArn": "arn", "CreationTime": 1709510400, "NumberOfBrokerNodes": 3}});
    let body = r#"{"clusterInfo":{"clusterArn":"arn","creationTime":"2024-03-04T00:00:00Z","numberOfBrokerNodes":3}}"#;
    assert_eq!(success("kafka", "DescribeCluster", &output), expect(200, "application/json", body));

    // API Gateway lists are `item` on the wire, and its times are numbers.
    let output = json!({"items": [{"id": "a", "createdDate": 1709510400}]});
    let body = r#"{"item":[{"id":"a","createdDate":1709510400}]}"#;
    assert_eq!(success("apigateway", "GetRestApis", &output).2, body);
    assert_eq!(success("apigateway", "CreateRestApi", &json!({"id": "a"})).0, 201);
    assert_eq!(success("apigateway", "DeleteRestApi", &json!({})).0, 202);

    // A payload is the whole body; the rest are headers.
    let (_, model) = catalogue::service("apigateway").unwrap();
    let output = json!({"contentType": "application/json", "contentDisposition": "attachment", "body": "e30="});
    let response = answer::success(model, model.operation("GetExport").unwrap(), &output, "id-1").unwrap();
    assert_eq!(read(&response), expect(200, "application/json", "{}"));
    assert_eq!(response.headers()["content-disposition"], "attachment");
}

#[test]
fn rest_json_refusals() {
    let (_, model) = catalogue::service("kafka").unwrap();
    let mut error = ApiError::new("NotFoundException", "gone");
    error.fields.insert("InvalidParameter".to_owned(), json!("clusterArn"));
    let response = answer::refusal(Some(model), &error, "id-1");
    let body = r#"{"message":"gone","invalidParameter":"clusterArn"}"#;
    assert_eq!(read(&response), expect(404, "application/json", body));
    assert_eq!(response.headers()["x-amzn-errortype"], "NotFoundException");
}

#[test]
fn query_answers() {
    let role = json!({"RoleName": "a<b", "Path": "/", "CreateDate": 1709510400, "Tags": [{"Key": "k", "Value": ""}]});
    let body = "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult><Role>\
        <RoleName>a&lt;b</RoleName><Path>/</Path><CreateDate>2024-03-04T00:00:00Z</CreateDate>\
        <Tags><member><Key>k</Key><Value></Value></member></Tags></Role></GetRoleResult>\
        <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></GetRoleResponse>";
    assert_eq!(success("iam", "GetRole", &json!({ "Role": role })), expect(200, "text/xml", body));
    let body = "<DeleteRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
        <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></DeleteRoleResponse>";
    assert_eq!(success("iam", "DeleteRole", &json!({})).2, body);
}

#[test]
fn query_refusals_have_the_code_and_status_of_the_model() {
    let error = ApiError::new("LimitExceededException", "too many");
    let body = "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>\
        <Code>LimitExceeded</Code><Message>too many</Message></Error><RequestId>id-1</RequestId></ErrorResponse>";
    assert_eq!(refusal("iam", &error), expect(409, "text/xml", body));
    assert_eq!(refusal("iam", &ApiError::new("LimitExceeded", "too many")), expect(409, "text/xml", body));
}

#[test]
fn members_of_an_error_that_belong_in_headers_are_there() {
    let mut error = ApiError::new("TooManyRequestsException", "slowly");
    error.fields.insert("retryAfterSeconds".to_owned(), json!("7"));
    let response = answer::refusal(Some(catalogue::service("apigateway").unwrap().1), &error, "id-1");
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(read(&response), expect(429, "application/json", r#"{"message":"slowly"}"#));
}

#[test]
fn ec2_answers_and_refusals() {
    let output = json!({"Vpcs": [{"VpcId": "vpc-1", "IsDefault": true, "Tags": [{"Key": "k", "Value": "v"}]}]});
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15\"><requestId>id-1</requestId>\
        <vpcSet><item><vpcId>vpc-1</vpcId><isDefault>true</isDefault>\
        <tagSet><item><key>k</key><value>v</value></item></tagSet></item></vpcSet></DescribeVpcsResponse>";
    assert_eq!(success("ec2", "DescribeVpcs", &output), expect(200, "text/xml;charset=UTF-8", body));

    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code>\
        <Message>The vpc ID 'vpc-2' does not exist</Message></Error></Errors><RequestID>id-1</RequestID></Response>";
    let error = ApiError::new("InvalidVpcID.NotFound", "The vpc ID 'vpc-2' does not exist");
    assert_eq!(refusal("ec2", &error), expect(400, "text/xml;charset=UTF-8", body));
}

#[test]
fn an_answer_that_the_model_does_not_have_is_our_fault() {
    let (_, model) = catalogue::service("kinesis").unwrap();
    let operation = model.operation("PutRecord").unwrap();
    let problem = |output: Value| answer::success(model, operation, &output, "id-1").unwrap_err().to_string();
    let said = "the answer does not fit the API model: `PutRecordOutput` has no `Shard`";
    assert_eq!(problem(json!({"Shard": "s"})), said);
    let said = "the answer does not fit the API model: `ShardId` is of another type";
    assert_eq!(problem(json!({"ShardId": 1})), said);
}
