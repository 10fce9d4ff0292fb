//! A bucket of a local cloud, and an API that takes records for topics: for the tests of probes.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use pinfra_aws::clients::Endpoint;
use pinfra_aws::{Clients, Connection};
use pinfra_local::{LocalCloud, Settings};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A local cloud with the bucket `lake`.
pub(super) struct Cloud {
    pub(super) clients: Clients,
    local: LocalCloud,
    _folder: tempfile::TempDir,
}

impl Cloud {
    pub(super) async fn start() -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalCloud::start(Settings::new(folder.path())).unwrap();
        let endpoint = Endpoint {
            url: local.endpoint().to_owned(),
            access_key: local.access_key().to_owned(),
            secret_key: local.secret_key().to_owned(),
        };
        let connection = Connection { region: "us-east-1".to_owned(), endpoint: Some(endpoint), apis: None };
        let clients = Box::pin(Clients::connect(&connection)).await.unwrap();
        clients.s3.create_bucket().bucket("lake").send().await.unwrap();
        Cloud { clients, local, _folder: folder }
    }

    /// Puts an object into the bucket.
    pub(super) async fn put(&self, key: &str, body: Vec<u8>) {
        self.clients.s3.put_object().bucket("lake").key(key).body(body.into()).send().await.unwrap();
    }

    /// Waits until an operation has been called.
    pub(super) async fn asked(&self, operation: &str) {
        for _ in 0..3_000 {
            if self.clients.meter.counts().keys().any(|called| called.ends_with(operation)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{operation} was not called within half a minute: {:?}", self.clients.meter.counts());
    }

    pub(super) async fn stop(self) {
        self.local.stop().await;
    }
}

/// An API of which every record gets this answer. What is posted comes out of the channel, path first.
pub(super) async fn api(answer: &'static str) -> (String, mpsc::UnboundedReceiver<(String, Bytes)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/prod", listener.local_addr().unwrap());
    let (sender, posted) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let sender = sender.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    let _ = sender.send((path, body));
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(answer.as_bytes()))))
                }
            });
            tokio::spawn(async move {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (url, posted)
}
