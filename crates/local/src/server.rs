//! The HTTP server on loopback: start, stop, and what other programs find out about it.
//!
//! [`LocalCloud::start`] locks the data folder, opens the services, binds 127.0.0.1 and serves each connection in
//! a task. Requests go to `front`; everything that must outlive a request hangs on it, and the lock of the data
//! folder is the last thing it lets go. `<data_dir>/server.json` tells where the server is and how to stop it.

mod admin;
mod authorise;
mod backend;
mod body;
mod counts;
mod dispatch;
mod folder;
mod front;
pub(crate) mod loopback;
mod peer;
mod s3_signs;
mod services;
mod trouble;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::credentials::CredentialsError;
use crate::faults::Faults;
use crate::settings::Settings;
pub use counts::RequestCounts;
use folder::Published;
use front::Front;
use peer::Peer;

/// More clients than any stack or test has; the next one waits to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// Longer than the 90 seconds that hyper's clients keep an idle connection, so that it is the client who closes.
const IDLE: Duration = Duration::from_secs(120);

/// What a new connection has for the head of its first request. Seats are few, and IDLE is long for one that may
/// never say anything.
const FIRST_HEAD: Duration = Duration::from_secs(10);

/// Presigned URLs and user metadata of S3 stay far below.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What a stop waits for requests that are being answered.
const GRACE: Duration = Duration::from_secs(5);

/// Why a local cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder cannot be made or used.
    #[error("the data folder `{path}` of the local cloud cannot be used")]
    DataDir {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("the data folder `{path}` is in use by another local cloud{}", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who holds the lock, where it says.
        pid: Option<u32>,
    },
    /// The port is taken, or there are no more sockets.
    #[error("port {port} of 127.0.0.1 cannot be bound; another port, or 0 for any, may be free")]
    Bind {
        /// What was asked for.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The keys cannot be read or kept.
    #[error("the local cloud has no credentials")]
    Credentials(#[from] CredentialsError),
    /// A service cannot read what it kept.
    #[error("the service `{service}` of the local cloud cannot open its data")]
    Service {
        /// Which service.
        service: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A running local cloud. Dropping it stops it as well, without waiting for requests that are under way.
pub struct LocalCloud {
    front: Arc<Front>,
    published: Published,
    endpoint: String,
    stopping: CancellationToken,
    server: Option<JoinHandle<()>>,
}

impl LocalCloud {
    /// Starts a local cloud on the Tokio runtime of the caller.
    pub fn start(settings: Settings) -> Result<LocalCloud, StartError> {
        let lock = folder::lock(&settings.data_dir)?;
        let port = settings.port;
        let bound = |source| StartError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(bound)?;
        listener.set_nonblocking(true).map_err(bound)?;
        let port = listener.local_addr().map_err(bound)?.port();
        let listener = tokio::net::TcpListener::from_std(listener).map_err(bound)?;

        let front = Arc::new(Front::open(settings, lock, port)?);
        // Last of all: whoever reads the file may send requests at once.
        let published = folder::publish(front.data_dir(), front.status())?;
        let stopping = CancellationToken::new();
        let server = tokio::spawn(serve(listener, Arc::clone(&front), stopping.clone()));
        Ok(LocalCloud { endpoint: front.endpoint().to_owned(), front, published, stopping, server: Some(server) })
    }

    /// Where it listens, such as `http://127.0.0.1:4566`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The access key of its one user.
    pub fn access_key(&self) -> &str {
        self.front.credentials().access_key()
    }

    /// The secret that goes with it.
    pub fn secret_key(&self) -> &str {
        self.front.credentials().secret_key()
    }

    /// The clock of all services; a test may move it. Signatures are judged by the real time.
    pub fn clock(&self) -> &Clock {
        self.front.clock()
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        self.front.settings()
    }

    /// How often each operation has been asked for.
    pub fn requests(&self) -> RequestCounts {
        self.front.counts()
    }

    /// The trouble that it plays, and the calls that were made.
    pub fn faults(&self) -> &Faults {
        self.front.faults()
    }

    /// Returns once somebody has asked it to stop (`POST /_pinfra/stop`); the owner then calls [`LocalCloud::stop`].
    pub async fn stop_requested(&self) {
        self.front.stop_requested().cancelled().await;
    }

    /// Accepts no more, lets running requests end, and lets the data folder go.
    pub async fn stop(mut self) {
        // First, and while requests are still answered: workers finish what they have begun.
        self.front.services().shut_down_machines().await;
        self.stopping.cancel();
        if let Some(server) = self.server.take() {
            // A panic in the accept loop leaves nothing to wait for.
            let _ended = server.await;
        }
        self.front.services().shut_down_connectors().await;
        self.front.services().shut_down_brokers().await;
    }
}

impl Drop for LocalCloud {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.front.services().cut_power();
        self.published.remove();
    }
}

impl fmt::Debug for LocalCloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalCloud").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Returns when a connection has taken too long to begin; never once it has.
async fn silent(begun: &AtomicBool) {
    tokio::time::sleep(FIRST_HEAD).await;
    if begun.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

async fn serve(listener: tokio::net::TcpListener, front: Arc<Front>, stopping: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE).max_header_size(MAX_HEAD_BYTES);
    let graceful = GracefulShutdown::new();
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let next = async || {
        let seat = Arc::clone(&seats).acquire_owned().await;
        (listener.accept().await, seat)
    };
    loop {
        let (accepted, seat) = tokio::select! {
            () = stopping.cancelled() => break,
            next = next() => next,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, client)) = accepted else {
            // Out of file descriptors, most likely; trying at once again would only burn a core.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Answers are small and written at once; without this each waits for the client's delayed ACK.
        let _best_effort = stream.set_nodelay(true);
        // A client that has gone already needs no answer.
        let Ok((peer, line)) = Peer::of(stream, client) else { continue };
        let front = Arc::clone(&front);
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let answer = service_fn(move |request| {
            begins.store(true, Ordering::Relaxed);
            let (front, peer) = (Arc::clone(&front), peer.clone());
            async move { front.answer(request, &peer).await }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(line), answer));
        connections.spawn(async move {
            tokio::select! {
                // A client that hangs up or sends no HTTP is no trouble of ours.
                _ended = connection => {}
                () = silent(&begun) => {}
            }
            drop(seat);
        });
    }
    drop(listener);
    let _in_time = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    connections.shutdown().await;
    let _in_time = tokio::time::timeout(GRACE, front.finish_calls()).await;
}
