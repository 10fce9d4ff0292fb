//! All clusters of a local cloud.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::clock::Clock;
use crate::log::{FileHandles, lock};
use crate::private_file;
use crate::settings::Settings;

use super::certificates::Certificates;
use super::cluster::{Cluster, ClusterSpec, Surroundings};
use super::error::KafkaError;
use super::gate::Gate;

/// Segment files that all partitions of all clusters keep open.
const OPEN_FILES: usize = 256;

/// All clusters of a local cloud. Clones are the same. When the last one is dropped, listeners close without waiting for
/// what is being answered.
#[derive(Clone)]
pub struct Kafka {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    authority_pem: String,
    surroundings: Surroundings,
    clusters: Mutex<BTreeMap<String, Arc<Cluster>>>,
    /// One cluster at a time is opened, closed or deleted.
    changing: tokio::sync::Mutex<()>,
}

impl Kafka {
    /// Reads or makes the certificates in `<data_dir>/kafka`. No cluster is opened by this. The settings are those of the
    /// local cloud; throughput of brokers is not limited, so nothing of them applies yet.
    pub fn open(data_dir: &Path, clock: Clock, _settings: &Settings, gate: Arc<dyn Gate>) -> Result<Kafka, KafkaError> {
        let folder = data_dir.join("kafka");
        private_file::create_folder(&folder).map_err(|source| KafkaError::file("make the folder", &folder, source))?;
        let certificates = Certificates::open(&folder)?;
        let handles = FileHandles::new(OPEN_FILES);
        let surroundings = Surroundings { clock, gate, acceptor: certificates.acceptor, handles };
        let inner = Inner {
            folder,
            authority_pem: certificates.authority_pem,
            surroundings,
            clusters: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        };
        Ok(Kafka { inner: Arc::new(inner) })
    }

    /// Makes or opens a cluster. Its folder is `<data_dir>/kafka/<uuid>`; each node binds two loopback ports, those that it
    /// had before if they are free. A cluster that is open already is returned as it is.
    pub async fn open_cluster(&self, spec: ClusterSpec) -> Result<Arc<Cluster>, KafkaError> {
        let _changing = self.inner.changing.lock().await;
        if let Some(open) = self.cluster(&spec.arn) {
            return Ok(open);
        }
        let folder = self.folder_of(&spec.uuid)?;
        let arn = spec.arn.clone();
        let cluster = Cluster::open(spec, &folder, &self.inner.surroundings).await?;
        lock(&self.inner.clusters).insert(arn, Arc::clone(&cluster));
        Ok(cluster)
    }

    /// The open cluster with this ARN.
    pub fn cluster(&self, arn: &str) -> Option<Arc<Cluster>> {
        lock(&self.inner.clusters).get(arn).cloned()
    }

    /// The open cluster one of whose listeners is in the list (`host:port,host:port`).
    pub fn by_bootstrap(&self, servers: &str) -> Option<Arc<Cluster>> {
        let ports: Vec<u16> = servers
            .split(',')
            .filter_map(|server| server.trim().rsplit_once(':'))
            .filter(|(host, _)| matches!(*host, "127.0.0.1" | "localhost" | "[::1]"))
            .filter_map(|(_, port)| port.parse().ok())
            .collect();
        let has = |cluster: &&Arc<Cluster>| {
            let mut nodes = cluster.nodes().into_iter();
            nodes.any(|node| ports.contains(&node.plaintext.port()) || ports.contains(&node.iam.port()))
        };
        lock(&self.inner.clusters).values().find(has).cloned()
    }

    /// Closes the cluster's listeners and removes its data. Succeeds when there is none.
    pub async fn delete_cluster(&self, arn: &str) -> Result<(), KafkaError> {
        let _changing = self.inner.changing.lock().await;
        let open = lock(&self.inner.clusters).remove(arn);
        if let Some(cluster) = open {
            cluster.stop().await;
        }
        let folder = self.folder_of(arn.rsplit('/').next().unwrap_or_default())?;
        match std::fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(KafkaError::file("remove", &folder, source))
            }
            _ => Ok(()),
        }
    }

    /// Closes all listeners and syncs all logs. A cluster can be opened again once nobody holds it any more.
    pub async fn stop(&self) {
        let _changing = self.inner.changing.lock().await;
        let clusters = std::mem::take(&mut *lock(&self.inner.clusters));
        for cluster in clusters.into_values() {
            cluster.stop().await;
        }
    }

    /// The certificate that signs those of the TLS listeners; also in `<data_dir>/kafka/ca.pem`.
    pub fn authority_pem(&self) -> &str {
        &self.inner.authority_pem
    }

    /// The id is a part of a path, so it must be nothing else.
    fn folder_of(&self, uuid: &str) -> Result<PathBuf, KafkaError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if uuid.is_empty() || !uuid.bytes().all(plain) {
            return Err(KafkaError::Invalid(format!("`{uuid}` is not the id of a cluster")));
        }
        Ok(self.inner.folder.join(uuid))
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kafka").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for cluster in lock(&self.clusters).values() {
            cluster.stopping.cancel();
        }
    }
}
