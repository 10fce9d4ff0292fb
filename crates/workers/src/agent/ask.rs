//! Asks a worker for its report, over loopback.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::report::{PORT_FILE, Report};

/// A report has a few hundred bytes a table.
const MAX_REPORT: usize = 1 << 20;
/// A worker answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the worker in `folder` says; `None` when it does not answer (yet).
pub(super) async fn report(folder: &Path) -> Option<Report> {
    let port = std::fs::read_to_string(folder.join(PORT_FILE)).ok()?.trim().parse().ok()?;
    tokio::time::timeout(PATIENCE, get(port)).await.ok()?
}

async fn get(port: u16) -> Option<Report> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get("/").header("host", format!("127.0.0.1:{port}")).body(Empty::<Bytes>::new()).ok()?;
    let answer = async {
        let answer = sender.send_request(request).await.ok()?;
        let body = Limited::new(answer.into_body(), MAX_REPORT).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        report = &mut answer => report,
        // The connection may be over before its last bytes were looked at.
        _ = &mut connection => answer.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Teller;

    #[tokio::test]
    async fn a_worker_is_asked_by_its_port_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(report(folder.path()).await, None);
        let teller = Teller::default();
        teller.works("reading");
        teller.add("pin", "read", 3);
        let (served, path) = (teller.clone(), folder.path().to_owned());
        tokio::spawn(async move { served.serve(None, &path).await });
        let answered = loop {
            match report(folder.path()).await {
                Some(answered) => break answered,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(answered, teller.report());
    }

    #[tokio::test]
    async fn what_is_no_report_is_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(PORT_FILE), "not a port").unwrap();
        assert_eq!(report(folder.path()).await, None);
        // Port 1 (tcpmux) is open nowhere.
        std::fs::write(folder.path().join(PORT_FILE), "1").unwrap();
        assert_eq!(report(folder.path()).await, None);
    }
}
