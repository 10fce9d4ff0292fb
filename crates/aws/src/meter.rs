//! Every request passes here: it is counted, and held back where AWS publishes a rate.
//!
//! An interceptor names the operation on the request, and a connector around the SDK's own one waits and counts, so
//! that the SDK's retries are counted and held back too. A request to an endpoint that is not AWS's is not held back.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Requests a second that one account and region may make, by service and operation.
///
/// Kinesis: "Quotas and limits" in the Kinesis Data Streams developer guide, and the API reference of each operation.
/// Those without a published rate get the rate of their siblings. The Tagging API's is not published; 5 is what its
/// users report to be safe. Neither are those of IAM, whose writes are few in the whole account: five a second of each
/// stays below what its users saw refused.
const RATES: &[(&str, &str, u32)] = &[
    ("Kinesis", "CreateStream", 5),
    ("Kinesis", "DeleteStream", 5),
    ("Kinesis", "ListStreams", 5),
    ("Kinesis", "AddTagsToStream", 5),
    ("Kinesis", "RemoveTagsFromStream", 5),
    ("Kinesis", "ListTagsForStream", 5),
    ("Kinesis", "IncreaseStreamRetentionPeriod", 5),
    ("Kinesis", "DecreaseStreamRetentionPeriod", 5),
    ("Kinesis", "StartStreamEncryption", 5),
    ("Kinesis", "StopStreamEncryption", 5),
    ("Kinesis", "UpdateStreamMode", 5),
    ("Kinesis", "UpdateShardCount", 10),
    ("Kinesis", "DescribeStreamSummary", 20),
    ("IAM", "CreateRole", 5),
    ("IAM", "UpdateRole", 5),
    ("IAM", "UpdateAssumeRolePolicy", 5),
    ("IAM", "TagRole", 5),
    ("IAM", "UntagRole", 5),
    ("IAM", "DeleteRole", 5),
    ("IAM", "PutRolePolicy", 5),
    ("IAM", "DeleteRolePolicy", 5),
    ("IAM", "DetachRolePolicy", 5),
    ("IAM", "CreateInstanceProfile", 5),
    ("IAM", "TagInstanceProfile", 5),
    ("IAM", "UntagInstanceProfile", 5),
    ("IAM", "DeleteInstanceProfile", 5),
    ("IAM", "AddRoleToInstanceProfile", 5),
    ("IAM", "RemoveRoleFromInstanceProfile", 5),
    ("Resource Groups Tagging API", "GetResources", 5),
];

/// Counts and holds back the requests of one set of clients.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<BTreeMap<String, u64>>,
    limits: Mutex<BTreeMap<(&'static str, &'static str), Arc<DefaultDirectRateLimiter>>>,
}

/// What the interceptor tells the connector about a request.
#[derive(Clone)]
struct Operation {
    service: String,
    name: String,
}

impl Meter {
    /// How many requests were sent so far, by operation (such as `Kinesis.CreateStream`), retries included.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.shared.counts).clone()
    }

    /// The SDK's own HTTP client with this meter around it.
    pub(crate) fn http_client(&self) -> SharedHttpClient {
        use aws_smithy_http_client::tls;
        let inner = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .build_https();
        SharedHttpClient::new(MeteredClient { inner, meter: self.clone() })
    }

    /// Names the operation on each request.
    pub(crate) fn interceptor(&self) -> SharedInterceptor {
        SharedInterceptor::new(NameOperation)
    }

    fn limit(&self, operation: &Operation) -> Option<Arc<DefaultDirectRateLimiter>> {
        let (service, name, rate) =
            RATES.iter().find(|(service, name, _)| *service == operation.service && *name == operation.name)?;
        let quota = Quota::per_second(NonZeroU32::new(*rate)?);
        let mut limits = lock(&self.shared.limits);
        Some(limits.entry((service, name)).or_insert_with(|| Arc::new(RateLimiter::direct(quota))).clone())
    }
}

/// A counter is right even if a thread panicked while it held it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `host` is one of AWS's own (partitions `aws`, `aws-us-gov`, `aws-cn`, and the dual-stack domain).
pub(crate) fn is_aws_host(host: &str) -> bool {
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|suffix| host.ends_with(suffix))
}

#[derive(Debug)]
struct NameOperation;

#[dyn_dispatch_hint]
impl Intercept for NameOperation {
    fn name(&self) -> &'static str {
        "NameOperation"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = config.load::<Metadata>() {
            let operation = Operation { service: metadata.service().to_owned(), name: metadata.name().to_owned() };
            context.request_mut().add_extension(operation);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct MeteredClient {
    inner: SharedHttpClient,
    meter: Meter,
}

impl HttpClient for MeteredClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(MeteredConnector { inner, meter: self.meter.clone() })
    }
}

#[derive(Debug)]
struct MeteredConnector {
    inner: SharedHttpConnector,
    meter: Meter,
}

impl HttpConnector for MeteredConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, meter) = (self.inner.clone(), self.meter.clone());
        let Some(operation) = request.extension::<Operation>().cloned() else {
            // Credentials providers call on their own.
            return inner.call(request);
        };
        HttpConnectorFuture::new(async move {
            let host = request.uri().split("://").nth(1).unwrap_or_default();
            let host = host.split(['/', ':', '?']).next().unwrap_or_default();
            if is_aws_host(host)
                && let Some(limit) = meter.limit(&operation)
            {
                limit.until_ready().await;
            }
            *lock(&meter.shared.counts).entry(format!("{}.{}", operation.service, operation.name)).or_default() += 1;
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_aws_hosts_are_held_back() {
        assert!(is_aws_host("kinesis.us-east-1.amazonaws.com"));
        assert!(is_aws_host("s3.cn-north-1.amazonaws.com.cn"));
        assert!(!is_aws_host("127.0.0.1"));
        assert!(!is_aws_host("amazonaws.com.example.org"));
    }

    #[test]
    fn an_operation_has_one_limit_for_all_clients_of_a_meter() {
        let meter = Meter::default();
        let operation = Operation { service: "Kinesis".into(), name: "CreateStream".into() };
        let first = meter.limit(&operation).unwrap();
        assert!(Arc::ptr_eq(&first, &meter.clone().limit(&operation).unwrap()));
        assert!(meter.limit(&Operation { service: "S3".into(), name: "PutObject".into() }).is_none());
    }
}
