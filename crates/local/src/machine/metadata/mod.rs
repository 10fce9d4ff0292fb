//! The instance metadata service (IMDS) of one machine, on a loopback port of its own.
//!
//! `tree` says what there is, `tokens` who may read it, `keys` holds the role's keys until they are about to end; this
//! module speaks HTTP ("Use the Instance Metadata Service", EC2 user guide).

mod keys;
mod tokens;
mod tree;

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::{JoinHandle, JoinSet};

use self::keys::RoleKeys;
use self::tokens::Tokens;
use super::World;
use crate::server::loopback::{Host, host_of};

const TOKEN: &str = "x-aws-ec2-metadata-token";
const TOKEN_TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// A client that says nothing for so long is cut off.
const IDLE: Duration = Duration::from_secs(60);

/// A running service; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct MetadataService {
    endpoint: String,
    server: JoinHandle<()>,
}

struct Metadata {
    instance: String,
    /// A connection that lingers does not keep the cloud alive.
    world: Weak<dyn World>,
    tokens: Tokens,
    keys: RoleKeys,
}

impl MetadataService {
    /// Starts it on the port of last time if that is free, and remembers the port.
    pub(super) fn start(instance: &str, remembered: &Path, world: Weak<dyn World>) -> io::Result<MetadataService> {
        let last = fs::read_to_string(remembered).ok().and_then(|text| text.trim().parse::<u16>().ok());
        let again = last.and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
        let listener = match again {
            Some(listener) => listener,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        };
        let port = listener.local_addr()?.port();
        if last != Some(port) {
            fs::write(remembered, port.to_string())?;
        }
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let metadata =
            Metadata { instance: instance.to_owned(), world, tokens: Tokens::default(), keys: RoleKeys::default() };
        let server = tokio::spawn(serve(listener, Arc::new(metadata)));
        Ok(MetadataService { endpoint: format!("http://127.0.0.1:{port}"), server })
    }

    /// Such as `http://127.0.0.1:41234`.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for MetadataService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: tokio::net::TcpListener, metadata: Arc<Metadata>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE);
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let metadata = Arc::clone(&metadata);
        let answer = service_fn(move |request: Request<Incoming>| {
            let metadata = Arc::clone(&metadata);
            // Issuing keys waits for the disk.
            let (parts, _) = request.into_parts();
            let answered = tokio::task::spawn_blocking(move || {
                if host_of(&parts.uri, &parts.headers) != Host::Itself {
                    return refuse(StatusCode::FORBIDDEN);
                }
                metadata.answer(&parts.method, parts.uri.path(), &parts.headers)
            });
            async move { Ok::<_, Infallible>(answered.await.unwrap_or_else(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR))) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), answer);
        connections.spawn(async move {
            let _ended = connection.await;
        });
    }
}

impl Metadata {
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let Some(world) = self.world.upgrade() else { return refuse(StatusCode::SERVICE_UNAVAILABLE) };
        let Some(facts) = world.facts(&self.instance) else { return refuse(StatusCode::NOT_FOUND) };
        if !facts.options.enabled {
            return refuse(StatusCode::FORBIDDEN);
        }
        match *method {
            Method::PUT if path == "/latest/api/token" => self.token(headers),
            Method::GET | Method::HEAD => {
                if !self.admitted(headers, facts.options.tokens_required) {
                    return refuse(StatusCode::UNAUTHORIZED);
                }
                let keys =
                    facts.profile.as_ref().map(|(arn, _)| self.keys.of(arn, || world.role_keys(arn, &self.instance)));
                match tree::find(&facts, keys.as_ref(), path) {
                    Some(found) => plain(StatusCode::OK, found),
                    None => refuse(StatusCode::NOT_FOUND),
                }
            }
            Method::PUT => refuse(StatusCode::NOT_FOUND),
            _ => refuse(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// A request for a token must not have come through a proxy.
    fn token(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        if headers.contains_key("x-forwarded-for") {
            return refuse(StatusCode::FORBIDDEN);
        }
        let seconds = headers.get(TOKEN_TTL).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let Some(seconds) = seconds.filter(|seconds| (1..=21_600).contains(seconds)) else {
            return refuse(StatusCode::BAD_REQUEST);
        };
        let mut response = plain(StatusCode::OK, self.tokens.issue(Duration::from_secs(seconds)).into_bytes());
        response.headers_mut().insert(TOKEN_TTL, HeaderValue::from(seconds));
        response
    }

    fn admitted(&self, headers: &HeaderMap, required: bool) -> bool {
        match headers.get(TOKEN) {
            Some(token) => token.to_str().is_ok_and(|token| self.tokens.is_good(token)),
            None => !required,
        }
    }
}

fn refuse(status: StatusCode) -> Response<Full<Bytes>> {
    plain(status, format!("{status}\n").into_bytes())
}

fn plain(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
