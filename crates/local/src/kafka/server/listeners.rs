//! The two ports of a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::connection::{Place, serve};
use crate::kafka::cluster::{Cluster, Listener};

/// Of each listener; the next client waits to be accepted.
const MAX_CONNECTIONS: usize = 1_024;
/// What a client has for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Binds a loopback port: the one that the node had before, if it is free.
pub(crate) async fn bind(port: u16) -> std::io::Result<TcpListener> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if port != 0
        && let Ok(listener) = TcpListener::bind(at(port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind(at(0)).await
}

/// Serves a listener until it is told to stop, with its node or the cluster.
pub(crate) async fn accept(
    listener: TcpListener,
    cluster: Arc<Cluster>,
    node: i32,
    tls: Option<TlsAcceptor>,
    memory: Arc<Semaphore>,
    stopping: CancellationToken,
) {
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let seat = Arc::clone(&seats).acquire_owned().await;
            (listener.accept().await, seat)
        };
        let (accepted, seat) = tokio::select! {
            () = stopping.cancelled() => break,
            next = next => next,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely; trying at once again would only burn a core.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Answers are small and written at once; without this each waits for the client's delayed ACK.
        let _best_effort = stream.set_nodelay(true);
        let place = Place {
            cluster: Arc::clone(&cluster),
            node,
            listener: if tls.is_some() { Listener::Iam } else { Listener::Plaintext },
            client_host: Arc::from(format!("/{}", peer.ip())),
            memory: Arc::clone(&memory),
        };
        let (tls, stopping) = (tls.clone(), stopping.clone());
        connections.spawn(async move {
            let served = async {
                match tls {
                    None => Box::pin(serve(stream, place)).await,
                    Some(tls) => {
                        // A client that speaks no TLS is no trouble of ours.
                        if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                            Box::pin(serve(stream, place)).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = served => {}
                () = stopped(&stopping) => {}
            }
            drop(seat);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns a moment after the listener has begun to stop: those who wait are told first.
async fn stopped(stopping: &CancellationToken) {
    stopping.cancelled().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}
