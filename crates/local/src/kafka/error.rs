//! Why the broker could not work, and why it refused.

use std::io;
use std::path::{Path, PathBuf};

use kafka_protocol::ResponseError;

use crate::log::LogError;
use crate::store::StoreError;

/// The broker cannot work: the disk, the network or its own data fail.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// A file or folder of a cluster refused.
    #[error("cannot {action} `{path}`")]
    File {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// No loopback port can be had for a node.
    #[error("no port of 127.0.0.1 can be bound for a broker of cluster `{cluster}`")]
    Bind {
        /// The cluster's name.
        cluster: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The certificates of the TLS listeners cannot be made or read.
    #[error("the certificates of the brokers cannot be used: remove `server.pem` from `{path}` to have new ones")]
    Certificate {
        /// Where they are kept.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A partition's log failed.
    #[error("the log of a partition failed")]
    Log(#[from] LogError),
    /// What the cluster remembers of topics, groups and producers cannot be read or written.
    #[error("the metadata of a Kafka cluster cannot be kept")]
    Store(#[from] StoreError),
    /// What was asked for cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl KafkaError {
    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> KafkaError {
        KafkaError::File { action, path: path.to_owned(), source }
    }
}

/// A request that Kafka itself would refuse: its error code and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The code that goes to Kafka clients.
    pub code: ResponseError,
    /// What is wrong and what to do.
    pub message: String,
}

impl Refused {
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> Refused {
        Refused { code, message: message.into() }
    }
}

/// A disk that fails is told to clients as Kafka tells it.
impl From<LogError> for Refused {
    fn from(error: LogError) -> Refused {
        Refused::new(ResponseError::KafkaStorageError, error.to_string())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        Refused::new(ResponseError::KafkaStorageError, error.to_string())
    }
}
