//! Tokens as clients make them, and what becomes of those that are not good.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use super::authority::Authority;
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::kafka::Gate;
use crate::services::iam::Iam;
use crate::services::{Call, Service};
use crate::settings::Settings;

const REGION: &str = "eu-west-1";
/// All but the unreserved characters of RFC 3986.
const RESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const AGENT: &str = "&User-Agent=aws-msk-iam-sasl-signer%2F1.0.1";

struct Token<'a> {
    key: &'a str,
    secret: &'a str,
    session: Option<&'a str>,
    action: &'a str,
    service: &'a str,
    seconds: i64,
    signed_at: OffsetDateTime,
}

impl Token<'_> {
    fn url(&self) -> String {
        let timestamp =
            self.signed_at.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap();
        let scope = format!("{}/{REGION}/{}/aws4_request", &timestamp[..8], self.service);
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, RESERVED).to_string();
        let credential = format!("{}/{scope}", self.key);
        let mut pairs = vec![
            ("Action", self.action.to_owned()),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", credential),
            ("X-Amz-Date", timestamp.clone()),
            ("X-Amz-Expires", self.seconds.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ];
        pairs.extend(self.session.map(|session| ("X-Amz-Security-Token", session.to_owned())));
        pairs.sort();
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let query = query.join("&");
        let host = format!("kafka.{REGION}.amazonaws.com");
        let empty = hex::encode(Sha256::digest(b""));
        let canonical = format!("GET\n/\n{query}\nhost:{host}\n\nhost\n{empty}");
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in scope.split('/') {
            key = hmac(&key, part);
        }
        format!("https://{host}/?{query}&X-Amz-Signature={}{AGENT}", hex::encode(hmac(&key, &to_sign)))
    }
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn account(folder: &Path) -> (Arc<Credentials>, Iam) {
    let credentials = Arc::new(Credentials::open(folder, Clock::default()).unwrap());
    let settings = Settings::new(folder);
    let iam = Iam::open(folder, Clock::default(), &settings, Arc::clone(&credentials)).unwrap();
    (credentials, iam)
}

#[test]
fn tokens_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, iam) = account(folder.path());
    let authority = Authority::new(Arc::clone(&credentials), iam);
    let connect = |token: &Token<'_>| authority.connect(&URL_SAFE_NO_PAD.encode(token.url()), REGION);
    let (key, secret) = (credentials.access_key(), credentials.secret_key());
    let now = OffsetDateTime::now_utc();
    let good = || Token {
        key,
        secret,
        session: None,
        action: "kafka-cluster:Connect",
        service: "kafka-cluster",
        seconds: 900,
        signed_at: now,
    };
    let principal = connect(&good()).unwrap();
    assert_eq!(principal.arn, "arn:aws:iam::000000000000:user/local");
    assert_eq!(principal.expires_millis, (now.unix_timestamp() + 900) * 1_000);
    let padded = URL_SAFE.encode(good().url());
    authority.connect(&padded, REGION).unwrap();

    for (token, says) in [
        (Token { secret: "another", ..good() }, "signature"),
        (Token { key: "AKIAAAAAAAAAAAAAAAAA", ..good() }, "not known"),
        (Token { session: Some("t"), ..good() }, "session token"),
        (Token { action: "kafka-cluster:WriteData", ..good() }, "kafka-cluster:Connect"),
        (Token { service: "kafka", ..good() }, "signed for kafka"),
        (Token { seconds: 901, ..good() }, "900 seconds"),
        (Token { signed_at: now - Duration::seconds(1000), ..good() }, "expired"),
        (Token { signed_at: now + Duration::hours(1), ..good() }, "not yet current"),
    ] {
        let why = connect(&token).unwrap_err();
        assert!(why.contains(says), "{says}: {why}");
        assert!(!why.contains(secret), "{why}");
    }
    let other = authority.connect(&URL_SAFE_NO_PAD.encode(good().url()), "us-east-1").unwrap_err();
    assert!(other.contains("not for kafka.us-east-1"), "{other}");
    for wrong in ["", "?", "bm90IGEgdXJs"] {
        assert!(authority.connect(wrong, REGION).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn sessions_of_roles_may_do_what_their_policies_say() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, iam) = account(folder.path());
    let call = async |operation: &str, input: Value| {
        let call = Call {
            operation: operation.to_owned(),
            region: REGION.to_owned(),
            account: "000000000000".to_owned(),
            principal: "arn:aws:iam::000000000000:user/local".to_owned(),
            access_key: String::new(),
            request_id: String::new(),
            fails: None,
        };
        iam.call(call, input).await.unwrap()
    };
    let trust = json!({"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}});
    call("CreateRole", json!({"RoleName": "gateway", "AssumeRolePolicyDocument": trust.to_string()})).await;
    let topic = "arn:aws:kafka:eu-west-1:000000000000:topic/pins/1/pins.pin";
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kafka-cluster:WriteData", "Resource": topic}});
    call("PutRolePolicy", json!({"RoleName": "gateway", "PolicyName": "p", "PolicyDocument": policy.to_string()}))
        .await;
    let arn = "arn:aws:sts::000000000000:assumed-role/gateway/i-1";
    let keys = credentials.issue(arn, "AROA:i-1", Duration::hours(1)).unwrap();

    let authority = Authority::new(credentials, iam.clone());
    let token = Token {
        key: &keys.access_key,
        secret: &keys.identity.secret,
        session: keys.identity.session_token.as_deref(),
        action: "kafka-cluster:Connect",
        service: "kafka-cluster",
        seconds: 300,
        signed_at: OffsetDateTime::now_utc(),
    };
    let principal = authority.connect(&URL_SAFE_NO_PAD.encode(token.url()), REGION).unwrap();
    assert_eq!(principal.arn, arn);
    authority.may(arn, "kafka-cluster:WriteData", topic).unwrap();
    let why = authority.may(arn, "kafka-cluster:ReadData", topic).unwrap_err();
    assert!(why.contains("not authorized to perform: kafka-cluster:ReadData"), "{why}");
    assert!(
        authority.may(arn, "kafka-cluster:WriteData", "arn:aws:kafka:eu-west-1:000000000000:topic/pins/1/x").is_err()
    );
    authority.may("arn:aws:iam::000000000000:user/local", "kafka-cluster:AlterCluster", topic).unwrap();
}
