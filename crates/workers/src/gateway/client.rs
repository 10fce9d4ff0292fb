//! How clients of Kafka reach the brokers, and what they tell.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::outcome::Outcome;
use super::pending::Ticket;
use super::token::Tokens;
use crate::log::say;
use crate::report::Teller;

/// Brokers that are away are said to be so no more often.
const SAID: Duration = Duration::from_secs(10);

/// Where the brokers are and how they know us.
#[derive(Clone)]
pub(super) struct Brokers {
    pub(super) bootstrap: String,
    /// Signs tokens where brokers know clients by a role (MSK IAM); without, they are reached in the clear.
    pub(super) tokens: Option<Arc<Tokens>>,
    /// The certificates that brokers' certificates are checked by; the system's when absent.
    pub(super) authority: Option<PathBuf>,
    pub(super) teller: Teller,
}

impl Brokers {
    /// What all clients are told.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", "pinfra-gateway")
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            // A broker that hangs is left for another within the time that a record has; the default is a minute.
            .set("socket.timeout.ms", "8000")
            .set("socket.connection.setup.timeout.ms", "8000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.propagation.max.ms", "5000")
            .set_log_level(RDKafkaLogLevel::Warning);
        if self.tokens.is_some() {
            // "ssl.ca.location: probe" looks where distributions keep certificates (librdkafka, CONFIGURATION.md).
            let authority = self.authority.as_ref().map_or("probe".into(), |path| path.to_string_lossy());
            config
                .set("security.protocol", "SASL_SSL")
                .set("sasl.mechanism", "OAUTHBEARER")
                .set("ssl.ca.location", authority);
        }
        config
    }

    /// What a client of its own tells to.
    pub(super) fn context(&self) -> Context {
        let said = Mutex::new(None);
        Context { tokens: self.tokens.clone(), teller: self.teller.clone(), said }
    }
}

/// What a client tells.
pub(super) struct Context {
    tokens: Option<Arc<Tokens>>,
    teller: Teller,
    said: Mutex<Option<Instant>>,
}

impl Context {
    /// Says what is wrong, unless it has just said something.
    fn complain(&self, message: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= SAID) {
            *said = Some(Instant::now());
            say(message);
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if matches!(level, RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical) {
            self.complain(&format!("{facility}: {message}"));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complain(&format!("Kafka: {error}: {reason}"));
        self.teller.stumbled(format!("Kafka: {reason}"));
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let tokens = self.tokens.as_ref().ok_or("brokers in the clear need no token")?;
        tokens
            .sign()
            .inspect_err(|error| {
                self.complain(&error.to_string());
                self.teller.stumbled(error);
            })
            .map_err(Into::into)
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        ticket.settle(match result {
            Ok(message) => Outcome::Taken { partition: message.partition(), offset: message.offset() },
            Err((error, _)) => Outcome::Failed(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::gateway::fake_broker::{is_signed, with_roles};
    use crate::gateway::producer::Producer;
    use crate::gateway::view::View;

    #[tokio::test(flavor = "multi_thread")]
    async fn both_clients_show_a_token_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        for view in [false, true] {
            let (brokers, mut authentications) = with_roles(folder.path()).await;
            let teller = brokers.teller.clone();
            let (mut producer, mut looker) = (None, None);
            if view {
                looker = Some(View::new(brokers, None).unwrap());
            } else {
                producer = Some(Producer::new(brokers).unwrap());
            }
            let shown = tokio::time::timeout(Duration::from_secs(20), authentications.recv()).await;
            let shown = shown.unwrap_or_else(|_| panic!("nothing in 20 s: {:?}", teller.report().last_error));
            assert!(is_signed(&shown.unwrap()));
            tokio::task::spawn_blocking(move || drop((producer.take(), looker.take()))).await.unwrap();
        }
    }
}
