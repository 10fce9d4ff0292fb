//! JSON bodies under the guidance of a shape.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{catalogue, json};

fn read(service: &str, operation: &str, body: &str) -> Result<Value, String> {
    let (_, model) = catalogue::service(service).unwrap();
    let input = model.operation(operation).unwrap().input.unwrap();
    json::read(model, input, body.as_bytes()).map_err(|error| {
        assert_eq!(error.code, "SerializationException");
        error.message
    })
}

#[test]
fn members_are_kept_and_what_is_unknown_is_skipped() {
    let body = r#" {"StreamName":"s","Data":"AA==","Extra":{"deep":[1,{"a":null}]},"PartitionKey":null} "#;
    assert_eq!(read("kinesis", "PutRecord", body).unwrap(), json!({"StreamName": "s", "Data": "AA=="}));
    assert_eq!(read("kinesis", "ListStreams", "").unwrap(), json!({}));
    let tags = r#"{"StreamName":"s","Tags":{"a":"b","é":""}}"#;
    assert_eq!(
        read("kinesis", "AddTagsToStream", tags).unwrap(),
        json!({"StreamName": "s", "Tags": {"a": "b", "é": ""}})
    );
}

#[test]
fn wire_names_become_member_names() {
    let body = r#"{"clusterName":"c","numberOfBrokerNodes":3,"brokerNodeGroupInfo":{"clientSubnets":["s"],"instanceType":"t"}}"#;
    let expected = json!({
        "ClusterName": "c", "NumberOfBrokerNodes": 3,
        "BrokerNodeGroupInfo": {"ClientSubnets": ["s"], "InstanceType": "t"},
    });
    assert_eq!(read("kafka", "CreateCluster", body).unwrap(), expected);
}

#[test]
fn values_of_another_type_are_refused_in_the_words_of_aws() {
    let message = |body: &str| read("kinesis", "CreateStream", body).unwrap_err();
    assert_eq!(message(r#"{"StreamName":1}"#), "NUMBER_VALUE cannot be converted to String");
    assert_eq!(message(r#"{"StreamName":true}"#), "TRUE_VALUE cannot be converted to String");
    assert_eq!(message(r#"{"ShardCount":"1"}"#), "STRING_VALUE cannot be converted to Integer");
    assert_eq!(message(r#"{"ShardCount":1.5}"#), "NUMBER_VALUE cannot be converted to Integer");
    assert_eq!(message(r#"{"ShardCount":3000000000}"#), "NUMBER_VALUE cannot be converted to Integer");
    assert_eq!(message(r#"{"StreamName":["s"]}"#), "Start of list found where not expected");
    assert_eq!(message(r#"{"StreamName":{}}"#), "Start of structure or map found where not expected.");
    assert_eq!(message(r#"{"StreamModeDetails":"ON_DEMAND"}"#), "Unexpected field type");
    let message = read("kinesis", "PutRecord", r#"{"Data":"A"}"#).unwrap_err();
    assert_eq!(message, "STRING_VALUE cannot be converted to Blob");
}

#[test]
fn what_is_not_json_is_told_with_its_place() {
    assert_eq!(
        read("kinesis", "PutRecord", "{\"Data\"").unwrap_err(),
        "EOF while parsing an object at line 1 column 7"
    );
    assert!(read("kinesis", "PutRecord", "{} x").unwrap_err().starts_with("trailing characters"));
    let deep = format!("{{\"Tags\":{}", "{\"a\":".repeat(10_000));
    assert!(read("kinesis", "CreateStream", &deep).is_err());
}

proptest! {
    /// Whatever a service answers can be read back by a client.
    #[test]
    fn what_is_written_is_json(key in any::<String>(), stamp in 0..4_000_000_000_i64) {
        let record = json!({"PartitionKey": key, "ApproximateArrivalTimestamp": stamp, "Data": ""});
        let output = json!({"Records": [record]});
        let (_, model) = catalogue::service("kinesis").unwrap();
        let mut body = Vec::new();
        json::write(model, model.operation("GetRecords").unwrap().output.unwrap(), &output, &mut body).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), output);
    }

    #[test]
    fn no_body_makes_it_panic(body in ".{0,64}|[\\[\\]{}\":,a-zA-Z0-9 .]{0,48}") {
        let _either = read("kinesis", "PutRecords", &body);
    }
}
