//! What an answer of Kafka's REST proxy to one record means ("POST /topics/(topic_name)", Confluent REST Proxy API v2).
//!
//! A 200 alone says nothing: it has one entry for each record, and an entry has the record's place or an error code.

use reqwest::StatusCode;
use serde::Deserialize;

use super::answer::{self, Outcome, Receipt, failed};

#[derive(Deserialize)]
struct Produced {
    offsets: Vec<Entry>,
}

/// What the proxy says instead of offsets.
#[derive(Deserialize)]
struct Problem {
    error_code: i64,
    message: String,
}

#[derive(Deserialize)]
struct Entry {
    partition: Option<i32>,
    offset: Option<i64>,
    error_code: Option<i64>,
    error: Option<String>,
}

/// The error code of a record that may succeed later.
const RETRIABLE: i64 = 2;

/// What an answer to one record for a topic means.
pub(super) fn classify(status: StatusCode, body: &[u8]) -> Outcome {
    if !status.is_success() {
        return match serde_json::from_slice(body) {
            // The proxy itself had no time for it; a 503 of API Gateway has no such code and says nothing of the record.
            Ok(Problem { error_code: 503, message }) => {
                failed(format!("the gateway answered {status}: {message}"), false, false)
            }
            // Those of the proxy have a `message` as API Gateway's have.
            _ => answer::classify(status, body),
        };
    }
    let Ok(Produced { offsets }) = serde_json::from_slice(body) else {
        return failed(format!("the API answered {status} without offsets"), true, true);
    };
    let Some(entry) = offsets.into_iter().next() else {
        return failed(format!("the API answered {status} without an offset"), true, true);
    };
    let error: String = entry.error.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    match (entry.error_code, entry.partition, entry.offset) {
        (None, Some(partition), Some(offset)) => Outcome::Accepted(Receipt::Topic { partition, offset }),
        (None, ..) => failed(format!("the API answered {status} without an offset"), true, true),
        // It may have reached a broker whose answer did not come back.
        (Some(RETRIABLE), ..) => failed(format!("Kafka does not take it for now: {error}"), true, true),
        (Some(code), ..) => Outcome::Refused(format!("Kafka does not take it: {error} (error code {code})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Outcome {
        classify(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn a_record_has_a_place_or_an_error() {
        let taken = answered(
            200,
            r#"{"offsets":[{"partition":2,"offset":100,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}"#,
        );
        assert_eq!(taken, Outcome::Accepted(Receipt::Topic { partition: 2, offset: 100 }));
        // Older proxies leave out what is null.
        let taken = answered(200, r#"{"offsets":[{"partition":0,"offset":0}]}"#);
        assert_eq!(taken, Outcome::Accepted(Receipt::Topic { partition: 0, offset: 0 }));
        let later =
            answered(200, r#"{"offsets":[{"partition":null,"offset":null,"error_code":2,"error":"no leader"}]}"#);
        assert!(matches!(&later, Outcome::Failed(failure) if failure.reason.ends_with("no leader")), "{later:?}");
        let never = answered(200, r#"{"offsets":[{"partition":0,"offset":-1,"error_code":1,"error":"too\nlarge"}]}"#);
        assert_eq!(never, Outcome::Refused("Kafka does not take it: toolarge (error code 1)".to_owned()));
    }

    #[test]
    fn an_answer_without_offsets_is_none() {
        for body in ["", "{}", r#"{"offsets":[]}"#, r#"{"offsets":[{}]}"#, r#"{"SequenceNumber":"1"}"#] {
            let outcome = answered(200, body);
            assert!(matches!(&outcome, Outcome::Failed(failure) if failure.unknown), "{body}: {outcome:?}");
        }
    }

    #[test]
    fn refusals_and_troubles_are_told_apart() {
        let missing = answered(404, r#"{"error_code":40401,"message":"Topic not found."}"#);
        assert_eq!(missing, Outcome::Refused("the API answered 404 Not Found: Topic not found.".to_owned()));
        assert!(matches!(
            answered(422, r#"{"error_code":422,"message":"Unrecognized field: ind"}"#),
            Outcome::Refused(_)
        ));
        let stopping = answered(503, r#"{"error_code":503,"message":"the gateway is stopping"}"#);
        assert!(matches!(&stopping, Outcome::Failed(failure) if !failure.unknown), "{stopping:?}");
        for (status, unknown) in [(429, false), (503, true), (504, true), (500, true), (403, false)] {
            let outcome = answered(status, "{}");
            assert!(
                matches!(&outcome, Outcome::Failed(failure) if failure.unknown == unknown),
                "{status}: {outcome:?}"
            );
        }
    }
}
