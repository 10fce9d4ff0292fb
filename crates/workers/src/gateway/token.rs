//! The token by which MSK knows a role: a URL of `kafka-cluster:Connect`, signed for 15 minutes (SASL/OAUTHBEARER).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::Region;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_msk_iam_sasl_signer::generate_auth_token_from_credentials_provider;
use rdkafka::client::OAuthToken;
use tokio::runtime::Handle;

use crate::log::chain;

/// Credentials that do not come within this time are as good as none.
const SIGNING: Duration = Duration::from_secs(30);
/// The client asks for another token once 4/5 of this have passed: long before the 15 minutes of the signature, which
/// clocks that differ make fewer.
const LIFETIME: Duration = Duration::from_secs(9 * 60);

/// No token can be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("cannot sign a token for the brokers: {0}")]
    Signing(String),
    #[error("cannot sign a token for the brokers: no credentials within {} s", SIGNING.as_secs())]
    Late,
}

/// Signs tokens with the credentials of a role.
pub(super) struct Tokens {
    region: Region,
    /// One for the process: it keeps what it knows of the metadata service.
    credentials: SharedCredentialsProvider,
    runtime: Handle,
}

impl Tokens {
    /// Has to be called on a runtime: tokens are signed there.
    pub(super) fn new(region: &str, credentials: SharedCredentialsProvider) -> Tokens {
        Tokens { region: Region::new(region.to_owned()), credentials, runtime: Handle::current() }
    }

    /// A token, waited for: called on threads of the Kafka client only.
    pub(super) fn sign(&self) -> Result<OAuthToken, TokenError> {
        self.runtime.block_on(self.token())
    }

    /// A token.
    pub(super) async fn token(&self) -> Result<OAuthToken, TokenError> {
        let signed = generate_auth_token_from_credentials_provider(self.region.clone(), self.credentials.clone());
        let signed = Box::pin(tokio::time::timeout(SIGNING, signed)).await;
        let (token, ends) =
            signed.map_err(|_| TokenError::Late)?.map_err(|error| TokenError::Signing(chain(&error)))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let until = i64::try_from((now + LIFETIME).as_millis()).unwrap_or(ends);
        // Brokers take the name from the signature.
        Ok(OAuthToken { token, principal_name: "pinfra-gateway".to_owned(), lifetime_ms: until.min(ends) })
    }
}
