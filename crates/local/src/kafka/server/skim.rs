//! Looks a request over before it is decoded.
//!
//! The codec makes room for as many elements as an array says it has, before it reads them: twelve bytes could ask for
//! gigabytes. So each request is walked through by its shape first, without keeping anything: every length fits into what
//! was sent, and the elements of all arrays together are bounded.

use kafka_protocol::messages::ApiKey;

/// Elements of all arrays of a request. A decoded element takes some 200 bytes.
const MOST_ELEMENTS: usize = 200_000;

/// One field: what it is, and the first and last version that has it.
struct Field(What, i16, i16);

enum What {
    /// So many bytes.
    Fixed(usize),
    /// A text, perhaps null.
    Text,
    /// Bytes, perhaps null.
    Bytes,
    Texts,
    /// An array of values of so many bytes.
    Values(usize),
    Structs(&'static [Field]),
}

use What::{Bytes, Fixed, Structs, Text, Texts, Values};

/// Of a field that no later version has lost.
const LAST: i16 = i16::MAX;

/// A name and a value.
const CONFIGS: &[Field] = &[Field(Text, 0, LAST), Field(Text, 0, LAST)];
const PARTITIONS_OF_TOPIC: &[Field] = &[Field(Text, 0, LAST), Field(Values(4), 0, LAST)];

/// The shapes of the requests that are answered, from the message definitions of Kafka
/// (`clients/src/main/resources/common/message`).
fn shape(key: ApiKey) -> &'static [Field] {
    match key {
        ApiKey::Produce => {
            const PARTITION: &[Field] = &[Field(Fixed(4), 0, LAST), Field(Bytes, 0, LAST)];
            &[
                Field(Text, 0, LAST),
                Field(Fixed(2), 0, LAST),
                Field(Fixed(4), 0, LAST),
                Field(Structs(&[Field(Text, 0, LAST), Field(Structs(PARTITION), 0, LAST)]), 0, LAST),
            ]
        }
        ApiKey::Fetch => {
            const PARTITION: &[Field] = &[
                Field(Fixed(4), 0, LAST),
                Field(Fixed(4), 9, LAST),
                Field(Fixed(8), 0, LAST),
                Field(Fixed(4), 12, LAST),
                Field(Fixed(8), 5, LAST),
                Field(Fixed(4), 0, LAST),
            ];
            &[
                Field(Fixed(17), 0, LAST),
                Field(Fixed(8), 7, LAST),
                Field(Structs(&[Field(Text, 0, LAST), Field(Structs(PARTITION), 0, LAST)]), 0, LAST),
                Field(Structs(PARTITIONS_OF_TOPIC), 7, LAST),
                Field(Text, 11, LAST),
            ]
        }
        ApiKey::ListOffsets => {
            const PARTITION: &[Field] = &[Field(Fixed(4), 0, LAST), Field(Fixed(4), 4, LAST), Field(Fixed(8), 0, LAST)];
            &[
                Field(Fixed(4), 0, LAST),
                Field(Fixed(1), 2, LAST),
                Field(Structs(&[Field(Text, 0, LAST), Field(Structs(PARTITION), 0, LAST)]), 0, LAST),
            ]
        }
        ApiKey::Metadata => &[
            Field(Structs(&[Field(Fixed(16), 10, LAST), Field(Text, 0, LAST)]), 0, LAST),
            Field(Fixed(1), 4, LAST),
            Field(Fixed(1), 8, 10),
            Field(Fixed(1), 8, LAST),
        ],
        ApiKey::OffsetCommit => {
            const PARTITION: &[Field] = &[Field(Fixed(12), 0, LAST), Field(Fixed(4), 6, LAST), Field(Text, 0, LAST)];
            &[
                Field(Text, 0, LAST),
                Field(Fixed(4), 1, LAST),
                Field(Text, 1, LAST),
                Field(Text, 7, LAST),
                Field(Fixed(8), 2, 4),
                Field(Structs(&[Field(Text, 0, LAST), Field(Structs(PARTITION), 0, LAST)]), 0, LAST),
            ]
        }
        ApiKey::OffsetFetch => &[
            Field(Text, 0, 7),
            Field(Structs(PARTITIONS_OF_TOPIC), 0, 7),
            Field(Structs(&[Field(Text, 0, LAST), Field(Structs(PARTITIONS_OF_TOPIC), 0, LAST)]), 8, LAST),
            Field(Fixed(1), 7, LAST),
        ],
        ApiKey::FindCoordinator => &[Field(Text, 0, 3), Field(Fixed(1), 1, LAST), Field(Texts, 4, LAST)],
        ApiKey::JoinGroup => &[
            Field(Text, 0, LAST),
            Field(Fixed(4), 0, LAST),
            Field(Fixed(4), 1, LAST),
            Field(Text, 0, LAST),
            Field(Text, 5, LAST),
            Field(Text, 0, LAST),
            Field(Structs(&[Field(Text, 0, LAST), Field(Bytes, 0, LAST)]), 0, LAST),
            Field(Text, 8, LAST),
        ],
        ApiKey::Heartbeat => {
            &[Field(Text, 0, LAST), Field(Fixed(4), 0, LAST), Field(Text, 0, LAST), Field(Text, 3, LAST)]
        }
        ApiKey::LeaveGroup => &[
            Field(Text, 0, LAST),
            Field(Text, 0, 2),
            Field(Structs(&[Field(Text, 0, LAST), Field(Text, 0, LAST), Field(Text, 5, LAST)]), 3, LAST),
        ],
        ApiKey::SyncGroup => &[
            Field(Text, 0, LAST),
            Field(Fixed(4), 0, LAST),
            Field(Text, 0, LAST),
            Field(Text, 3, LAST),
            Field(Text, 5, LAST),
            Field(Text, 5, LAST),
            Field(Structs(&[Field(Text, 0, LAST), Field(Bytes, 0, LAST)]), 0, LAST),
        ],
        ApiKey::DescribeGroups => &[Field(Texts, 0, LAST), Field(Fixed(1), 3, LAST)],
        ApiKey::ListGroups => &[Field(Texts, 4, LAST)],
        ApiKey::SaslHandshake => &[Field(Text, 0, LAST)],
        ApiKey::ApiVersions => &[Field(Text, 3, LAST), Field(Text, 3, LAST)],
        ApiKey::CreateTopics => {
            const TOPIC: &[Field] = &[
                Field(Text, 0, LAST),
                Field(Fixed(6), 0, LAST),
                Field(Structs(&[Field(Fixed(4), 0, LAST), Field(Values(4), 0, LAST)]), 0, LAST),
                Field(Structs(CONFIGS), 0, LAST),
            ];
            &[Field(Structs(TOPIC), 0, LAST), Field(Fixed(4), 0, LAST), Field(Fixed(1), 1, LAST)]
        }
        ApiKey::DeleteTopics => &[
            Field(Structs(&[Field(Text, 0, LAST), Field(Fixed(16), 0, LAST)]), 6, LAST),
            Field(Texts, 0, 5),
            Field(Fixed(4), 0, LAST),
        ],
        ApiKey::DeleteRecords => &[
            Field(Structs(&[Field(Text, 0, LAST), Field(Structs(&[Field(Fixed(12), 0, LAST)]), 0, LAST)]), 0, LAST),
            Field(Fixed(4), 0, LAST),
        ],
        ApiKey::InitProducerId => &[Field(Text, 0, LAST), Field(Fixed(4), 0, LAST), Field(Fixed(10), 3, LAST)],
        ApiKey::OffsetForLeaderEpoch => &[
            Field(Fixed(4), 3, LAST),
            Field(Structs(&[Field(Text, 0, LAST), Field(Structs(&[Field(Fixed(12), 0, LAST)]), 0, LAST)]), 0, LAST),
        ],
        ApiKey::DescribeConfigs => &[
            Field(Structs(&[Field(Fixed(1), 0, LAST), Field(Text, 0, LAST), Field(Texts, 0, LAST)]), 0, LAST),
            Field(Fixed(1), 1, LAST),
            Field(Fixed(1), 3, LAST),
        ],
        ApiKey::AlterConfigs => &[
            Field(
                Structs(&[Field(Fixed(1), 0, LAST), Field(Text, 0, LAST), Field(Structs(CONFIGS), 0, LAST)]),
                0,
                LAST,
            ),
            Field(Fixed(1), 0, LAST),
        ],
        ApiKey::IncrementalAlterConfigs => {
            const CHANGE: &[Field] = &[Field(Text, 0, LAST), Field(Fixed(1), 0, LAST), Field(Text, 0, LAST)];
            &[
                Field(
                    Structs(&[Field(Fixed(1), 0, LAST), Field(Text, 0, LAST), Field(Structs(CHANGE), 0, LAST)]),
                    0,
                    LAST,
                ),
                Field(Fixed(1), 0, LAST),
            ]
        }
        ApiKey::SaslAuthenticate => &[Field(Bytes, 0, LAST)],
        ApiKey::CreatePartitions => {
            const TOPIC: &[Field] = &[
                Field(Text, 0, LAST),
                Field(Fixed(4), 0, LAST),
                Field(Structs(&[Field(Values(4), 0, LAST)]), 0, LAST),
            ];
            &[Field(Structs(TOPIC), 0, LAST), Field(Fixed(5), 0, LAST)]
        }
        ApiKey::DeleteGroups => &[Field(Texts, 0, LAST)],
        ApiKey::DescribeCluster => &[Field(Fixed(1), 0, LAST), Field(Fixed(1), 1, LAST)],
        // What is not answered is not decoded.
        _ => &[],
    }
}

/// Whether the body of a request has the shape that it should have.
pub(crate) fn is_sound(key: ApiKey, version: i16, body: &[u8]) -> bool {
    let flexible = key.request_header_version(version) >= 2;
    let mut walk = Walk { rest: body, version, flexible, elements: 0 };
    walk.fields(shape(key)).is_some()
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Option<()> {
        for Field(what, first, last) in fields {
            if !(*first..=*last).contains(&self.version) {
                continue;
            }
            match what {
                Fixed(bytes) => self.skip(*bytes)?,
                Text => self.text()?,
                Bytes => self.bytes()?,
                Texts => {
                    for _ in 0..self.count(1)? {
                        self.text()?;
                    }
                }
                Values(bytes) => {
                    let count = self.count(*bytes)?;
                    self.skip(count * bytes)?;
                }
                Structs(fields) => {
                    for _ in 0..self.count(1)? {
                        self.fields(fields)?;
                    }
                }
            }
        }
        if self.flexible { self.tags() } else { Some(()) }
    }

    fn text(&mut self) -> Option<()> {
        let length = if self.flexible { self.compact_length()? } else { i64::from(i16::from_be_bytes(self.take()?)) };
        self.skip(usize::try_from(length.max(0)).ok()?)
    }

    fn bytes(&mut self) -> Option<()> {
        let length = self.length()?;
        self.skip(usize::try_from(length.max(0)).ok()?)
    }

    /// Elements of an array, each of so many bytes at least.
    fn count(&mut self, least: usize) -> Option<usize> {
        let count = usize::try_from(self.length()?.max(0)).ok()?;
        self.elements = self.elements.checked_add(count)?;
        (self.elements <= MOST_ELEMENTS && count.checked_mul(least)? <= self.rest.len()).then_some(count)
    }

    fn length(&mut self) -> Option<i64> {
        if self.flexible { self.compact_length() } else { Some(i64::from(i32::from_be_bytes(self.take()?))) }
    }

    /// One more than the length, 0 for null.
    fn compact_length(&mut self) -> Option<i64> {
        Some(i64::from(self.varint()?) - 1)
    }

    fn tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length as usize)?;
        }
        Some(())
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (found, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*found)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes as Buffer;
    use kafka_protocol::messages::{
        AlterConfigsRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest,
        DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
        DescribeGroupsRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
        InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, ListOffsetsRequest,
        MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest,
        SaslAuthenticateRequest, SaslHandshakeRequest, SyncGroupRequest,
    };
    use kafka_protocol::protocol::Decodable;
    use proptest::prelude::*;

    use super::*;
    use crate::kafka::server::versions::SUPPORTED;

    /// Whether the codec takes the body, and how much of it is left.
    fn decode(key: ApiKey, version: i16, body: Buffer) -> Option<usize> {
        fn left<M: Decodable>(version: i16, mut body: Buffer) -> Option<usize> {
            M::decode(&mut body, version).ok().map(|_| body.len())
        }
        let decode = match key {
            ApiKey::Produce => left::<ProduceRequest>,
            ApiKey::Fetch => left::<FetchRequest>,
            ApiKey::ListOffsets => left::<ListOffsetsRequest>,
            ApiKey::Metadata => left::<MetadataRequest>,
            ApiKey::OffsetCommit => left::<OffsetCommitRequest>,
            ApiKey::OffsetFetch => left::<OffsetFetchRequest>,
            ApiKey::FindCoordinator => left::<FindCoordinatorRequest>,
            ApiKey::JoinGroup => left::<JoinGroupRequest>,
            ApiKey::Heartbeat => left::<HeartbeatRequest>,
            ApiKey::LeaveGroup => left::<LeaveGroupRequest>,
            ApiKey::SyncGroup => left::<SyncGroupRequest>,
            ApiKey::DescribeGroups => left::<DescribeGroupsRequest>,
            ApiKey::ListGroups => left::<ListGroupsRequest>,
            ApiKey::SaslHandshake => left::<SaslHandshakeRequest>,
            ApiKey::ApiVersions => left::<ApiVersionsRequest>,
            ApiKey::CreateTopics => left::<CreateTopicsRequest>,
            ApiKey::DeleteTopics => left::<DeleteTopicsRequest>,
            ApiKey::DeleteRecords => left::<DeleteRecordsRequest>,
            ApiKey::InitProducerId => left::<InitProducerIdRequest>,
            ApiKey::OffsetForLeaderEpoch => left::<OffsetForLeaderEpochRequest>,
            ApiKey::DescribeConfigs => left::<DescribeConfigsRequest>,
            ApiKey::AlterConfigs => left::<AlterConfigsRequest>,
            ApiKey::SaslAuthenticate => left::<SaslAuthenticateRequest>,
            ApiKey::CreatePartitions => left::<CreatePartitionsRequest>,
            ApiKey::DeleteGroups => left::<DeleteGroupsRequest>,
            ApiKey::IncrementalAlterConfigs => left::<IncrementalAlterConfigsRequest>,
            ApiKey::DescribeCluster => left::<DescribeClusterRequest>,
            key => panic!("{key:?} has no shape"),
        };
        decode(version, body)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Shapes agree with the codec: what the codec takes, and takes as much of, is let through, and the codec never
        /// gets what would make it ask for memory without end.
        #[test]
        fn shapes_agree_with_the_codec(
            supported in 0..SUPPORTED.len(),
            version in any::<prop::sample::Index>(),
            body in prop::collection::vec(prop_oneof![8 => Just(0_u8), 4 => 1_u8..4, 1 => any::<u8>()], 0..120),
        ) {
            let supported = &SUPPORTED[supported];
            let version = supported.min + version.index((supported.max - supported.min + 1) as usize) as i16;
            let flexible = supported.key.request_header_version(version) >= 2;
            let mut walk = Walk { rest: &body, version, flexible, elements: 0 };
            if walk.fields(shape(supported.key)).is_some() {
                let left = walk.rest.len();
                if let Some(codec) = decode(supported.key, version, Buffer::from(body.clone())) {
                    prop_assert_eq!(codec, left, "{:?} {}", supported.key, version);
                }
            }
        }
    }

    #[test]
    fn an_array_that_promises_too_much_is_refused() {
        // Metadata 1: an array of topics.
        assert!(is_sound(ApiKey::Metadata, 1, &[0, 0, 0, 0]));
        assert!(!is_sound(ApiKey::Metadata, 1, &[0x7f, 0xff, 0xff, 0xff]));
        assert!(!is_sound(ApiKey::Metadata, 9, &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0]));
    }
}
