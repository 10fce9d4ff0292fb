//! HTTP/1.1 with bounded connections, and an end that loses no answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::service::Gateway;

/// More callers wait in the kernel's queue.
const CONNECTIONS: usize = 1_024;
/// A head that does not come within this time, on a connection that is new or idle, ends it. Longer than callers keep idle
/// connections, so that it is they who end them.
const HEAD: Duration = Duration::from_secs(75);
/// What heads may have; bodies have a limit of their own.
const HEAD_BYTES: usize = 64 << 10;
/// After a stop requests under way have so long to be acknowledged by the brokers, and then so long to be told that they
/// were not: together less than the agent's 5 s.
const FINISH: Duration = Duration::from_secs(3);
const TELL: Duration = Duration::from_secs(1);

/// Answers requests until the gateway is to stop, and those that came before.
pub(super) async fn serve(listener: TcpListener, gateway: &Arc<Gateway>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = gateway.stop.cancelled() => break,
        };
        let Ok((stream, slot)) = accepted else {
            // Out of file descriptors, most likely: they come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Answers are small and complete: waiting for more to send with them only delays them.
        let _ = stream.set_nodelay(true);
        let served = gateway.clone();
        let answer = service_fn(move |request| {
            let gateway = served.clone();
            async move { Ok::<_, Infallible>(gateway.answer(request).await) }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), answer));
        let gateway = gateway.clone();
        tokio::spawn(async move {
            gateway.metrics.connections.inc();
            // A caller that hangs up early has lost only its own answer.
            let _ = connection.await;
            gateway.metrics.connections.dec();
            drop(slot);
        });
    }
    drop(listener);
    let finished = graceful.shutdown();
    tokio::pin!(finished);
    if tokio::time::timeout(FINISH, &mut finished).await.is_err() {
        gateway.producer.give_up();
        let _ = tokio::time::timeout(TELL, finished).await;
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}
