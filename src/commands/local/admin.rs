//! The local cloud's own face, next to AWS's: is it there, and may it stop?

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;

/// What a running local cloud writes down about itself.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Server {
    /// Its process.
    pub(super) pid: u32,
    /// Its loopback port.
    pub(super) port: u16,
    /// Such as `http://127.0.0.1:4566`.
    pub(super) endpoint: String,
    /// Proves that a request comes from somebody who may read its data folder.
    token: String,
}

/// What is written down; the process may be gone.
pub(super) fn recorded(folder: &Path) -> Option<Server> {
    let text = std::fs::read(folder.join("server.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The local cloud of this folder, if it answers.
pub(super) async fn running(folder: &Path) -> Option<Server> {
    let server = recorded(folder)?;
    let (status, _) = ask(&server, "GET", "/_pinfra/status", "").await?;
    (status == 200).then_some(server)
}

/// Asks it to stop.
pub(super) async fn ask_to_stop(server: &Server) -> bool {
    ask(server, "POST", "/_pinfra/stop", "").await.is_some_and(|(status, _)| status < 300)
}

/// The status of its answer and what it says, `None` when there is no answer.
pub(super) async fn ask(server: &Server, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let asked = async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("127.0.0.1:{}", server.port))
            .header("authorization", format!("Bearer {}", server.token))
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .ok()?;
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        let said = answer.into_body().collect().await.ok()?.to_bytes();
        connection.abort();
        Some((status, serde_json::from_slice(&said).unwrap_or_default()))
    };
    tokio::time::timeout(Duration::from_secs(3), asked).await.ok()?
}
