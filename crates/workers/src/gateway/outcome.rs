//! What became of a record, and what kind of failure an error of Kafka is.

use rdkafka::types::RDKafkaErrorCode as Code;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All brokers that are to have it have acknowledged it.
    Taken { partition: i32, offset: i64 },
    /// They have not. Where it ran into a limit of time it may be in the topic all the same.
    Failed(Code),
}

/// What a caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Another try may succeed.
    Again,
    NoPartition,
    TooLarge,
    /// The gateway's role lacks a permission.
    Denied,
    /// The topic does not take such records.
    Invalid,
    Other,
}

/// The kind of a failure. What Kafka's own clients retry (`RetriableException`) may be tried again, and so may what this
/// machine's client says of its connections and its queue.
pub(super) fn kind(code: Code) -> Kind {
    match code {
        Code::UnknownPartition => Kind::NoPartition,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => Kind::TooLarge,
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::GroupAuthorizationFailed => {
            Kind::Denied
        }
        Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::InvalidTopic
        | Code::PolicyViolation
        | Code::UnsupportedForMessageFormat => Kind::Invalid,
        // A topic that the gateway knows, or it would not have produced to it: brokers say so while they start, too.
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId
        | Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::QueueFull
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::SSL
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::PurgeQueue
        | Code::PurgeInflight
        | Code::BrokerDestroy
        | Code::Retry
        | Code::Fatal
        | Code::Outdated
        | Code::InvalidMessage
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::RequestTimedOut
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::NetworkException
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::NotController
        | Code::KafkaStorageError
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::OutOfOrderSequenceNumber
        | Code::InvalidProducerEpoch
        | Code::UnknownProducerId
        | Code::ThrottlingQuotaExceeded => Kind::Again,
        _ => Kind::Other,
    }
}
