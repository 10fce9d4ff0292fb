//! The certificates of the TLS listeners: an authority of this local cloud, and one certificate for all brokers.
//!
//! `ca.pem` is what clients are given. Keys are beside it, readable by their owner alone, and never leave the folder.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::error::KafkaError;
use crate::private_file;

const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
/// As long as a laptop's folder may live: nothing renews them.
const VALID: time::Duration = time::Duration::days(3_650);

type Failure = Box<dyn Error + Send + Sync>;

/// What the TLS listeners need.
pub(crate) struct Certificates {
    pub(crate) authority_pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Certificates {
    /// Reads those of the folder, or makes them.
    pub(crate) fn open(folder: &Path) -> Result<Certificates, KafkaError> {
        let failed = |source| KafkaError::Certificate { path: folder.to_owned(), source };
        // The server's certificate is written last: without it, what is there was not finished.
        if !folder.join(SERVER).exists() {
            make(folder).map_err(failed)?;
        }
        read(folder).map_err(failed)
    }
}

fn read(folder: &Path) -> Result<Certificates, Failure> {
    let authority_pem = fs::read_to_string(folder.join(AUTHORITY))?;
    let certificate = CertificateDer::from_pem_slice(&fs::read(folder.join(SERVER))?)?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(folder.join(SERVER_KEY))?)?;
    // The provider is named, as the program may have two compiled in.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Certificates { authority_pem, acceptor: TlsAcceptor::from(Arc::new(config)) })
}

fn make(folder: &Path) -> Result<(), Failure> {
    let authority_key = KeyPair::generate()?;
    let mut authority = params("pinfra local cloud")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_certificate = authority.self_signed(&authority_key)?;

    let server_key = KeyPair::generate()?;
    let mut server = params("brokers of the pinfra local cloud")?;
    server.subject_alt_names = vec![
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        SanType::DnsName("localhost".try_into()?),
    ];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let authority = Issuer::new(authority, authority_key);
    let server_certificate = server.signed_by(&server_key, &authority)?;

    write_private(&folder.join(AUTHORITY_KEY), &authority.key().serialize_pem())?;
    write_private(&folder.join(SERVER_KEY), &server_key.serialize_pem())?;
    fs::write(folder.join(AUTHORITY), authority_certificate.pem())?;
    fs::write(folder.join(SERVER), server_certificate.pem())?;
    Ok(())
}

fn params(name: &str) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    let now = time::OffsetDateTime::now_utc();
    // Clocks of containers may be a little behind.
    params.not_before = now - time::Duration::days(1);
    params.not_after = now + VALID;
    Ok(params)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    // What an interrupted start left is not appended to.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    private_file::create(path)?;
    let mut file = fs::OpenOptions::new().append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
