//! Every request passes here: it is counted, and held back where AWS publishes a rate.
//!
//! An interceptor names the operation on the request, and a connector around the SDK's own one waits and counts, so
//! that the SDK's retries are counted and held back too. A request to an endpoint that is not AWS's is held back where that is
//! asked for ([`Meter::new`]). What is held back when the run of its step is to end is not sent ([`NotSent`]): the step is
//! parked.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, Metadata};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use pinfra_engine::call::halted;

/// What one account and region may send: so many calls in so many seconds, and so many at once.
struct Rate {
    service: &'static str,
    /// One operation, or those that begin so where it ends in `*`: they have the rate together.
    operation: &'static str,
    calls: u32,
    seconds: u32,
    at_once: u32,
}

/// All operations of a service together, whether or not one has a rate of its own besides.
const ALL: &str = "*";

impl Rate {
    fn applies_to(&self, operation: &Operation) -> bool {
        let is_named = match self.operation.strip_suffix('*') {
            Some(beginning) => operation.name.starts_with(beginning),
            None => operation.name == self.operation,
        };
        self.service == operation.service && is_named
    }
}

const fn a_second(service: &'static str, operation: &'static str, calls: u32) -> Rate {
    Rate { service, operation, calls, seconds: 1, at_once: calls }
}

const fn a_bucket(service: &'static str, operation: &'static str, calls: u32, at_once: u32) -> Rate {
    Rate { service, operation, calls, seconds: 1, at_once }
}

const fn one_in(seconds: u32, service: &'static str, operation: &'static str) -> Rate {
    Rate { service, operation, calls: 1, seconds, at_once: 1 }
}

/// Rates that AWS publishes.
///
/// Kinesis: "Quotas and limits" in the Kinesis Data Streams developer guide, and the API reference of each operation.
/// Those without a published rate get the rate of their siblings. The Tagging API's is not published; 5 is what its
/// users report to be safe. Neither are those of IAM, whose writes are few in the whole account: five a second of each
/// stays below what its users saw refused. Nor are those of MSK and MSK Connect, though most of their calls can answer
/// `TooManyRequestsException` (API models); five a second together is far more than a stack needs. API Gateway: "Quotas for creating, deploying and managing an API", developer guide, for
/// regional APIs.
const RATES: &[Rate] = &[
    a_second("Kinesis", "CreateStream", 5),
    a_second("Kinesis", "DeleteStream", 5),
    a_second("Kinesis", "ListStreams", 5),
    a_second("Kinesis", "AddTagsToStream", 5),
    a_second("Kinesis", "RemoveTagsFromStream", 5),
    a_second("Kinesis", "ListTagsForStream", 5),
    a_second("Kinesis", "IncreaseStreamRetentionPeriod", 5),
    a_second("Kinesis", "DecreaseStreamRetentionPeriod", 5),
    a_second("Kinesis", "StartStreamEncryption", 5),
    a_second("Kinesis", "StopStreamEncryption", 5),
    a_second("Kinesis", "UpdateStreamMode", 5),
    a_second("Kinesis", "UpdateShardCount", 10),
    a_second("Kinesis", "DescribeStreamSummary", 20),
    a_second("Resource Groups Tagging API", "GetResources", 5),
    // "Request throttling for the Amazon EC2 API", EC2 developer guide: buckets of 100 that fill by 20 a second for what
    // reads, and of 50 that fill by 5 for what changes something, each operation on its own but for tags.
    a_bucket("EC2", "Describe*", 20, 100),
    a_bucket("EC2", "CreateSecurityGroup", 5, 50),
    a_bucket("EC2", "DeleteSecurityGroup", 5, 50),
    a_bucket("EC2", "AuthorizeSecurityGroup*", 5, 50),
    a_bucket("EC2", "RevokeSecurityGroup*", 5, 50),
    a_bucket("EC2", "ModifySecurityGroupRules", 5, 50),
    a_bucket("EC2", "ImportKeyPair", 5, 50),
    a_bucket("EC2", "DeleteKeyPair", 5, 50),
    a_bucket("EC2", "CreateVpcEndpoint", 5, 50),
    a_bucket("EC2", "ModifyVpcEndpoint", 5, 50),
    a_bucket("EC2", "DeleteVpcEndpoints", 5, 50),
    a_bucket("EC2", "AllocateAddress", 5, 50),
    a_bucket("EC2", "AssociateAddress", 5, 50),
    a_bucket("EC2", "DisassociateAddress", 5, 50),
    a_bucket("EC2", "ReleaseAddress", 5, 50),
    a_bucket("EC2", "RunInstances", 2, 5),
    a_bucket("EC2", "StartInstances", 2, 5),
    a_bucket("EC2", "StopInstances", 5, 50),
    a_bucket("EC2", "TerminateInstances", 5, 50),
    a_bucket("EC2", "ModifyInstanceAttribute", 5, 50),
    a_bucket("EC2", "ModifyInstanceMetadataOptions", 5, 100),
    a_bucket("EC2", "AssociateIamInstanceProfile", 5, 100),
    a_bucket("EC2", "ReplaceIamInstanceProfileAssociation", 5, 50),
    a_bucket("EC2", "CreateTags", 10, 100),
    a_bucket("EC2", "DeleteTags", 10, 100),
    a_bucket("API Gateway", ALL, 10, 40),
    one_in(5, "API Gateway", "CreateDeployment"),
    one_in(3, "API Gateway", "CreateRestApi"),
    one_in(30, "API Gateway", "DeleteRestApi"),
    one_in(1, "API Gateway", "PutRestApi"),
    Rate { service: "API Gateway", operation: "GetResources", calls: 5, seconds: 2, at_once: 5 },
    a_second("API Gateway", "CreateApiKey", 5),
    a_second("API Gateway", "DeleteApiKey", 5),
    one_in(20, "API Gateway", "UpdateUsagePlan"),
    a_bucket("Kafka", ALL, 5, 20),
    a_bucket("KafkaConnect", ALL, 5, 20),
    a_second("IAM", "CreateRole", 5),
    a_second("IAM", "UpdateRole", 5),
    a_second("IAM", "UpdateAssumeRolePolicy", 5),
    a_second("IAM", "TagRole", 5),
    a_second("IAM", "UntagRole", 5),
    a_second("IAM", "DeleteRole", 5),
    a_second("IAM", "PutRolePolicy", 5),
    a_second("IAM", "DeleteRolePolicy", 5),
    a_second("IAM", "DetachRolePolicy", 5),
    a_second("IAM", "CreateInstanceProfile", 5),
    a_second("IAM", "TagInstanceProfile", 5),
    a_second("IAM", "UntagInstanceProfile", 5),
    a_second("IAM", "DeleteInstanceProfile", 5),
    a_second("IAM", "AddRoleToInstanceProfile", 5),
    a_second("IAM", "RemoveRoleFromInstanceProfile", 5),
];

/// Counts and holds back the requests of one set of clients.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether requests to endpoints that are not AWS's are held back, too.
    everywhere: bool,
    counts: Mutex<BTreeMap<String, u64>>,
    limits: Mutex<BTreeMap<(&'static str, &'static str), Arc<DefaultDirectRateLimiter>>>,
}

/// What the interceptor tells the connector about a request.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// As the SDK's metadata names it, such as `API Gateway`.
    pub(crate) service: String,
    /// Such as `GetResources`.
    pub(crate) name: String,
}

impl Meter {
    /// A meter that holds back requests to AWS, and with `everywhere` those to any endpoint.
    pub(crate) fn new(everywhere: bool) -> Meter {
        Meter { shared: Arc::new(Shared { everywhere, ..Shared::default() }) }
    }

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

    /// What a request has to wait for: the rate of its operation, and that of its service.
    fn limits(&self, operation: &Operation) -> Vec<Arc<DefaultDirectRateLimiter>> {
        let mut limits = lock(&self.shared.limits);
        let mut found = Vec::new();
        for rate in RATES.iter().filter(|rate| rate.applies_to(operation)) {
            let Some(quota) = quota(rate) else { continue };
            let limit = limits.entry((rate.service, rate.operation));
            found.push(limit.or_insert_with(|| Arc::new(RateLimiter::direct(quota))).clone());
        }
        found
    }
}

/// A bucket that fills by one in each period, a little smaller and slower than AWS's: requests do not arrive as evenly as
/// they leave. `None` for a rate of nothing, which the table has not.
fn quota(rate: &Rate) -> Option<Quota> {
    let period = Duration::from_secs(rate.seconds.into()).checked_div(rate.calls)?;
    let at_once = NonZeroU32::new(rate.at_once - rate.at_once.min(20) / 5)?;
    Some(Quota::with_period(period + period / 20)?.allow_burst(at_once))
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

/// A request was held back when the run of its step was to end.
#[derive(Debug, thiserror::Error)]
#[error("it was held back by the rate of its operation, and was not sent before the run ended")]
pub(crate) struct NotSent;

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
            if meter.shared.everywhere || is_aws_host(host) {
                for limit in meter.limits(&operation) {
                    tokio::select! {
                        biased;
                        () = limit.until_ready() => {}
                        () = halted() => return Err(ConnectorError::user(NotSent.into())),
                    }
                }
            }
            *lock(&meter.shared.counts).entry(format!("{}.{}", operation.service, operation.name)).or_default() += 1;
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;
    use pinfra_engine::{Address, Call, ErrorKind};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::error::classify;

    /// Answers everything, and counts it.
    #[derive(Clone, Debug, Default)]
    struct Answering(Arc<AtomicU32>);

    impl HttpConnector for Answering {
        fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
            self.0.fetch_add(1, Ordering::Relaxed);
            let status = 200.try_into().unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::empty())))
        }
    }

    fn request(name: &str) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri("https://apigateway.us-east-1.amazonaws.com/restapis/a").unwrap();
        request.add_extension(Operation { service: "API Gateway".into(), name: name.into() });
        request
    }

    #[tokio::test]
    async fn what_is_held_back_is_not_sent_once_the_run_is_to_end() {
        let sent = Answering::default();
        let meter = MeteredConnector { inner: SharedHttpConnector::new(sent.clone()), meter: Meter::default() };
        let park = CancellationToken::new();
        let call = Call::silent(Address::new("test/thing", "a")).parked_by(park.clone(), Arc::new(|| {}));
        call.scope(meter.call(request("DeleteRestApi"))).await.unwrap();
        let since = Instant::now();
        // The second may leave half a minute after the first.
        let (held, ()) = tokio::join!(call.scope(meter.call(request("DeleteRestApi"))), async { park.cancel() });
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        assert_eq!((sent.0.load(Ordering::Relaxed), meter.meter.counts()["API Gateway.DeleteRestApi"]), (1, 1));
        let failed = SdkError::dispatch_failure(held.unwrap_err());
        let error = classify::<ErrorMetadata>("apigateway:DeleteRestApi", &failed);
        assert_eq!((error.kind, error.operation.as_str()), (ErrorKind::Parked, "apigateway:DeleteRestApi"));
        // A step that has begun still sends what need not wait.
        call.scope(meter.call(request("GetStage"))).await.unwrap();
        assert_eq!(sent.0.load(Ordering::Relaxed), 2);
    }

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
        let first = meter.limits(&operation);
        assert!(Arc::ptr_eq(&first[0], &meter.clone().limits(&operation)[0]));
        assert!(meter.limits(&Operation { service: "S3".into(), name: "PutObject".into() }).is_empty());
    }

    #[test]
    fn a_slow_operation_waits_for_its_own_rate_and_for_its_services() {
        let meter = Meter::default();
        let operation = |name: &str| Operation { service: "API Gateway".into(), name: name.into() };
        let delete = meter.limits(&operation("DeleteRestApi"));
        assert_eq!(delete.len(), 2);
        // The first passes, the second would have to wait; the service as a whole lets almost forty through.
        assert!(delete[1].check().is_ok() && delete[1].check().is_err());
        let any = meter.limits(&operation("GetStage"));
        assert_eq!(any.len(), 1);
        assert!((0..36).all(|_| any[0].check().is_ok()) && any[0].check().is_err());
    }

    #[test]
    fn operations_that_share_a_rate_share_its_bucket() {
        let meter = Meter::default();
        let limit = |name: &str| meter.limits(&Operation { service: "EC2".into(), name: name.into() });
        assert!(Arc::ptr_eq(&limit("DescribeInstances")[0], &limit("DescribeSecurityGroups")[0]));
        assert!(!Arc::ptr_eq(&limit("CreateTags")[0], &limit("DeleteTags")[0]));
        assert!(limit("GetConsoleOutput").is_empty());
    }

    #[test]
    fn every_rate_makes_a_bucket() {
        assert!(RATES.iter().all(|rate| quota(rate).is_some()));
    }
}
