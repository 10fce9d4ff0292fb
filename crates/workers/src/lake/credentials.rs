//! Credentials of the AWS SDK for the object store, so that both find them in the same places and refresh them alike.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// How long before they expire credentials are asked for anew.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(300);

/// Asks the SDK's chain, and keeps the answer while it is good.
pub(super) struct SdkCredentials {
    provider: SharedCredentialsProvider,
    known: Mutex<Option<Known>>,
}

struct Known {
    credential: Arc<AwsCredential>,
    /// `None`: they do not expire.
    until: Option<std::time::SystemTime>,
}

impl SdkCredentials {
    pub(super) fn new(provider: SharedCredentialsProvider) -> SdkCredentials {
        SdkCredentials { provider, known: Mutex::new(None) }
    }

    async fn credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut known = self.known.lock().await;
        let now = std::time::SystemTime::now();
        if let Some(known) = known.as_ref()
            && known.until.is_none_or(|until| now + AHEAD < until)
        {
            return Ok(known.credential.clone());
        }
        let fresh = self
            .provider
            .provide_credentials()
            .await
            .map_err(|source| object_store::Error::Generic { store: "S3", source: Box::new(source) })?;
        let credential = Arc::new(AwsCredential {
            key_id: fresh.access_key_id().to_owned(),
            secret_key: fresh.secret_access_key().to_owned(),
            token: fresh.session_token().map(str::to_owned),
        });
        *known = Some(Known { credential: credential.clone(), until: fresh.expiry() });
        Ok(credential)
    }
}

impl fmt::Debug for SdkCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SdkCredentials { .. }")
    }
}

// The trait is written with the `async_trait` macro; this is what the macro makes of its one method.
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    fn get_credential<'a, 'b>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.credential())
    }
}
