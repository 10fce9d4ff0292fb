//! What is answered: bodies as the REST Proxy writes them, and its error codes.

use std::fmt::Write;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use rdkafka::types::RDKafkaErrorCode;

use super::media;
use super::outcome::{Kind, Outcome, kind};
use super::records::Malformed;

/// An answer, complete.
pub(super) type Answer = Response<Full<Bytes>>;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("HTTP 404 Not Found")]
    NoRoute,
    #[error("HTTP 405 Method Not Allowed")]
    Method(&'static str),
    #[error("HTTP 406 Not Acceptable: answers are `application/vnd.kafka.v2+json`")]
    NotAcceptable,
    #[error(
        "HTTP 415 Unsupported Media Type: records are `application/vnd.kafka.json.v2+json` or `application/vnd.kafka.binary.v2+json`"
    )]
    Media,
    #[error("HTTP 403 Forbidden")]
    Secret,
    #[error("a request may have {0} bytes at most")]
    TooLarge(usize),
    #[error("{0}")]
    Body(#[from] Malformed),
    #[error("the body did not come within {0} s")]
    Slow(u64),
    #[error("the body cannot be read")]
    Broken,
    #[error("Topic not found.")]
    NoTopic,
    #[error("Partition not found.")]
    NoPartition,
    #[error("a record is larger than the topic takes")]
    RecordTooLarge,
    #[error("the gateway is not allowed to do that: {0}")]
    Denied(RDKafkaErrorCode),
    #[error("the brokers refuse the record: {0}")]
    Invalid(RDKafkaErrorCode),
    #[error("Kafka error: {0}")]
    Kafka(String),
    #[error("Kafka error, may be tried again: {0}")]
    Again(String),
    #[error("more records are under way than the gateway takes at once")]
    Busy,
    #[error("the gateway is stopping")]
    Stopping,
}

impl Refusal {
    /// The refusal of a request of which no record was taken, by why its first was not.
    pub(super) fn of_record(code: RDKafkaErrorCode) -> Refusal {
        match kind(code) {
            Kind::Again => Refusal::Again(code.to_string()),
            Kind::NoPartition => Refusal::NoPartition,
            Kind::TooLarge => Refusal::RecordTooLarge,
            Kind::Denied => Refusal::Denied(code),
            Kind::Invalid => Refusal::Invalid(code),
            Kind::Other => Refusal::Kafka(code.to_string()),
        }
    }

    /// Status and error code. Codes of five digits are the REST Proxy's, but for 41301 and 42200.
    fn codes(&self) -> (StatusCode, u32) {
        match self {
            Refusal::NoRoute => (StatusCode::NOT_FOUND, 404),
            Refusal::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, 405),
            Refusal::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, 406),
            Refusal::Media => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 415),
            Refusal::Secret | Refusal::Denied(_) => (StatusCode::FORBIDDEN, 40301),
            Refusal::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, 413),
            Refusal::RecordTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 41301),
            Refusal::Body(Malformed::Syntax(_)) | Refusal::Broken => (StatusCode::BAD_REQUEST, 400),
            Refusal::Body(Malformed::TooMany) => (StatusCode::PAYLOAD_TOO_LARGE, 413),
            Refusal::Body(Malformed::Unrecognized(_) | Malformed::Empty) => (StatusCode::UNPROCESSABLE_ENTITY, 422),
            Refusal::Body(Malformed::Field { .. }) => (StatusCode::UNPROCESSABLE_ENTITY, 42201),
            Refusal::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42200),
            Refusal::Slow(_) => (StatusCode::REQUEST_TIMEOUT, 408),
            Refusal::NoTopic => (StatusCode::NOT_FOUND, 40401),
            Refusal::NoPartition => (StatusCode::NOT_FOUND, 40402),
            Refusal::Kafka(_) => (StatusCode::INTERNAL_SERVER_ERROR, 50002),
            Refusal::Again(_) => (StatusCode::INTERNAL_SERVER_ERROR, 50003),
            Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, 429),
            Refusal::Stopping => (StatusCode::SERVICE_UNAVAILABLE, 503),
        }
    }

    /// The answer that says so.
    pub(super) fn answer(&self) -> Answer {
        let (status, code) = self.codes();
        let body = serde_json::json!({"error_code": code, "message": self.to_string()}).to_string();
        let mut answer = respond(status, media::KAFKA, body);
        match self {
            Refusal::Busy | Refusal::Stopping => {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Refusal::Method(allowed) => {
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            }
            _ => {}
        }
        answer
    }
}

/// An answer with a body.
pub(super) fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// What became of the records of a request, of which one at least was taken. `error_code` is 1 where another try is of no
/// use, and 2 where it may be ("Produce messages to a topic", Confluent REST Proxy API reference).
pub(super) fn offsets(outcomes: &[Outcome]) -> String {
    let mut body = String::with_capacity(64 + 80 * outcomes.len());
    body.push_str(r#"{"offsets":["#);
    for (number, outcome) in outcomes.iter().enumerate() {
        if number > 0 {
            body.push(',');
        }
        let written = match outcome {
            // A try that was repeated may have succeeded the first time, at a place that brokers no longer know.
            Outcome::Taken { partition, offset: ..0 } => {
                write!(body, r#"{{"partition":{partition},"offset":null,"error_code":null,"error":null}}"#)
            }
            Outcome::Taken { partition, offset } => {
                write!(body, r#"{{"partition":{partition},"offset":{offset},"error_code":null,"error":null}}"#)
            }
            Outcome::Failed(code) => {
                let number = if kind(*code) == Kind::Again { 2 } else { 1 };
                let error = serde_json::Value::from(code.to_string());
                write!(body, r#"{{"partition":null,"offset":null,"error_code":{number},"error":{error}}}"#)
            }
        };
        written.expect("a text takes all that is written to it");
    }
    body.push_str(r#"],"key_schema_id":null,"value_schema_id":null}"#);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_record_by_record() {
        let outcomes = [
            Outcome::Taken { partition: 1, offset: 12 },
            Outcome::Failed(RDKafkaErrorCode::MessageSizeTooLarge),
            Outcome::Failed(RDKafkaErrorCode::MessageTimedOut),
        ];
        let told: serde_json::Value = serde_json::from_str(&offsets(&outcomes)).unwrap();
        assert_eq!(told["offsets"][0], serde_json::json!({"partition":1,"offset":12,"error_code":null,"error":null}));
        assert_eq!(told["offsets"][1]["error_code"], 1);
        assert_eq!(told["offsets"][2]["error_code"], 2);
        assert!(told["key_schema_id"].is_null() && told["value_schema_id"].is_null());
        let one = offsets(&outcomes[..1]);
        assert_eq!(
            one,
            r#"{"offsets":[{"partition":1,"offset":12,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}"#
        );
    }
}
