//! A broker that knows just enough to be asked.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{ApiKey, DescribeConfigsResponse, SaslAuthenticateResponse, SaslHandshakeResponse};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::report::Teller;

/// Answers one request; gives the bytes of an authentication.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Option<Bytes> {
    let length = stream.read_u32().await.ok()?;
    let mut request = vec![0; length as usize];
    stream.read_exact(&mut request).await.unwrap();
    let mut request = Bytes::from(request);
    let header = kafka_protocol::protocol::decode_request_header_from_buffer(&mut request).unwrap();
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
        _ => {
            let asked = DescribeConfigsRequest::decode(&mut request, version).unwrap().resources.remove(0);
            assert_eq!((key, asked.resource_type), (ApiKey::DescribeConfigs, TOPIC));
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
    }
    stream.write_u32(u32::try_from(body.len()).unwrap()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream.flush().await.unwrap();
    Some(authenticated.unwrap_or_default())
}

fn brokers(bootstrap: String) -> Brokers {
    Brokers { bootstrap, tokens: None, authority: None, teller: Teller::default() }
}

#[tokio::test]
async fn configurations_are_told_by_the_first_broker_that_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let brokers = brokers(format!("{gone}, {}", listener.local_addr().unwrap()));
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
async fn brokers_that_know_roles_get_a_token_over_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    std::fs::write(&bundle, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broker = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(tls)).accept(stream).await.unwrap();
        let mut seen = Vec::new();
        while let Some(authenticated) = answer(&mut stream).await {
            seen.push(authenticated);
        }
        seen
    });
    let credentials = Credentials::new("AKIDEXAMPLE", "a secret", None, None, "test");
    let tokens = Arc::new(Tokens::new("us-east-1", SharedCredentialsProvider::new(credentials)));
    let brokers = Brokers { tokens: Some(tokens), authority: Some(bundle), ..brokers(address.to_string()) };
    assert_eq!(of_topic(&brokers, "s.pin").await.unwrap().len(), 1);
    let seen = broker.await.unwrap();
    let authenticated = std::str::from_utf8(&seen[1]).unwrap();
    let token = authenticated.strip_prefix("n,,\u{1}auth=Bearer ").unwrap().strip_suffix("\u{1}\u{1}").unwrap();
    let url = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token).unwrap();
    assert!(String::from_utf8(url).unwrap().contains("Action=kafka-cluster%3AConnect"));
}
