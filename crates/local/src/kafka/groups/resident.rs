//! Members of a group that live in this process: tasks that read partitions without a client, shown as others are.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

use super::DescribedMember;

/// A member in this process.
#[derive(Clone, Debug)]
pub(crate) struct Resident {
    pub(crate) member_id: String,
    client_id: String,
    metadata: Bytes,
    assignment: Bytes,
}

impl Resident {
    /// One that reads these partitions.
    pub(crate) fn new(client_id: &str, assignment: &[(String, i32)]) -> Resident {
        let mut topics: Vec<(&str, Vec<i32>)> = Vec::new();
        for (topic, partition) in assignment {
            match topics.iter_mut().find(|(name, _)| name == topic) {
                Some((_, partitions)) => partitions.push(*partition),
                None => topics.push((topic, vec![*partition])),
            }
        }
        let name = |topic: &str| StrBytes::from_string(topic.to_owned());
        let names = topics.iter().map(|(topic, _)| name(topic)).collect();
        let assigned = topics.iter().map(|(topic, partitions)| {
            TopicPartition::default().with_topic(TopicName(name(topic))).with_partitions(partitions.clone())
        });
        let assigned = ConsumerProtocolAssignment::default().with_assigned_partitions(assigned.collect());
        Resident {
            member_id: format!("{client_id}-{}", Uuid::new_v4()),
            client_id: client_id.to_owned(),
            metadata: versioned(&ConsumerProtocolSubscription::default().with_topics(names)),
            assignment: versioned(&assigned),
        }
    }

    pub(super) fn described(&self) -> DescribedMember {
        DescribedMember {
            member_id: self.member_id.clone(),
            instance: None,
            client_id: self.client_id.clone(),
            client_host: "/127.0.0.1".to_owned(),
            metadata: self.metadata.clone(),
            assignment: self.assignment.clone(),
        }
    }
}

/// A message of the consumer protocol with its version, 0, before it.
fn versioned(message: &impl Encodable) -> Bytes {
    let mut bytes = BytesMut::from(&[0, 0][..]);
    message.encode(&mut bytes, 0).expect("version 0 has no limits that names of topics reach");
    bytes.freeze()
}
