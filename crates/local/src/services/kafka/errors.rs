//! The refusals of MSK. Texts that are known from bug reports are AWS's own.

use serde_json::Value;

use crate::kafka::Refused;
use crate::wire::error::ApiError;

/// The request is wrong as a whole, or comes at the wrong time.
pub(super) fn bad_request(message: impl Into<String>) -> ApiError {
    ApiError::new("BadRequestException", message)
}

/// One parameter of the request is wrong.
pub(super) fn invalid(parameter: &str, message: impl Into<String>) -> ApiError {
    let mut error = bad_request(message);
    error.fields.insert("InvalidParameter".to_owned(), Value::from(parameter));
    error
}

/// Something the local cloud does not have: it is named, never accepted in silence.
pub(super) fn unsupported(parameter: &str, what: &str) -> ApiError {
    invalid(parameter, format!("the local cloud does not have {what}"))
}

pub(super) fn conflict(parameter: &str, message: impl Into<String>) -> ApiError {
    let mut error = ApiError::new("ConflictException", message);
    error.fields.insert("InvalidParameter".to_owned(), Value::from(parameter));
    error
}

pub(super) fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("NotFoundException", message)
}

pub(super) fn no_cluster() -> ApiError {
    not_found("The specified cluster ARN does not exist.")
}

pub(super) fn no_operation() -> ApiError {
    not_found("The specified cluster operation ARN does not exist.")
}

/// Not `NotFoundException`: clients match on the text.
pub(super) fn no_configuration() -> ApiError {
    invalid("arn", "Configuration ARN does not exist.")
}

pub(super) fn no_topic(name: &str) -> ApiError {
    not_found(format!("The specified topic {name} does not exist."))
}

/// An ARN of another service or kind is wrong, not absent.
pub(super) fn check_arn(arn: &str, kind: &str) -> Result<(), ApiError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "kafka", _, _, resource] if resource.split('/').next() == Some(kind) => Ok(()),
        _ => Err(invalid(
            "resourceArn",
            format!("One or more of the parameters are not valid: {arn} is no ARN of a {kind}"),
        )),
    }
}

/// What a broker refuses, in the exceptions of the operations on topics.
pub(super) fn of_broker(refused: &Refused) -> ApiError {
    use kafka_protocol::ResponseError as Code;
    let code = match refused.code {
        Code::TopicAlreadyExists => "TopicExistsException",
        Code::UnknownTopicOrPartition => "UnknownTopicOrPartitionException",
        Code::NotController => "NotControllerException",
        Code::ReassignmentInProgress => "ReassignmentInProgressException",
        Code::GroupSubscribedToTopic => "GroupSubscribedToTopicException",
        Code::RequestTimedOut => "KafkaTimeoutException",
        Code::BrokerNotAvailable | Code::NetworkException => "ClusterConnectivityException",
        Code::InvalidTopicException
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::InvalidRequest => "BadRequestException",
        _ => "KafkaRequestException",
    };
    ApiError::new(code, refused.message.clone())
}
