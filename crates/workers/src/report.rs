//! What a worker tells about itself: health, counters, its last error. Its agent asks for it over loopback.
//!
//! `GET /` answers with a [`Report`] as JSON. The port is the one of the worker's config or any free one; either way
//! it stands in the file `port` in the worker's folder once the worker answers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::net::TcpListener;

/// The file in a worker's folder that says on which port it answers.
pub const PORT_FILE: &str = "port";

/// Counters by table and name. Each counts from the first event of the stack on, whatever was killed since.
pub type Counters = BTreeMap<String, BTreeMap<String, u64>>;

/// A worker's state at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Whether it does what it is there for.
    pub healthy: bool,
    /// What it is doing, such as `posting 2.0 events/s`.
    pub doing: String,
    /// Counters by table and name.
    pub counters: Counters,
    /// What went wrong last, healthy again or not.
    pub last_error: Option<LastError>,
}

/// An error and when it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What, without secrets.
    pub message: String,
}

/// Where a worker writes its report.
#[derive(Clone, Debug, Default)]
pub struct Teller {
    report: Arc<Mutex<Report>>,
}

impl Teller {
    /// The report as it is now.
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    /// Adds `n` to a table's counter.
    pub fn add(&self, table: &str, counter: &str, n: u64) {
        let mut report = self.lock();
        *report.counters.entry(table.to_owned()).or_default().entry(counter.to_owned()).or_default() += n;
    }

    /// Sets a table's counter, to what was counted before the last restart.
    pub fn set(&self, table: &str, counter: &str, value: u64) {
        let mut report = self.lock();
        report.counters.entry(table.to_owned()).or_default().insert(counter.to_owned(), value);
    }

    /// It works, and this is what it does.
    pub fn works(&self, doing: impl Into<String>) {
        let mut report = self.lock();
        report.healthy = true;
        report.doing = doing.into();
    }

    /// It does not work for now, because of this.
    pub fn fails(&self, error: impl Display) {
        let mut report = self.lock();
        report.healthy = false;
        report.last_error = Some(LastError { at: OffsetDateTime::now_utc(), message: error.to_string() });
    }

    /// Something went wrong that it got over.
    pub fn stumbled(&self, error: impl Display) {
        self.lock().last_error = Some(LastError { at: OffsetDateTime::now_utc(), message: error.to_string() });
    }

    /// Answers on loopback for as long as it is polled, and writes the port into `folder`.
    pub async fn serve(self, port: Option<u16>, folder: &Path) -> io::Result<Infallible> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await?;
        let port = listener.local_addr()?.port();
        // Renamed into place: who reads it never finds half a number.
        let written = folder.join(format!("{PORT_FILE}.new"));
        std::fs::write(&written, port.to_string())?;
        std::fs::rename(&written, folder.join(PORT_FILE))?;
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file descriptors, most likely: they come back.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let teller = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| std::future::ready(Ok::<_, Infallible>(teller.answer(&request))));
                // A caller that hangs up early has lost only its own answer.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    }

    fn answer(&self, request: &Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
        let mut response = if request.uri().path() == "/" {
            // Text, numbers and maps with text keys always have a JSON form.
            Response::new(Full::from(serde_json::to_vec(&self.report()).expect("a report can be written as JSON")))
        } else {
            Response::new(Full::from("the report is at /\n"))
        };
        if request.uri().path() != "/" {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        response
    }

    /// A report is right even if a thread panicked while it held it.
    fn lock(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_report_can_be_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let teller = Teller::default();
        teller.add("pin", "read", 2);
        teller.add("pin", "read", 1);
        teller.stumbled("a shard was throttled");
        teller.works("reading");
        let served = teller.clone();
        let path = folder.path().to_owned();
        tokio::spawn(async move { served.serve(None, &path).await });
        let port = loop {
            match std::fs::read_to_string(folder.path().join(PORT_FILE)) {
                Ok(port) => break port,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .build_http::<Full<Bytes>>();
        let answer = client.get(format!("http://127.0.0.1:{port}/").parse().unwrap()).await.unwrap();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        let report: Report = serde_json::from_slice(&body).unwrap();
        assert_eq!(report, teller.report());
        assert_eq!(report.counters["pin"]["read"], 3);
        assert!(report.healthy && report.last_error.unwrap().message.contains("throttled"));
    }
}
