//! The one place that reads AWS's error codes.
//!
//! Codes come from the API models and from the SDKs' standard retry list. `LimitExceededException` is three things
//! (a rate, a number of changes at once, a quota), so there the message decides.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pinfra_engine::{CloudError, ErrorKind};

/// What a failed SDK call means. `operation` is such as `kinesis:CreateStream`.
pub fn classify<E>(operation: &str, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let (code, message) = (service.err().code(), service.err().message());
            let status = service.raw().status().as_u16();
            let headers = service.raw().headers();
            let request_id = ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"];
            let request_id = request_id.iter().find_map(|name| headers.get(*name)).map(str::to_owned);
            let kind = kind_of(code.unwrap_or_default(), message.unwrap_or_default(), status);
            let mut found = CloudError::new(kind, operation, message.unwrap_or_default());
            found.code = Some(code.map_or_else(|| format!("HTTP {status}"), str::to_owned));
            found.request_id = request_id;
            found.hint = match found.message.contains("24 hour") {
                true => Some("wait until the 24 hours are over, or ask for what is there now".to_owned()),
                false => hint_for(kind, found.code.as_deref().unwrap_or_default()),
            };
            found
        }
        SdkError::DispatchFailure(failure) => {
            let text = chain(error);
            // What these clients may not send was not sent, and would not be at the next try.
            if failure.is_user() {
                return CloudError::new(ErrorKind::Permission, operation, text);
            }
            let kind = if failure.is_io() || failure.is_timeout() || text.contains("dns error") {
                ErrorKind::Unreachable
            } else if text.contains("credential") || text.contains("identity") {
                ErrorKind::Credentials
            } else {
                ErrorKind::Unreachable
            };
            let hint = match kind {
                ErrorKind::Credentials => hint_for(kind, ""),
                _ => Some("check the network, the region, and AWS_ENDPOINT_URL if it is set".to_owned()),
            };
            CloudError { hint, ..CloudError::new(kind, operation, text) }
        }
        SdkError::TimeoutError(_) => CloudError::new(ErrorKind::Unreachable, operation, chain(error)),
        _ => CloudError::new(ErrorKind::Other, operation, chain(error)),
    }
}

/// What a call answered, or `None` where it says that the object is not there.
pub(crate) fn unless_gone<T>(answer: Result<T, CloudError>) -> Result<Option<T>, CloudError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// An answer without what the API always returns.
pub(crate) fn incomplete(operation: &str, what: &str) -> CloudError {
    CloudError::new(ErrorKind::Other, operation, format!("the answer has no {what}"))
}

/// Nobody listens at an endpoint that was set by hand.
pub(crate) fn unreachable_endpoint(url: &str, why: &str) -> CloudError {
    CloudError::new(ErrorKind::Unreachable, format!("connecting to {url}"), why.to_owned())
        .with_hint("start what should listen there, or unset AWS_ENDPOINT_URL (and AWS_ENDPOINT_URL_<SERVICE>)")
}

/// The error and its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
}

fn kind_of(code: &str, message: &str, status: u16) -> ErrorKind {
    match code {
        // EC2 has such a code for each of its objects, all with status 400.
        code if code.ends_with(".NotFound") || code == "InvalidInstanceID.Terminated" => ErrorKind::NotFound,
        code if code.ends_with(".Duplicate") => ErrorKind::AlreadyExists,
        "ResourceNotFoundException" | "NotFoundException" | "NoSuchBucket" | "NoSuchEntity" | "NotFound" => {
            ErrorKind::NotFound
        }
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" | "EntityAlreadyExists" => ErrorKind::AlreadyExists,
        "ResourceInUseException" if message.contains("already exists") => ErrorKind::AlreadyExists,
        "ResourceInUseException"
        | "OperationAborted"
        | "ConflictException"
        | "ConcurrentModificationException"
        | "ConcurrentModification"
        | "ConditionalRequestConflict"
        | "PreconditionFailed" => ErrorKind::Conflict,
        "BucketNotEmpty" | "DependencyViolation" | "DeleteConflict" | "InvalidGroup.InUse" => ErrorKind::Blocked,
        // API Gateway, MSK and MSK Connect have one code for all that they refuse.
        "BadRequestException" if message.contains("pointing to this deployment") => ErrorKind::Blocked,
        "BadRequestException" if message.contains("Configuration ARN does not exist") => ErrorKind::NotFound,
        "BadRequestException" if is_in_use(message) => ErrorKind::Blocked,
        "TopicExistsException" => ErrorKind::AlreadyExists,
        "UnknownTopicOrPartitionException" => ErrorKind::NotFound,
        "GroupSubscribedToTopicException" => ErrorKind::Blocked,
        // A cluster that is busy with itself: its controller moves, or partitions do.
        "ControllerMovedException"
        | "NotControllerException"
        | "KafkaTimeoutException"
        | "ClusterConnectivityException"
        | "ReassignmentInProgressException" => ErrorKind::Conflict,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "Client.RequestLimitExceeded"
        | "EC2ThrottledException"
        | "SlowDown"
        | "PriorRequestNotComplete" => ErrorKind::Throttled,
        "LimitExceededException" if message.contains("Rate exceeded") || message.contains("simultaneously") => {
            ErrorKind::Throttled
        }
        "LimitExceededException"
        | "LimitExceeded"
        | "TooManyBuckets"
        | "VcpuLimitExceeded"
        | "InstanceLimitExceeded"
        | "AddressLimitExceeded"
        | "SecurityGroupLimitExceeded"
        | "RulesPerSecurityGroupLimitExceeded" => ErrorKind::Quota,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "AuthFailure" => ErrorKind::Credentials,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "ForbiddenException"
        | "UnauthorizedException"
        | "OptInRequired" => ErrorKind::Permission,
        _ => match status {
            404 => ErrorKind::NotFound,
            403 => ErrorKind::Permission,
            409 | 412 => ErrorKind::Conflict,
            429 | 503 => ErrorKind::Throttled,
            400 => ErrorKind::Invalid,
            _ => ErrorKind::Other,
        },
    }
}

/// Whether MSK or MSK Connect refuses to delete what is used; their models do not tell the text.
fn is_in_use(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["in use", "being used", "used by"].iter().any(|words| message.contains(words))
}

fn hint_for(kind: ErrorKind, code: &str) -> Option<String> {
    let text = match (kind, code) {
        (_, "ExpiredToken" | "ExpiredTokenException" | "RequestExpired") => {
            "these credentials have expired: sign in again (`aws sso login`), then run the command again"
        }
        (_, "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId") => {
            "AWS does not know these credentials: check the profile, and that the region is enabled in your account"
        }
        (_, "SignatureDoesNotMatch" | "InvalidSignatureException") => {
            "the secret key does not fit the access key, or this machine's clock is wrong"
        }
        (ErrorKind::Credentials, _) => "sign in again, or check AWS_PROFILE and AWS_ACCESS_KEY_ID",
        (ErrorKind::Permission, _) => "the caller's policy has to allow this action on this resource",
        (ErrorKind::Quota, _) => "ask AWS for a higher quota (Service Quotas in the console), or make less",
        (ErrorKind::Throttled, _) => "run the command again in a moment; `--parallelism` makes it slower",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_with_three_meanings_is_told_apart_by_its_message() {
        let kind = |message| kind_of("LimitExceededException", message, 400);
        assert_eq!(kind("Rate exceeded for stream x under account 1."), ErrorKind::Throttled);
        assert_eq!(kind("This request would exceed the shard limit for the account"), ErrorKind::Quota);
    }

    #[test]
    fn one_code_for_all_that_msk_refuses_is_told_apart_by_its_message() {
        let kind = |message| kind_of("BadRequestException", message, 400);
        assert_eq!(kind("Configuration ARN does not exist."), ErrorKind::NotFound);
        assert_eq!(kind("The custom plugin is in use by one or more connectors."), ErrorKind::Blocked);
        assert_eq!(kind("The parameter kafkaVersion isn't valid."), ErrorKind::Invalid);
    }

    #[test]
    fn a_name_that_is_taken_is_not_a_resource_that_is_busy() {
        let kind = |message| kind_of("ResourceInUseException", message, 400);
        assert_eq!(kind("Stream x under account 1 already exists."), ErrorKind::AlreadyExists);
        assert_eq!(kind("Stream x under account 1 not ACTIVE, instead in state UPDATING"), ErrorKind::Conflict);
    }
}
