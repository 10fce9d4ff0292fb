//! Makes calls with the AWS SDK for Rust for `record.py`, which keeps the requests.
//!
//! Every call is one request, and prints one line of JSON with its service, its operation, the client and what the
//! call means. The answers are of no interest: most are too short for the SDK.

use std::fmt::Debug;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

mod control;
mod data;

const ACCOUNT: &str = "123456789012";
/// Every character that a serialiser somewhere gets wrong.
const ODD: &str = "a b+c%20d&e=f/g?h#i~j'k\"l<m>n\\o,é€漢😀";
const NOON: i64 = 1_709_208_000;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":"*"}]}"#;

fn arn(service: &str, rest: &str) -> String {
    format!("arn:aws:{service}:us-east-1:{ACCOUNT}:{rest}")
}

fn every_byte() -> Vec<u8> {
    (0..=255).collect()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Awaits a call whose only purpose is its request, and tells the recorder what it means.
async fn call<T, E: Debug>(sdk: &Sdk, operation: &str, expect: Value, sent: impl Future<Output = Result<T, E>>) {
    if let Err(error) = sent.await {
        eprintln!("{} {operation}: {error:?}", sdk.service);
    }
    tell(sdk, operation, &expect);
}

fn tell(sdk: &Sdk, operation: &str, expect: &Value) {
    let client = format!("{} {}", sdk.name, sdk.version);
    println!("{}", json!({"service": sdk.service, "operation": operation, "client": client, "expect": expect}));
}

/// A client's name as the fixtures have it.
struct Sdk {
    service: &'static str,
    name: &'static str,
    version: &'static str,
}

macro_rules! sdk {
    ($service:literal, $krate:ident, $name:literal) => {
        &crate::Sdk { service: $service, name: $name, version: $krate::meta::PKG_VERSION }
    };
}
pub(crate) use sdk;

#[tokio::main]
async fn main() {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .load()
        .await;
    run(&config).await;
}

async fn run(config: &SdkConfig) {
    data::kinesis(config).await;
    data::s3(config).await;
    data::ssm(config).await;
    data::tagging(config).await;
    control::sts(config).await;
    control::iam(config).await;
    control::api_gateway(config).await;
    control::kafka(config).await;
    control::kafka_connect(config).await;
    control::ec2(config).await;
}
