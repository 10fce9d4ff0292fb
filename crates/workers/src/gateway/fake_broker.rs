//! For tests: a broker that knows just enough to be asked, and to be shown a token.

use std::path::Path;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, DescribeConfigsRequest, DescribeConfigsResponse, ResponseHeader,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes, decode_request_header_from_buffer};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::client::Brokers;
use super::token::Tokens;
use crate::report::Teller;

/// Brokers that are reached in the clear.
pub(super) fn plaintext(bootstrap: String) -> Brokers {
    Brokers { bootstrap, tokens: None, authority: None, teller: Teller::default() }
}

/// A broker that knows clients by a role, and the authentications that it is shown. Its certificate goes into `folder`.
pub(super) async fn with_roles(folder: &Path) -> (Brokers, mpsc::UnboundedReceiver<String>) {
    // Another test may have installed it already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let bundle = folder.join("ca.pem");
    std::fs::write(&bundle, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(tls.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shown, authentications) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            while let Some(authenticated) = answer(&mut stream).await {
                if !authenticated.is_empty() {
                    let _ = shown.send(String::from_utf8(authenticated.to_vec()).unwrap());
                }
            }
        }
    });
    let credentials = Credentials::new("AKIDEXAMPLE", "a secret", None, None, "test");
    let tokens = Arc::new(Tokens::new("us-east-1", SharedCredentialsProvider::new(credentials)));
    let brokers = Brokers { tokens: Some(tokens), authority: Some(bundle), ..plaintext(address.to_string()) };
    (brokers, authentications)
}

/// Whether an authentication is a token of MSK (RFC 7628, section 3.1, around a signed URL).
pub(super) fn is_signed(authentication: &str) -> bool {
    let bearer = authentication.split('\u{1}').find_map(|part| part.strip_prefix("auth=Bearer "));
    let token = bearer.map(|token| base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token));
    let Some(Ok(url)) = token else { return false };
    let url = String::from_utf8(url).unwrap();
    url.contains("Action=kafka-cluster%3AConnect") && url.contains("X-Amz-Signature=")
}

/// Answers one request that it understands; gives the bytes of an authentication.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Option<Bytes> {
    let length = stream.read_u32().await.ok()?;
    let mut request = vec![0; length as usize];
    stream.read_exact(&mut request).await.unwrap();
    let mut request = Bytes::from(request);
    let header = decode_request_header_from_buffer(&mut request).unwrap();
    let (key, version) = (ApiKey::try_from(header.request_api_key).unwrap(), header.request_api_version);
    let mut body = BytesMut::new();
    let reply = ResponseHeader::default().with_correlation_id(header.correlation_id);
    reply.encode(&mut body, key.response_header_version(version)).unwrap();
    let mut authenticated = None;
    match key {
        ApiKey::SaslHandshake => SaslHandshakeResponse::default().encode(&mut body, version).unwrap(),
        ApiKey::SaslAuthenticate => {
            authenticated = Some(SaslAuthenticateRequest::decode(&mut request, version).unwrap().auth_bytes);
            SaslAuthenticateResponse::default().encode(&mut body, version).unwrap();
        }
        ApiKey::ApiVersions => {
            let mut known = Vec::new();
            for (key, last) in [(ApiKey::ApiVersions, 3), (ApiKey::SaslHandshake, 1), (ApiKey::SaslAuthenticate, 1)] {
                known.push(ApiVersion::default().with_api_key(key as i16).with_max_version(last));
            }
            ApiVersionsResponse::default().with_api_keys(known).encode(&mut body, version).unwrap();
        }
        ApiKey::DescribeConfigs => {
            let asked = DescribeConfigsRequest::decode(&mut request, version).unwrap().resources.remove(0);
            assert_eq!(asked.resource_type, 2, "a topic");
            let text = StrBytes::from_static_str;
            let config = DescribeConfigsResourceResult::default().with_name(text("retention.ms"));
            let mut result = DescribeConfigsResult::default().with_resource_name(asked.resource_name.clone());
            if asked.resource_name.as_str() == "denied" {
                result = result.with_error_code(29).with_error_message(Some(text("not for you")));
            } else {
                result = result.with_configs(vec![config.with_value(Some(text("604800000")))]);
            }
            DescribeConfigsResponse::default().with_results(vec![result]).encode(&mut body, version).unwrap();
        }
        _ => return None,
    }
    stream.write_u32(u32::try_from(body.len()).unwrap()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream.flush().await.unwrap();
    Some(authenticated.unwrap_or_default())
}
