//! In which words each service says that there are too many requests, and that something broke in it.
//!
//! The codes are those of the API models (botocore), and where a model has none those of the developer guides: "Request
//! throttling for the Amazon EC2 API", "Error codes for the Amazon EC2 API", "Common error types" of IAM and STS, "Error
//! responses" of S3, "Quotas and limits" of Kinesis Data Streams.

use serde_json::Value;

use crate::wire::error::ApiError;

/// Too many requests. Where the service says when to come again, it is in so many seconds.
pub(crate) fn throttled(service: &str, operation: &str, again_in: f64) -> ApiError {
    let error = |code: &str, status: u16, message: &str| ApiError::new(code, message).with_status(status);
    match (service, operation) {
        ("apigateway", _) => {
            let mut error = error("TooManyRequestsException", 429, "Too Many Requests");
            error.fields.insert("retryAfterSeconds".to_owned(), Value::from(format!("{again_in:.0}")));
            error
        }
        ("ec2", _) => error("RequestLimitExceeded", 503, "Request limit exceeded."),
        ("iam" | "sts", _) => error("Throttling", 400, "Rate exceeded"),
        ("kafka" | "kafkaconnect", _) => error("TooManyRequestsException", 429, "Too Many Requests"),
        ("kinesis", "PutRecord" | "PutRecords" | "GetRecords" | "GetShardIterator") => {
            error("ProvisionedThroughputExceededException", 400, "Rate exceeded for shard")
        }
        ("kinesis", _) => {
            error("LimitExceededException", 400, "Rate exceeded for the operation under account 000000000000.")
        }
        ("s3", _) => error("SlowDown", 503, "Please reduce your request rate."),
        ("tagging", _) => error("ThrottledException", 400, "Rate exceeded"),
        _ => error("ThrottlingException", 400, "Rate exceeded"),
    }
}

/// An error of the service's own, with status 500 or 503.
pub(crate) fn server_error(service: &str, status: u16) -> ApiError {
    let (broken, away) = match service {
        "apigateway" => ("InternalFailure", "ServiceUnavailableException"),
        "ec2" => ("InternalError", "Unavailable"),
        "iam" => ("ServiceFailure", "ServiceUnavailable"),
        "kafka" | "kafkaconnect" => ("InternalServerErrorException", "ServiceUnavailableException"),
        "s3" => ("InternalError", "ServiceUnavailable"),
        "ssm" => ("InternalServerError", "ServiceUnavailable"),
        "tagging" => ("InternalServiceException", "ServiceUnavailable"),
        _ => ("InternalFailure", "ServiceUnavailable"),
    };
    let (code, message) = match status {
        503 => (away, "The service is temporarily unavailable."),
        _ => (broken, "An internal error has occurred."),
    };
    ApiError::new(code, message).with_status(status)
}
