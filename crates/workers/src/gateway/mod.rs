//! The gateway: takes records over HTTP, as the Confluent REST Proxy does (API v2), and produces them to Kafka.
//!
//! ```text
//! request ─secret→ route ─media→ body ─budget→ topic known? ─parse→ records ─tickets→ producer ⟲ brokers
//!                                                          answer ←save counts← outcomes ←settle─┘
//! ```
//!
//! A record is acknowledged by all in-sync replicas before its caller hears of success. What is under way is bounded in
//! bytes, records and connections: whoever comes when that is used up is told to come again. The gateway
//! keeps nothing but its counters: a caller without an answer has to send again, and may so write twice.

mod answer;
mod body;
mod client;
mod compact;
mod configs;
mod counts;
mod diagnose;
#[cfg(test)]
mod fake_broker;
mod media;
mod metrics;
mod outcome;
mod pending;
mod producer;
mod records;
mod route;
mod server;
mod service;
mod token;
mod view;
mod watch;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aws_config::SdkConfig;
use rdkafka::error::KafkaError;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::records::{Format, MAX_RECORDS, Malformed, Record, parse};

use self::client::Brokers;
use self::counts::Counts;
use self::metrics::Metrics;
use self::producer::Producer;
use self::service::Gateway;
use self::token::Tokens;
use self::view::View;
use crate::config::{GatewayConfig, KafkaSecurity};
use crate::log::say;
use crate::report::Teller;

/// Bytes of bodies that may be under way, waiting for their acknowledgement included.
const BYTES: usize = 32 << 20;
/// Records that may be.
const RECORDS: usize = 50_000;
/// A port that is taken is tried again after this: the gateway before may just be ending.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a machine of the local cloud is reached; a machine of AWS answers on all its addresses.
const ADDRESS: &str = "PINFRA_ADDRESS";
/// The certificates to check brokers by, as AWS SDKs have it.
const AUTHORITY: &str = "AWS_CA_BUNDLE";

/// Why the gateway cannot run. What may pass by itself is none of these: it stays, says so in its report and tries again.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address to answer on is none.
    #[error("`{ADDRESS}` is `{0}`, which is not an IP address")]
    Address(String),
    /// Brokers want a token and there is nothing to sign it with.
    #[error("there are no AWS credentials to sign tokens for the brokers with")]
    Credentials,
    /// A setting that makes no sense to the Kafka client.
    #[error("cannot make a Kafka client")]
    Client(#[from] KafkaError),
    /// The counters cannot be read or written.
    #[error("cannot use the gateway's folder")]
    Folder(#[from] std::io::Error),
}

/// Answers until `stop`, on the address and with the credentials that the environment gives. Counters are kept in `folder`.
/// Serving the report is the caller's part.
///
/// # Errors
///
/// When a second try would not help either.
pub async fn run(
    config: GatewayConfig,
    folder: &Path,
    teller: Teller,
    stop: CancellationToken,
) -> Result<(), GatewayError> {
    let address = match std::env::var(ADDRESS) {
        Ok(address) => address.parse().map_err(|_| GatewayError::Address(address))?,
        Err(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let region = aws_config::Region::new(config.region.clone());
    let sdk = Box::pin(aws_config::defaults(aws_config::BehaviorVersion::latest()).region(region).load()).await;
    let authority = std::env::var_os(AUTHORITY).map(PathBuf::from);
    let listener = loop {
        match TcpListener::bind((address, config.port)).await {
            Ok(listener) => break listener,
            Err(error) => teller.fails(format!("cannot listen on {address}:{}: {error}", config.port)),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return Ok(()),
        }
    };
    run_with(config, folder, teller, stop, Around { listener, sdk, authority }).await
}

/// What a gateway finds around it.
pub struct Around {
    /// Where it answers.
    pub listener: TcpListener,
    /// Whose credentials it has.
    pub sdk: SdkConfig,
    /// The certificates to check brokers by; the system's when absent.
    pub authority: Option<PathBuf>,
}

/// As [`run`], with this around it.
///
/// # Errors
///
/// As [`run`].
pub async fn run_with(
    config: GatewayConfig,
    folder: &Path,
    teller: Teller,
    stop: CancellationToken,
    around: Around,
) -> Result<(), GatewayError> {
    let tokens = match config.security {
        KafkaSecurity::Plaintext => None,
        KafkaSecurity::Iam => {
            let credentials = around.sdk.credentials_provider().ok_or(GatewayError::Credentials)?;
            Some(Arc::new(Tokens::new(&config.region, credentials)))
        }
    };
    let bootstrap = config.bootstrap.clone();
    let brokers = Brokers { bootstrap, tokens, authority: around.authority, teller: teller.clone() };
    let gateway = Arc::new(Gateway {
        secret: config.secret.clone(),
        producer: Producer::new(brokers.clone())?,
        view: View::new(brokers, config.group.as_deref())?,
        counts: Counts::open(folder, &config.topics)?,
        metrics: Metrics::new(),
        teller,
        bytes: Arc::new(Semaphore::new(BYTES)),
        records: Arc::new(Semaphore::new(RECORDS)),
        answered: AtomicBool::new(false),
        stop,
    });
    gateway.counts.tell(&gateway.teller);
    if let Ok(address) = around.listener.local_addr() {
        say(&format!("listening on {address}, producing to {}", config.bootstrap));
    }
    tokio::select! {
        () = server::serve(around.listener, &gateway) => {}
        never = gateway.producer.replace_when_fatal() => match never {},
        never = watch::watch(&config, &gateway) => match never {},
    }
    gateway.counts.save()?;
    gateway.counts.tell(&gateway.teller);
    // Ending a Kafka client takes up to a second, and it blocks.
    let _ = tokio::task::spawn_blocking(move || drop(gateway)).await;
    say("stopped");
    Ok(())
}
