//! AWS's own test suite for Signature Version 4, and what a request must not get away with.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::request::Request;
use super::sigv4::{Fault, SigningKeys, claim, verify};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SIGNED_AT: OffsetDateTime = datetime!(2015-08-30 12:36 UTC);

#[derive(Deserialize)]
struct Case {
    name: String,
    request: String,
}

struct Message {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Message {
    fn parse(text: &str) -> Message {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        // A line that begins with a blank goes on with the header before it.
        let head = head.replace("\n ", " ");
        let mut lines = head.lines();
        let (method, target) = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap().split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let method = method.parse().unwrap();
        Message { method, path: path.to_owned(), query: query.to_owned(), headers, body: body.as_bytes().to_vec() }
    }

    fn verify(&self, now: OffsetDateTime) -> Result<(), Fault> {
        let Message { method, path, query, headers, body } = self;
        let request = Request { method, path, query, headers, body };
        verify(&claim(&request)?, &request, SECRET, &SigningKeys::default(), now)
    }
}

fn suite() -> Vec<Case> {
    serde_json::from_str(include_str!("../../tests/data/sigv4.json")).unwrap()
}

fn case(name: &str) -> Message {
    Message::parse(&suite().into_iter().find(|case| case.name == name).unwrap().request)
}

#[test]
fn every_case_of_the_suite_is_good() {
    let failed: Vec<_> = suite()
        .iter()
        .filter_map(|case| Some((case.name.clone(), Message::parse(&case.request).verify(SIGNED_AT).err()?)))
        .collect();
    assert_eq!(failed, []);
}

#[test]
fn whatever_is_changed_makes_another_signature() {
    let good = || case("post-x-www-form-urlencoded (header)");
    assert_eq!(good().verify(SIGNED_AT), Ok(()));

    let changes: [fn(&mut Message); 5] = [
        |message| message.body.push(b' '),
        |message| message.path.push('x'),
        |message| message.query.push_str("a=b"),
        |message| message.method = Method::PUT,
        |message| drop(message.headers.insert("host", HeaderValue::from_static("example.org"))),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut message = good();
        change(&mut message);
        assert_eq!(message.verify(SIGNED_AT), Err(Fault::Mismatch), "change {index}");
    }
}

#[test]
fn a_declared_payload_hash_does_not_stand_for_the_body() {
    let mut message = case("post-x-www-form-urlencoded (header)");
    assert!(message.headers.contains_key("x-amz-content-sha256"));
    message.body = b"Param1=other1".to_vec();
    assert_eq!(message.verify(SIGNED_AT), Err(Fault::Mismatch));
}

#[test]
fn old_and_future_signatures_are_refused() {
    let message = case("get-vanilla (header)");
    assert_eq!(message.verify(SIGNED_AT + Duration::minutes(15)), Ok(()));
    assert_eq!(message.verify(SIGNED_AT - Duration::minutes(15)), Ok(()));
    let expired =
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T125200Z - 15 min.)";
    assert_eq!(message.verify(SIGNED_AT + Duration::minutes(16)), Err(Fault::Stale(expired.to_owned())));
    assert!(matches!(message.verify(SIGNED_AT - Duration::minutes(16)), Err(Fault::Stale(_))));
}

#[test]
fn a_presigned_request_is_good_until_it_expires() {
    let message = case("get-vanilla (query)");
    assert_eq!(message.verify(SIGNED_AT + Duration::hours(1)), Ok(()));
    assert!(matches!(message.verify(SIGNED_AT + Duration::seconds(3601)), Err(Fault::Stale(_))));
}

#[test]
fn what_decides_must_be_signed() {
    let mut message = case("get-vanilla (header)");
    message.headers.insert("x-amz-target", HeaderValue::from_static("Kinesis_20131202.DeleteStream"));
    assert!(matches!(message.verify(SIGNED_AT), Err(Fault::Incomplete(_))));
}

#[test]
fn claims_that_cannot_be_read() {
    let with = |authorization: &str| {
        let text = format!("GET / HTTP/1.1\nHost:h\nX-Amz-Date:20150830T123600Z\nAuthorization:{authorization}\n\n");
        Message::parse(&text).verify(SIGNED_AT).unwrap_err()
    };
    let incomplete = [
        "AWS4-ECDSA-P256-SHA256 Credential=a/20150830/r/s/aws4_request",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/20150830/r/s, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws4_request, SignedHeaders=x-amz-date, Signature=0",
    ];
    for authorization in incomplete {
        assert!(matches!(with(authorization), Fault::Incomplete(_)), "{authorization}");
    }
    let other_day =
        "AWS4-HMAC-SHA256 Credential=a/20150829/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=0";
    assert!(matches!(with(other_day), Fault::Stale(_)));
    assert_eq!(Message::parse("GET / HTTP/1.1\nHost:h\n\n").verify(SIGNED_AT), Err(Fault::Missing));
}
