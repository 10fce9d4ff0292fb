//! The one place that reads AWS's error codes.
//!
//! Codes come from the API models and from the SDKs' standard retry list. `LimitExceededException` is three things
//! (a rate, a number of changes at once, a quota), so there the message decides. What each class means for a request is in
//! [`crate::retries`], and for a step in `execute` of the engine.

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
                false => hint_for(kind, operation, found.code.as_deref().unwrap_or_default()),
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
                ErrorKind::Credentials => hint_for(kind, operation, ""),
                _ => Some("check the network, the region, and AWS_ENDPOINT_URL if it is set".to_owned()),
            };
            CloudError { hint, ..CloudError::new(kind, operation, text) }
        }
        SdkError::TimeoutError(_) => CloudError::new(ErrorKind::Unreachable, operation, chain(error)),
        // What came back is cut off, or no answer of this API: a proxy's, or half of one.
        SdkError::ResponseError(_) => CloudError::new(ErrorKind::Transient, operation, chain(error)),
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

/// An object that the cloud has named, and does not show: it is too new, or was deleted.
pub(crate) fn unseen(operation: &str, what: &str) -> CloudError {
    CloudError::new(ErrorKind::NotFound, operation, format!("{what} is not to be seen, though AWS has named it"))
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

/// What a refusal means.
pub(crate) fn kind_of(code: &str, message: &str, status: u16) -> ErrorKind {
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
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete" => ErrorKind::Throttled,
        "LimitExceededException" if is_rate(message, status) => ErrorKind::Throttled,
        "InternalFailure"
        | "InternalFailureException"
        | "InternalError"
        | "InternalServerError"
        | "InternalServerErrorException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "Unavailable" => ErrorKind::Transient,
        "LimitExceededException"
        | "LimitExceeded"
        | "TooManyBuckets"
        | "VcpuLimitExceeded"
        | "InstanceLimitExceeded"
        | "VpcEndpointLimitExceeded"
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
            429 => ErrorKind::Throttled,
            500 | 502 | 503 | 504 => ErrorKind::Transient,
            400 => ErrorKind::Invalid,
            _ => ErrorKind::Other,
        },
    }
}

/// Whether a `LimitExceededException` passes by itself: Kinesis says so in its text, API Gateway with status 429, unless it
/// names a maximum.
fn is_rate(message: &str, status: u16) -> bool {
    let message = message.to_ascii_lowercase();
    match status {
        429 => !message.contains("maximum number"),
        _ => message.contains("rate exceeded") || message.contains("simultaneously"),
    }
}

/// Whether MSK or MSK Connect refuses to delete what is used; their models do not tell the text.
fn is_in_use(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["in use", "being used", "used by"].iter().any(|words| message.contains(words))
}

fn hint_for(kind: ErrorKind, operation: &str, code: &str) -> Option<String> {
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
        (_, "InsufficientInstanceCapacity" | "InsufficientHostCapacity") => {
            "AWS has no such machine to give in this zone now: choose another `client.instance` or another subnet, or run the \
             command again later"
        }
        (_, "Unsupported") if operation == "ec2:RunInstances" => {
            "this zone does not have such machines: choose another `client.instance`, or another subnet"
        }
        (ErrorKind::Credentials, _) => "sign in again, or check AWS_PROFILE and AWS_ACCESS_KEY_ID",
        (ErrorKind::Permission, _) => "the caller's policy has to allow this action on this resource",
        (ErrorKind::Quota, _) => {
            let quota = quota_of(operation, code).map(|quota| format!("the quota is {quota}: ")).unwrap_or_default();
            return Some(format!("{quota}ask AWS for more (Service Quotas in the console), or make less"));
        }
        (ErrorKind::Throttled, _) => "run the command again in a moment; `--parallelism` makes it slower",
        (ErrorKind::Transient, _) => "the service is in trouble: run the command again in a moment",
        _ => return None,
    };
    Some(text.to_owned())
}

/// The quota that a refusal is about, as Service Quotas names it.
fn quota_of(operation: &str, code: &str) -> Option<&'static str> {
    Some(match (operation, code) {
        (_, "VcpuLimitExceeded" | "InstanceLimitExceeded") => "\"Running On-Demand instances\" of Amazon EC2, in vCPUs",
        (_, "AddressLimitExceeded") => "\"EC2-VPC Elastic IPs\" of Amazon EC2",
        (_, "SecurityGroupLimitExceeded") => "\"VPC security groups per Region\" of Amazon VPC",
        (_, "RulesPerSecurityGroupLimitExceeded") => "\"Inbound or outbound rules per security group\" of Amazon VPC",
        (_, "VpcEndpointLimitExceeded") => "\"Gateway VPC endpoints per Region\" of Amazon VPC",
        (_, "TooManyBuckets") => "\"General purpose buckets\" of Amazon S3",
        ("iam:CreateRole", _) => "\"Roles per account\" of IAM",
        ("iam:PutRolePolicy", _) => "the 10,240 characters of all inline policies of a role, which is fixed",
        ("iam:CreateInstanceProfile", _) => "\"Instance profiles per account\" of IAM",
        ("kinesis:CreateStream" | "kinesis:UpdateShardCount", _) => "\"Shards per Region\" of Kinesis Data Streams",
        ("apigateway:CreateRestApi", _) => "\"Regional APIs per account per Region\" of Amazon API Gateway",
        ("apigateway:CreateApiKey", _) => "\"API keys per account per Region\" of Amazon API Gateway",
        ("apigateway:CreateUsagePlan", _) => "\"Usage plans per account per Region\" of Amazon API Gateway",
        ("apigateway:CreateStage", _) => "\"Stages per API\" of Amazon API Gateway",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_with_three_meanings_is_told_apart_by_its_message() {
        let kind = |message| kind_of("LimitExceededException", message, 400);
        assert_eq!(kind("Rate exceeded for stream x under account 1."), ErrorKind::Throttled);
        assert_eq!(kind("This request would exceed the shard limit for the account"), ErrorKind::Quota);
        // API Gateway sends it for rates, and for its maxima.
        assert_eq!(kind_of("LimitExceededException", "Too many requests", 429), ErrorKind::Throttled);
        let maximum = "Maximum number of Usage plans for this account has been reached.";
        assert_eq!(kind_of("LimitExceededException", maximum, 429), ErrorKind::Quota);
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

    /// Code, status, class.
    #[test]
    fn each_class_has_its_codes() {
        use ErrorKind::{Blocked, Conflict, Credentials, NotFound, Permission, Quota, Throttled, Transient};
        let cases = [
            ("ThrottlingException", 400, Throttled),
            ("TooManyRequestsException", 429, Throttled),
            ("RequestLimitExceeded", 503, Throttled),
            ("SlowDown", 503, Throttled),
            ("BandwidthLimitExceeded", 503, Throttled),
            ("InternalServerErrorException", 500, Transient),
            ("ServiceUnavailableException", 503, Transient),
            ("RequestTimeout", 400, Transient),
            ("", 502, Transient),
            ("", 504, Transient),
            ("ConflictException", 409, Conflict),
            ("OperationAborted", 409, Conflict),
            ("ConcurrentModification", 409, Conflict),
            ("PreconditionFailed", 412, Conflict),
            ("DependencyViolation", 400, Blocked),
            ("DeleteConflict", 409, Blocked),
            ("BucketNotEmpty", 409, Blocked),
            ("LimitExceeded", 409, Quota),
            ("VcpuLimitExceeded", 400, Quota),
            ("TooManyBuckets", 400, Quota),
            ("InvalidGroup.NotFound", 400, NotFound),
            ("InvalidInstanceID.NotFound", 400, NotFound),
            ("NoSuchBucket", 404, NotFound),
            ("ExpiredToken", 400, Credentials),
            ("ExpiredTokenException", 403, Credentials),
            ("RequestExpired", 400, Credentials),
            ("UnauthorizedOperation", 403, Permission),
            ("AccessDeniedException", 403, Permission),
        ];
        for (code, status, kind) in cases {
            assert_eq!(kind_of(code, "", status), kind, "{code} {status}");
        }
    }

    #[test]
    fn a_quota_is_named_and_a_machine_that_is_not_to_be_had_too() {
        let hint = |kind, operation, code| hint_for(kind, operation, code).unwrap_or_default();
        assert!(
            hint(ErrorKind::Quota, "ec2:RunInstances", "VcpuLimitExceeded").contains("Running On-Demand instances")
        );
        assert!(hint(ErrorKind::Quota, "iam:CreateRole", "LimitExceeded").contains("Roles per account"));
        assert!(hint(ErrorKind::Other, "ec2:RunInstances", "InsufficientInstanceCapacity").contains("client.instance"));
    }
}
