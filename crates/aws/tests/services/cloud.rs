//! A local cloud for each test, and clients of it.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pinfra_aws::clients::Endpoint;
use pinfra_aws::{Clients, Connection};
use pinfra_local::{LocalCloud, Settings};

pub(crate) const REGION: &str = "us-east-1";

/// A cloud that is gone with the test.
pub(crate) struct Cloud {
    pub(crate) clients: Clients,
    pub(crate) local: LocalCloud,
    _folder: tempfile::TempDir,
}

impl Cloud {
    /// Asynchronous changes are over at once, and nobody is throttled.
    pub(crate) async fn start() -> Cloud {
        Cloud::with(|settings| Settings { settle: Duration::ZERO, limits: false, ..settings }).await
    }

    pub(crate) async fn with(change: impl FnOnce(Settings) -> Settings) -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalCloud::start(change(Settings::new(folder.path()))).unwrap();
        let endpoint = Endpoint {
            url: local.endpoint().to_owned(),
            access_key: local.access_key().to_owned(),
            secret_key: local.secret_key().to_owned(),
        };
        let connection = Connection { region: REGION.to_owned(), endpoint: Some(endpoint), apis: None };
        Cloud { clients: Clients::connect(&connection).await.unwrap(), local, _folder: folder }
    }

    /// A configuration as a program's, for services that the catalogue does not use.
    pub(crate) fn config(&self, credentials: Credentials) -> SdkConfig {
        config(self.local.endpoint(), credentials)
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(self.local.access_key(), self.local.secret_key(), None, None, "test")
    }

    /// A stream that can be used.
    pub(crate) async fn stream(&self, name: &str, shards: i32) -> aws_sdk_kinesis::Client {
        let kinesis = self.clients.kinesis.clone();
        kinesis.create_stream().stream_name(name).shard_count(shards).send().await.unwrap();
        kinesis
    }

    /// A bucket.
    pub(crate) async fn bucket(&self, name: &str) -> aws_sdk_s3::Client {
        let s3 = self.clients.s3.clone();
        s3.create_bucket().bucket(name).send().await.unwrap();
        s3
    }
}

/// A configuration with connections of its own.
pub(crate) fn config(endpoint: &str, credentials: Credentials) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(20)))
        .build()
}

/// The code of the error that the service answered.
pub(crate) fn code<T, E, R>(answer: Result<T, SdkError<E, R>>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug,
{
    let error = answer.err().expect("it is refused");
    let answered = error.as_service_error().unwrap_or_else(|| panic!("no answer: {error:?}"));
    answered.code().unwrap_or("none").to_owned()
}
