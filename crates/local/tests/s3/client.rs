//! A server on loopback for one test, and a small client that signs as AWS clients do (Signature Version 4).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pinfra_local::clock::Clock;
use pinfra_local::services::s3::{S3Front, SecretOfKey, Secrets};
use pinfra_local::settings::Settings;
use sha2::{Digest, Sha256};

pub(crate) const ACCESS_KEY: &str = "LOCALACCESSKEY";
pub(crate) const SECRET: &str = "local/secret+key";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

struct OneUser;

impl Secrets for OneUser {
    fn secret_of(&self, access_key: &str) -> Option<SecretOfKey> {
        match access_key {
            ACCESS_KEY => Some(SecretOfKey { secret: SECRET.to_owned(), session_token: None }),
            "SESSION" => Some(SecretOfKey { secret: SECRET.to_owned(), session_token: Some("token".to_owned()) }),
            _ => None,
        }
    }
}

/// Opens S3 on a folder. After a kill, threads of the one before may still hold it for a moment.
pub(crate) fn open(folder: &Path, clock: &Clock) -> S3Front {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match S3Front::open(folder, clock.clone(), &Settings::new(folder), Arc::new(OneUser)) {
            Ok(front) => return front,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        std::thread::yield_now();
    }
}

/// A running server; stopping it drops everything without a shutdown.
pub(crate) struct Server {
    pub(crate) clock: Clock,
    pub(crate) front: S3Front,
    pub(crate) port: u16,
    accepting: tokio::task::JoinHandle<()>,
    http: HttpClient<HttpConnector, Full<Bytes>>,
}

impl Server {
    pub(crate) async fn start(folder: &Path) -> Server {
        Server::start_at(folder, Clock::default()).await
    }

    pub(crate) async fn start_at(folder: &Path, clock: Clock) -> Server {
        let front = open(folder, &clock);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = front.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let front = served.clone();
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let front = front.clone();
                        async move { Ok::<_, std::convert::Infallible>(front.handle(request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        Server { clock, front, port, accepting, http }
    }

    /// Drops connections, tasks and storage as they are.
    pub(crate) async fn kill(self) {
        self.accepting.abort();
        let _ = self.accepting.await;
        drop(self.http);
        drop(self.front);
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            server: self,
            method,
            path: path.to_owned(),
            query: Vec::new(),
            headers: BTreeMap::new(),
            body: Bytes::new(),
            access_key: ACCESS_KEY,
            region: "us-east-1",
        }
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.request(Method::GET, path)
    }
    pub(crate) fn head(&self, path: &str) -> Call<'_> {
        self.request(Method::HEAD, path)
    }
    pub(crate) fn put(&self, path: &str) -> Call<'_> {
        self.request(Method::PUT, path)
    }
    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.request(Method::POST, path)
    }
    pub(crate) fn delete(&self, path: &str) -> Call<'_> {
        self.request(Method::DELETE, path)
    }

    /// Makes a bucket.
    pub(crate) async fn bucket(&self, name: &str) {
        assert_eq!(self.put(&format!("/{name}")).send().await.status, StatusCode::OK);
    }

    /// Puts an object and returns its answer.
    pub(crate) async fn object(&self, path: &str, body: &str) -> Answer {
        let answer = self.put(path).body(body.to_owned()).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.http.request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The texts of all elements of this name, entities resolved.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{element}"), format!("</{element}>"));
        let starts = text.split(&open).skip(1).filter(|rest| rest.starts_with(['>', ' ']));
        let inner = starts.filter_map(|rest| rest.split_once('>')?.1.split_once(&close)).map(|(value, _)| value);
        inner.map(|value| quick_xml::escape::unescape(value).unwrap().into_owned()).collect()
    }

    pub(crate) fn one(&self, element: &str) -> String {
        self.all(element).into_iter().next().unwrap_or_default()
    }

    /// Asserts an error.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.one("Code").as_str()), (status, code), "{}", self.text());
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Answer {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        self
    }
}

/// A request that is being put together.
pub(crate) struct Call<'s> {
    server: &'s Server,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: BTreeMap<String, String>,
    body: Bytes,
    access_key: &'static str,
    region: &'static str,
}

impl Call<'_> {
    pub(crate) fn query(mut self, key: &str, value: impl ToString) -> Self {
        self.query.push((key.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.insert(name.to_lowercase(), value.to_string());
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn region(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }

    pub(crate) fn access_key(mut self, access_key: &'static str) -> Self {
        self.access_key = access_key;
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let server = self.server;
        server.send(self.signed()).await
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.port)
    }

    fn encoded_path(&self) -> String {
        utf8_percent_encode(&self.path, PATH).to_string()
    }

    /// With the signature in the `Authorization` header.
    pub(crate) fn signed(mut self) -> Request<Full<Bytes>> {
        let stamp = stamp();
        let payload = match self.headers.get("x-amz-content-sha256") {
            Some(given) => given.clone(),
            None => hex::encode(Sha256::digest(&self.body)),
        };
        self.headers.insert("host".to_owned(), self.host());
        self.headers.insert("x-amz-date".to_owned(), stamp.clone());
        self.headers.insert("x-amz-content-sha256".to_owned(), payload.clone());
        let query = canonical_query(&self.query);
        let signed: Vec<&str> = self.headers.keys().map(String::as_str).collect();
        let signed = signed.join(";");
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let canonical = format!("{}\n{}\n{query}\n{headers}\n{signed}\n{payload}", self.method, self.encoded_path());
        let scope = format!("{}/{}/s3/aws4_request", &stamp[..8], self.region);
        let signature = signature(&canonical, &stamp, self.region, &scope);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            self.access_key
        );
        self.headers.insert("authorization".to_owned(), authorization);
        self.build(&query)
    }

    /// With the signature in the query, good for so many seconds from `at` (now unless given).
    pub(crate) fn presigned(mut self, seconds: u32, at: Option<String>) -> Request<Full<Bytes>> {
        let stamp = at.unwrap_or_else(stamp);
        let scope = format!("{}/{}/s3/aws4_request", &stamp[..8], self.region);
        let parameters = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{}/{scope}", self.access_key)),
            ("X-Amz-Date", stamp.clone()),
            ("X-Amz-Expires", seconds.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ];
        self.query.extend(parameters.map(|(key, value)| (key.to_owned(), value)));
        let query = canonical_query(&self.query);
        let canonical = format!(
            "{}\n{}\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
            self.method,
            self.encoded_path(),
            self.host()
        );
        let signature = signature(&canonical, &stamp, self.region, &scope);
        self.headers.insert("host".to_owned(), self.host());
        self.build(&format!("{query}&X-Amz-Signature={signature}"))
    }

    /// Without any signature.
    pub(crate) fn anonymous(mut self) -> Request<Full<Bytes>> {
        self.headers.insert("host".to_owned(), self.host());
        let query = canonical_query(&self.query);
        self.build(&query)
    }

    fn build(self, query: &str) -> Request<Full<Bytes>> {
        let mark = if query.is_empty() { "" } else { "?" };
        let uri = format!("http://{}{}{mark}{query}", self.host(), self.encoded_path());
        let mut request = Request::builder().method(self.method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body)).unwrap()
    }
}

fn canonical_query(query: &[(String, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let mut pairs: Vec<String> =
        query.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    pairs.sort();
    pairs.join("&")
}

fn signature(canonical: &str, stamp: &str, region: &str, scope: &str) -> String {
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let mut key = hmac(format!("AWS4{SECRET}").as_bytes(), &stamp[..8]);
    for part in [region, "s3", "aws4_request"] {
        key = hmac(&key, part);
    }
    hex::encode(hmac(&key, &to_sign))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Now, as signatures write it.
pub(crate) fn stamp() -> String {
    stamp_of(time::OffsetDateTime::now_utc())
}

pub(crate) fn stamp_of(time: time::OffsetDateTime) -> String {
    time.format(time::macros::format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap()
}

/// Days for the clock.
pub(crate) fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}
