//! The bucket as an object store.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::limit::LimitStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::credentials::SdkCredentials;

/// Calls that fail in a way that may pass are tried again for so long; then the caller hears of it.
const RETRY: Duration = Duration::from_secs(20);

/// Requests under way at once. Without a bound a scan or a compaction opens a connection for each of hundreds of files,
/// which S3 answers with `SlowDown` and the local cloud with a queue.
const REQUESTS_AT_ONCE: usize = 32;

/// The store of a bucket: credentials, region and endpoint (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`) as the SDK has
/// them.
pub(super) fn amazon_s3(bucket: &str, config: &SdkConfig) -> object_store::Result<Arc<dyn ObjectStore>> {
    // Whoever was first has chosen; a second choice is refused and means nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // A config that was made without the environment (no service settings in it) is not to be led elsewhere by it.
    let of_s3 = config.service_config().and_then(|_| std::env::var("AWS_ENDPOINT_URL_S3").ok());
    let endpoint = of_s3.or_else(|| config.endpoint_url().map(str::to_owned));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(config.region().map_or("us-east-1", AsRef::as_ref))
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: 10,
            retry_timeout: RETRY,
        });
    if let Some(provider) = config.credentials_provider() {
        builder = builder.with_credentials(Arc::new(SdkCredentials::new(provider)));
    }
    let mut options = ClientOptions::new().with_timeout(Duration::from_secs(60));
    if let Some(endpoint) = endpoint {
        // Plain HTTP only where the endpoint says so: the local cloud on loopback.
        options = options.with_allow_http(endpoint.starts_with("http://"));
        builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
    }
    Ok(Arc::new(LimitStore::new(builder.with_client_options(options).build()?, REQUESTS_AT_ONCE)))
}
