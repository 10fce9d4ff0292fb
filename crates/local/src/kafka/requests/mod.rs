//! What the broker answers: a function a kind of request, from the codec's types to the codec's types. A function that may
//! wait for the disk says so where it is called (`server::dispatch`); those that wait for other clients are `async`.

pub(crate) mod commits;
pub(crate) mod configs;
pub(crate) mod fetch;
pub(crate) mod groups;
pub(crate) mod metadata;
pub(crate) mod offsets;
pub(crate) mod produce;
pub(crate) mod topics;

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::cluster::{Cluster, Listener};
use super::error::Refused;
use super::server::access::{Access, Action};
use super::storage::topics::Topic;

/// Who asks, and where.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) cluster: Arc<Cluster>,
    /// The node that was asked.
    pub(crate) node: i32,
    pub(crate) listener: Listener,
    pub(crate) access: Arc<Access>,
    pub(crate) client_id: StrBytes,
    /// As `DescribeGroups` tells it: `/127.0.0.1`.
    pub(crate) client_host: Arc<str>,
}

impl Context {
    /// A topic that this client may do something with.
    fn topic(&self, name: &str, action: Action) -> Result<Arc<Topic>, Refused> {
        self.access.check(action, name)?;
        self.cluster.topics.need(name)
    }

    /// Refuses what only the leader of a partition may answer.
    fn leads(&self, leader: i32) -> Result<(), Refused> {
        if leader == self.node {
            return Ok(());
        }
        Err(Refused::new(ResponseError::NotLeaderOrFollower, format!("broker {leader} leads this partition")))
    }
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// The error code of an answer: 0 for success.
fn code<T>(result: &Result<T, Refused>) -> i16 {
    result.as_ref().err().map_or(0, |refused| refused.code.code())
}

/// The sentence beside it.
fn message<T>(result: &Result<T, Refused>) -> Option<StrBytes> {
    result.as_ref().err().map(|refused| text(&refused.message))
}

fn group_code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, ResponseError::code)
}
