//! The configuration of a topic, asked of a broker in the Kafka protocol itself.
//!
//! librdkafka can ask that too, but its admin client is never polled for the token that MSK wants (rust-rdkafka's
//! `AdminClient` serves a queue of its own), so it cannot speak to brokers that know clients by a role. The question is
//! rare: a connection each.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{
    DescribeConfigsRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::Brokers;
use super::token::{TokenError, Tokens};

/// A broker that has not told everything within this time is not asked further.
const ANSWER: Duration = Duration::from_secs(10);
/// The versions that all brokers from 2.0 to 4 know.
const DESCRIBE: i16 = 1;
const HANDSHAKE: i16 = 1;
const AUTHENTICATE: i16 = 1;
/// "TOPIC" among the types of resources (`org.apache.kafka.common.config.ConfigResource`).
const TOPIC: i8 = 2;
/// An answer that is longer is none.
const LONGEST: usize = 16 << 20;
/// Where distributions keep their certificates: Debian, then Red Hat and Amazon Linux.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// Why a configuration cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigsError {
    #[error("cannot reach a broker: {0}")]
    Io(#[from] io::Error),
    #[error("no broker answered within {} s", ANSWER.as_secs())]
    Late,
    #[error("no certificates to check brokers by: {0}")]
    Authority(String),
    #[error("a broker refuses: {0}")]
    Refused(String),
    #[error("a broker speaks another Kafka protocol")]
    Protocol,
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// All settings of a topic, those that are not its own included.
pub(super) async fn of_topic(brokers: &Brokers, topic: &str) -> Result<BTreeMap<String, Option<String>>, ConfigsError> {
    tokio::time::timeout(ANSWER, ask_any(brokers, topic)).await.map_err(|_| ConfigsError::Late)?
}

async fn ask_any(brokers: &Brokers, topic: &str) -> Result<BTreeMap<String, Option<String>>, ConfigsError> {
    let mut last = ConfigsError::Io(io::ErrorKind::NotFound.into());
    for address in brokers.bootstrap.split(',').map(str::trim) {
        match ask(brokers, address, topic).await {
            Err(error @ ConfigsError::Io(_)) => last = error,
            answer => return answer,
        }
    }
    Err(last)
}

async fn ask(brokers: &Brokers, address: &str, topic: &str) -> Result<BTreeMap<String, Option<String>>, ConfigsError> {
    let stream = TcpStream::connect(address).await?;
    let Some(tokens) = &brokers.tokens else { return describe(&mut Talk::new(stream), topic).await };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let host = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tls = ClientConfig::builder()
        .with_root_certificates(authorities(brokers.authority.as_deref())?)
        .with_no_client_auth();
    let mut talk = Talk::new(TlsConnector::from(Arc::new(tls)).connect(host, stream).await?);
    authenticate(&mut talk, tokens).await?;
    describe(&mut talk, topic).await
}

async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    talk: &mut Talk<S>,
    tokens: &Tokens,
) -> Result<(), ConfigsError> {
    let mechanism = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("OAUTHBEARER"));
    check(talk.call(&mechanism, HANDSHAKE).await?.error_code, None)?;
    // RFC 7628, section 3.1.
    let bearer = format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", tokens.token().await?.token);
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(bearer));
    let answer = talk.call(&request, AUTHENTICATE).await?;
    check(answer.error_code, answer.error_message)
}

async fn describe<S: AsyncRead + AsyncWrite + Unpin>(
    talk: &mut Talk<S>,
    topic: &str,
) -> Result<BTreeMap<String, Option<String>>, ConfigsError> {
    let name = StrBytes::from_string(topic.to_owned());
    let resource = DescribeConfigsResource::default().with_resource_type(TOPIC).with_resource_name(name);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None)]);
    let mut configs = BTreeMap::new();
    for result in talk.call(&request, DESCRIBE).await?.results {
        check(result.error_code, result.error_message)?;
        for config in result.configs {
            configs.insert(config.name.to_string(), config.value.map(|value| value.to_string()));
        }
    }
    Ok(configs)
}

fn check(code: i16, message: Option<StrBytes>) -> Result<(), ConfigsError> {
    let Some(error) = ResponseError::try_from_code(code) else { return Ok(()) };
    Err(ConfigsError::Refused(message.map_or_else(|| error.to_string(), |message| message.to_string())))
}

fn authorities(bundle: Option<&Path>) -> Result<RootCertStore, ConfigsError> {
    let wrong = |error: &dyn std::fmt::Display| ConfigsError::Authority(error.to_string());
    let system = || BUNDLES.iter().map(PathBuf::from).find(|path| path.exists());
    let bundle = bundle.map(Path::to_owned).or_else(system).ok_or_else(|| wrong(&"the system has none"))?;
    let mut roots = RootCertStore::empty();
    // A system's bundle may hold what is not understood; those that are will do.
    for certificate in CertificateDer::pem_file_iter(&bundle).map_err(|error| wrong(&error))?.flatten() {
        let _ = roots.add(certificate);
    }
    if roots.is_empty() { Err(wrong(&format!("`{}` has none", bundle.display()))) } else { Ok(roots) }
}

/// A connection on which a request is answered before the next one goes.
struct Talk<S> {
    stream: S,
    number: i32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    fn new(stream: S) -> Talk<S> {
        Talk { stream, number: 0 }
    }

    async fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, ConfigsError> {
        self.number += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.number)
            .with_client_id(Some(StrBytes::from_static_str("pinfra-gateway")));
        let mut message = BytesMut::new();
        header.encode(&mut message, R::header_version(version)).map_err(|_| ConfigsError::Protocol)?;
        request.encode(&mut message, version).map_err(|_| ConfigsError::Protocol)?;
        let length = u32::try_from(message.len()).map_err(|_| ConfigsError::Protocol)?;
        let mut framed = BytesMut::with_capacity(message.len() + 4);
        framed.put_u32(length);
        framed.put(message);
        self.stream.write_all(&framed).await?;
        self.stream.flush().await?;

        let length = self.stream.read_u32().await? as usize;
        if length > LONGEST {
            return Err(ConfigsError::Protocol);
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        let mut answer = Bytes::from(answer);
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version));
        if header.map_err(|_| ConfigsError::Protocol)?.correlation_id != self.number {
            return Err(ConfigsError::Protocol);
        }
        let response = R::Response::decode(&mut answer, version).map_err(|_| ConfigsError::Protocol)?;
        if answer.has_remaining() { Err(ConfigsError::Protocol) } else { Ok(response) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::gateway::fake_broker::{answer, is_signed, plaintext, with_roles};

    #[tokio::test]
    async fn configurations_are_told_by_the_first_broker_that_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let brokers = plaintext(format!("{gone}, {}", listener.local_addr().unwrap()));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                while answer(&mut stream).await.is_some() {}
            }
        });
        let configs = of_topic(&brokers, "s.pin").await.unwrap();
        assert_eq!(configs, BTreeMap::from([("retention.ms".to_owned(), Some("604800000".to_owned()))]));
        let refused = of_topic(&brokers, "denied").await.unwrap_err();
        assert_eq!(refused.to_string(), "a broker refuses: not for you");
    }

    #[tokio::test]
    async fn brokers_that_know_roles_are_shown_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let (brokers, mut authentications) = with_roles(folder.path()).await;
        assert_eq!(of_topic(&brokers, "s.pin").await.unwrap().len(), 1);
        assert!(is_signed(&authentications.recv().await.unwrap()));
    }
}
