//! What happens by time: leases of group members end, logs are synced, old records go.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::kafka::cluster::Cluster;

/// A power cut loses so much at most. Kafka itself leaves it to the kernel.
const SYNC: Duration = Duration::from_secs(1);
/// How often old records are looked for.
const RETENTION: Duration = Duration::from_secs(5);

/// Lets time pass for groups, until the cluster is stopped.
pub(crate) async fn groups(cluster: Arc<Cluster>) {
    loop {
        let next = cluster.groups.expire(Instant::now());
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cluster.stopping.cancelled() => return,
            () = cluster.groups.changed.notified() => {}
            () = due => {}
        }
    }
}

/// Syncs logs and drops what is no longer kept, until the cluster is stopped.
pub(crate) async fn logs(cluster: Arc<Cluster>) {
    let mut expired = Instant::now();
    loop {
        tokio::select! {
            () = cluster.stopping.cancelled() => return,
            () = sleep(SYNC) => {}
        }
        let expire = expired.elapsed() >= RETENTION;
        if expire {
            expired = Instant::now();
        }
        let worked = Arc::clone(&cluster);
        let work = tokio::task::spawn_blocking(move || {
            worked.sync();
            if expire {
                worked.expire();
            }
        });
        // A panic in there is one round left out.
        let _done = work.await;
    }
}
