//! The class of each code.
//!
//! Codes come from the API models and from the SDKs' standard retry list. `LimitExceededException` is three things
//! (a rate, a number of changes at once, a quota), so there the message decides.

use pinfra_engine::ErrorKind;

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
        "BadRequestException" if is_stale(message) => ErrorKind::Conflict,
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
        | "KMSThrottlingException"
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
        "LimitExceededException" | "TooManyBuckets" => ErrorKind::Quota,
        // IAM has one for all its quotas, EC2 one for each.
        code if code.ends_with("LimitExceeded") => ErrorKind::Quota,
        // With status 500, as if the service were in trouble.
        code if code.starts_with("Insufficient") && code.ends_with("Capacity") => ErrorKind::Capacity,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "RequestTimeTooSkewed"
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
        | "KMSAccessDeniedException"
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

/// Whether MSK or MSK Connect refuses a change of another version than the one that is there by now. They name the parameter
/// `currentVersion`; their models do not tell the text.
fn is_stale(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["current version", "currentversion"].iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use ErrorKind::{
        AlreadyExists, Blocked, Capacity, Conflict, Credentials, Invalid, NotFound, Permission, Quota, Throttled,
        Transient,
    };

    use super::*;

    /// What AWS answers, by class: status, code, and the message where it decides.
    const ANSWERS: &[(ErrorKind, &[&str])] = &[
        (
            Throttled,
            &[
                "400 Throttling",
                "400 ThrottlingException",
                "429 ThrottledException",
                "400 RequestThrottled",
                "400 RequestThrottledException",
                "429 TooManyRequestsException",
                "503 RequestLimitExceeded",
                "400 EC2ThrottledException",
                "503 SlowDown",
                "503 BandwidthLimitExceeded",
                "400 PriorRequestNotComplete",
                "400 KMSThrottlingException",
                "400 LimitExceededException: Rate exceeded for stream x under account 1.",
                "400 LimitExceededException: Only 5 streams can be created simultaneously",
                "429 LimitExceededException: Too many requests",
                "429",
            ],
        ),
        (
            Transient,
            &[
                "500",
                "502",
                "503",
                "504",
                "400 RequestTimeout",
                "500 InternalFailure",
                "500 InternalError",
                "503 ServiceUnavailableException",
                "503 Unavailable",
                "500 InternalServerErrorException",
            ],
        ),
        // A step goes on after these while what it refers to is new.
        (NotFound, &["400 InvalidGroup.NotFound", "400 InvalidInstanceID.NotFound", "404 NoSuchBucket"]),
        (
            Conflict,
            &[
                "409 ConflictException",
                "409 OperationAborted",
                "409 ConcurrentModification",
                "412 PreconditionFailed",
                "409 ConditionalRequestConflict",
                "400 BadRequestException: The specified version is not the current version.",
                "400 ResourceInUseException: Stream x under account 1 not ACTIVE, instead in state UPDATING",
                "409",
                "412",
            ],
        ),
        (
            AlreadyExists,
            &[
                "400 ResourceInUseException: Stream x under account 1 already exists.",
                "400 InvalidGroup.Duplicate",
                "400 InvalidPermission.Duplicate",
                "400 InvalidKeyPair.Duplicate",
                "409 EntityAlreadyExists",
                "409 BucketAlreadyExists",
                "409 BucketAlreadyOwnedByYou",
                "409 TopicExistsException",
            ],
        ),
        (
            Blocked,
            &[
                "400 DependencyViolation",
                "400 InvalidGroup.InUse",
                "409 DeleteConflict",
                "409 BucketNotEmpty",
                "400 BadRequestException: Active stages pointing to this deployment must be moved or deleted",
                "400 BadRequestException: The custom plugin is in use by one or more connectors.",
            ],
        ),
        (
            Quota,
            &[
                "409 LimitExceeded",
                "429 LimitExceededException: Maximum number of Usage plans for this account has been reached.",
                "400 LimitExceededException: This request would exceed the shard limit for the account",
                "400 VcpuLimitExceeded",
                "400 InstanceLimitExceeded",
                "400 AddressLimitExceeded",
                "400 VpcEndpointLimitExceeded",
                "400 TooManyBuckets",
                "400 SecurityGroupLimitExceeded",
                "400 RulesPerSecurityGroupLimitExceeded",
            ],
        ),
        (Capacity, &["500 InsufficientInstanceCapacity", "500 InsufficientHostCapacity"]),
        (
            NotFound,
            &[
                "404 NotFoundException",
                "400 ResourceNotFoundException",
                "404 NoSuchEntity",
                "404 NoSuchKey",
                "400 InvalidKeyPair.NotFound",
                "400 InvalidAllocationID.NotFound",
                "400 InvalidInstanceID.Terminated",
                "404 UnknownTopicOrPartitionException",
                "400 BadRequestException: Configuration ARN does not exist.",
                "404",
            ],
        ),
        (
            Credentials,
            &[
                "400 ExpiredToken",
                "403 ExpiredTokenException",
                "400 RequestExpired",
                "403 InvalidClientTokenId",
                "400 InvalidToken",
                "403 RequestTimeTooSkewed",
                "403 SignatureDoesNotMatch",
                "401 AuthFailure",
            ],
        ),
        (
            Permission,
            &[
                "403 AccessDenied",
                "403 AccessDeniedException",
                "403 UnauthorizedOperation",
                "403 ForbiddenException",
                "401 UnauthorizedException",
                "400 KMSAccessDeniedException",
                "403",
            ],
        ),
        (
            Invalid,
            &["400 ValidationException", "400 BadRequestException: The parameter kafkaVersion isn't valid.", "400"],
        ),
    ];

    #[test]
    fn each_answer_has_its_class() {
        for (class, answers) in ANSWERS {
            for answer in *answers {
                let (refusal, message) = answer.split_once(": ").unwrap_or((answer, ""));
                let (status, code) = refusal.split_once(' ').unwrap_or((refusal, ""));
                assert_eq!(kind_of(code, message, status.parse().unwrap()), *class, "{answer}");
            }
        }
    }
}
