//! Every request that boto3, the AWS CLI and the AWS SDK for Rust were recorded sending is understood as its
//! caller meant it, and its signature is found good.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail it by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use pinfra_local::wire::inspect::{Understood, check_signature, understand};
use serde::Deserialize;
use serde_json::Value;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

#[derive(Deserialize)]
struct Recording {
    operation: String,
    client: String,
    request: Recorded,
    expect: Value,
}

#[derive(Deserialize)]
struct Recorded {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body_base64: String,
}

impl Recorded {
    fn request(&self) -> Request<Bytes> {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(STANDARD.decode(&self.body_base64).unwrap().into()).unwrap()
    }

    fn signed_at(&self) -> OffsetDateTime {
        let in_query = self.target.split(['?', '&']).find_map(|pair| pair.strip_prefix("X-Amz-Date="));
        let in_header = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-date"));
        let text = in_query.or(in_header.map(|(_, value)| value.as_str())).unwrap();
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        PrimitiveDateTime::parse(text, format).unwrap().assume_utc()
    }
}

/// The files with the service of each; those of S3 are checked by `s3s`.
fn recordings() -> Vec<(&'static str, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captured");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let service = |file: &PathBuf| match file.file_name().unwrap().to_str().unwrap().split('.').next().unwrap() {
        "apigateway" => Some("apigateway"),
        "ec2" => Some("ec2"),
        "iam" => Some("iam"),
        "kafka" => Some("kafka"),
        "kafkaconnect" => Some("kafkaconnect"),
        "kinesis" => Some("kinesis"),
        "resourcegroupstaggingapi" => Some("tagging"),
        "ssm" => Some("ssm"),
        "sts" => Some("sts"),
        "s3" | "README" => None,
        other => panic!("no service is named for the requests of `{other}`"),
    };
    files.into_iter().filter_map(|file| Some((service(&file)?, file))).collect()
}

#[test]
fn every_recorded_request_is_understood() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (service, file) in recordings() {
        let recorded: Vec<Recording> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for (index, recording) in recorded.iter().enumerate() {
            count += 1;
            let place = format!("{}[{index}] {} {}", file.display(), recording.operation, recording.client);
            let request = recording.request.request();
            let expected = Understood { operation: recording.operation.clone(), input: recording.expect.clone() };
            match understand(service, &request) {
                Ok(understood) if understood == expected => {}
                other => wrong.push(format!("{place}\n  expected {expected:?}\n  got {other:?}")),
            }
            if let Err(error) = check_signature(&request, SECRET, recording.request.signed_at()) {
                wrong.push(format!("{place}\n  signature: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} requests:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 100, "only {count} recorded requests were found");
}
