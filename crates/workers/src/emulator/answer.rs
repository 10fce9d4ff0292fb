//! What an answer of the API means for the event.
//!
//! The event was *accepted*; the API *refused* it, and would do so again; or the attempt *failed* and another may
//! succeed. A failed attempt may have had its effect all the same (the answer was lost, or the API failed after Kinesis
//! had the record), which is told apart.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// An API that asks for more patience does not get it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an attempt came to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The record is where it was to go.
    Accepted(Receipt),
    /// The API will not take this event.
    Refused(String),
    /// Not this time.
    Failed(Failure),
}

/// What the API says of a record that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is in the stream.
    Stream,
    /// The brokers of Kafka have acknowledged it.
    Topic {
        /// The partition that it is in.
        partition: i32,
        /// Its place there.
        offset: i64,
    },
}

/// Why an attempt failed.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    /// For people.
    pub(super) reason: String,
    /// It may have had an effect.
    pub(super) unknown: bool,
    /// The API answered, and not that it has no time or does not know the caller: this may be about the event.
    pub(super) answered: bool,
    /// Not to be tried again before.
    pub(super) after: Option<Duration>,
}

/// A failure that says nothing of when to try again.
pub(super) fn failed(reason: String, unknown: bool, answered: bool) -> Outcome {
    Outcome::Failed(Failure { reason, unknown, answered, after: None })
}

/// What an answer to a record for a stream means.
pub(super) fn classify(status: StatusCode, body: &[u8]) -> Outcome {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    // An integration that maps all answers to 200 passes on Kinesis's own errors like this.
    let error = text("__type").map(|kind| kind.rsplit('#').next().unwrap_or(kind));
    let message = text("message").or_else(|| text("Message")).unwrap_or_default();
    let mut reason = format!("the API answered {status}");
    for part in [error.unwrap_or_default(), message] {
        if !part.is_empty() {
            let part: String = part.chars().filter(|c| !c.is_control()).take(200).collect();
            reason = format!("{reason}: {part}");
        }
    }
    match (status.as_u16(), error) {
        (200..300, None) => Outcome::Accepted(Receipt::Stream),
        (_, Some(error)) if THROTTLED.iter().any(|one| error.contains(one)) => failed(reason, false, false),
        (_, Some(error)) if BROKEN.iter().any(|one| error.contains(one)) => failed(reason, true, true),
        (408 | 425 | 429, _) => failed(reason, false, false),
        // These are about the caller, not about the event: it is worth keeping until somebody has put that right.
        (401 | 403, _) => failed(reason, false, false),
        (500.., _) => failed(reason, true, true),
        _ => Outcome::Refused(reason),
    }
}

/// Errors of Kinesis that say that it did not take the record ("PutRecord", Kinesis Data Streams API reference).
const THROTTLED: [&str; 5] =
    ["ProvisionedThroughputExceeded", "LimitExceeded", "Throttling", "KMSThrottling", "SlowDown"];
/// Errors that do not say.
const BROKEN: [&str; 3] = ["InternalFailure", "InternalServerError", "ServiceUnavailable"];

/// `Retry-After` in either of its forms (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (OffsetDateTime::parse(text, &Rfc2822).ok()? - now).try_into().unwrap_or(Duration::ZERO),
    };
    Some(wait.min(PATIENCE))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn fails(status: u16, body: &str, unknown: bool) {
        let outcome = classify(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert!(matches!(&outcome, Outcome::Failed(failure) if failure.unknown == unknown), "{outcome:?}");
    }

    #[track_caller]
    fn refuses(status: u16, body: &str, reason: &str) {
        let outcome = classify(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(outcome, Outcome::Refused(reason.to_owned()));
    }

    #[test]
    fn answers_are_told_apart() {
        let taken = classify(StatusCode::OK, br#"{"SequenceNumber":"495","ShardId":"shardId-000000000000"}"#);
        assert_eq!(taken, Outcome::Accepted(Receipt::Stream));
        fails(429, r#"{"message":"Too Many Requests"}"#, false);
        fails(400, r#"{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded"}"#, false);
        fails(200, r#"{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded"}"#, false);
        fails(403, r#"{"message":"Forbidden"}"#, false);
        fails(500, r#"{"message": "Internal server error"}"#, true);
        fails(504, r#"{"message": "Endpoint request timed out"}"#, true);
        refuses(400, r#"{"message":"Invalid request body"}"#, "the API answered 400 Bad Request: Invalid request body");
        refuses(
            200,
            r#"{"__type":"com.amazonaws#ResourceNotFoundException","message":"Stream x not found"}"#,
            "the API answered 200 OK: ResourceNotFoundException: Stream x not found",
        );
        refuses(413, "<html>", "the API answered 413 Payload Too Large");
    }

    #[test]
    fn retry_after_has_two_forms() {
        let now = OffsetDateTime::from_unix_timestamp(1_445_412_460).unwrap();
        let parse = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(parse("3"), Some(Duration::from_secs(3)));
        assert_eq!(parse("99999999"), Some(PATIENCE));
        assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(20)));
        assert_eq!(parse("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
    }
}
