//! A local cloud in a folder of its own, and a small signing client: these tests wait for no AWS SDK to be built.

use std::collections::BTreeMap;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pinfra_local::{LocalCloud, Settings};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::format_description;

/// A running local cloud; its folder goes with it.
pub(crate) struct TestCloud {
    pub(crate) cloud: LocalCloud,
    pub(crate) folder: TempDir,
}

impl TestCloud {
    pub(crate) fn start() -> TestCloud {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(Settings::new(folder.path())).unwrap();
        TestCloud { cloud, folder }
    }

    /// A client with the keys of the local cloud.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.cloud.endpoint(), self.cloud.access_key(), self.cloud.secret_key())
    }
}

/// Signs requests and sends them.
pub(crate) struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    pub(crate) endpoint: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The text of the first element of that name.
    pub(crate) fn element(&self, name: &str) -> &str {
        let (_, rest) = self.text.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{name}: {self:?}"));
        rest.split_once(&format!("</{name}>")).unwrap().0
    }
}

impl Client {
    pub(crate) fn new(endpoint: &str, access_key: &str, secret_key: &str) -> Client {
        Client {
            http: HttpClient::builder(TokioExecutor::new()).build_http(),
            endpoint: endpoint.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: None,
        }
    }

    /// A call in the protocol of JSON 1.1.
    pub(crate) async fn json(&self, service: &str, target: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.send(self.sign(service, Method::POST, "/", &headers, body.to_string().into_bytes())).await
    }

    /// A call in the query protocol.
    pub(crate) async fn form(&self, service: &str, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(self.sign(service, Method::POST, "/", &headers, form.as_bytes().to_vec())).await
    }

    /// A request to S3, which wants the hash of the body in a header.
    pub(crate) async fn s3(&self, method: Method, target: &str, body: &[u8]) -> Answer {
        let hash = hex::encode(Sha256::digest(body));
        self.send(self.sign("s3", method, target, &[("x-amz-content-sha256", &hash)], body.to_vec())).await
    }

    /// A request that is signed for a service and the region us-east-1. The target has to be in canonical form.
    pub(crate) fn sign(
        &self,
        service: &str,
        method: Method,
        target: &str,
        extra: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Request<Full<Bytes>> {
        let now = OffsetDateTime::now_utc();
        let timestamp = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap();
        let mut headers: BTreeMap<&str, &str> = extra.iter().copied().collect();
        let host = self.endpoint.strip_prefix("http://").unwrap();
        headers.insert("host", host);
        headers.insert("x-amz-date", &timestamp);
        if let Some(token) = &self.session_token {
            headers.insert("x-amz-security-token", token);
        }
        let signed = headers.keys().copied().collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.replace('%', "%25");
        let hash = hex::encode(Sha256::digest(&body));
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{signed}\n{hash}");
        let scope = format!("{}/us-east-1/{service}/aws4_request", &timestamp[..8]);
        let to_sign = format!("AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for part in scope.split('/') {
            key = hmac(&key, part);
        }
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={}",
            self.access_key,
            hex::encode(hmac(&key, &to_sign))
        );
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.endpoint));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        request.header("authorization", authorization).body(Full::new(body.into())).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (parts, body) = self.http.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&body).into_owned() }
    }
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
