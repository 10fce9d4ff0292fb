//! Which requests the broker answers, and in which versions.

use kafka_protocol::messages::ApiKey;

/// A kind of request with its versions.
pub(crate) struct Supported {
    pub(crate) key: ApiKey,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

const fn supported(key: ApiKey, min: i16, max: i16) -> Supported {
    Supported { key, min, max }
}

/// All that is answered: the versions of Kafka 3.6, but where a later one would promise what is not there (topic ids in
/// Fetch, the new consumer protocol), and without what only transactions or brokers among themselves need.
pub(crate) const SUPPORTED: [Supported; 27] = [
    supported(ApiKey::Produce, 3, 9),
    supported(ApiKey::Fetch, 4, 12),
    supported(ApiKey::ListOffsets, 1, 7),
    supported(ApiKey::Metadata, 0, 12),
    supported(ApiKey::OffsetCommit, 2, 8),
    supported(ApiKey::OffsetFetch, 1, 8),
    supported(ApiKey::FindCoordinator, 0, 4),
    supported(ApiKey::JoinGroup, 0, 9),
    supported(ApiKey::Heartbeat, 0, 4),
    supported(ApiKey::LeaveGroup, 0, 5),
    supported(ApiKey::SyncGroup, 0, 5),
    supported(ApiKey::DescribeGroups, 0, 5),
    supported(ApiKey::ListGroups, 0, 4),
    supported(ApiKey::SaslHandshake, 0, 1),
    supported(ApiKey::ApiVersions, 0, 3),
    supported(ApiKey::CreateTopics, 2, 7),
    supported(ApiKey::DeleteTopics, 1, 6),
    supported(ApiKey::DeleteRecords, 0, 2),
    supported(ApiKey::InitProducerId, 0, 4),
    supported(ApiKey::OffsetForLeaderEpoch, 2, 4),
    supported(ApiKey::DescribeConfigs, 1, 4),
    supported(ApiKey::AlterConfigs, 0, 2),
    supported(ApiKey::SaslAuthenticate, 0, 2),
    supported(ApiKey::CreatePartitions, 0, 3),
    supported(ApiKey::DeleteGroups, 0, 2),
    supported(ApiKey::IncrementalAlterConfigs, 0, 1),
    supported(ApiKey::DescribeCluster, 0, 1),
];

/// The kind of request with this number, if this version of it is answered.
pub(crate) fn find(key: i16, version: i16) -> Option<ApiKey> {
    let found = SUPPORTED.iter().find(|supported| supported.key as i16 == key)?;
    (found.min..=found.max).contains(&version).then_some(found.key)
}

/// The lowest version to advertise. librdkafka compresses only where a broker says that it takes Produce 0, which Kafka 4
/// says for that reason without taking it (KAFKA-18659).
pub(crate) fn advertised_min(supported: &Supported) -> i16 {
    if supported.key == ApiKey::Produce { 0 } else { supported.min }
}
