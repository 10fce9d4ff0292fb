//! The SDK clients of one account and region, found as any SDK program finds them.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use pinfra_engine::{CloudError, ErrorKind};

use crate::error::{classify, unreachable_endpoint};
use crate::look::Look;
use crate::meter::Meter;
use crate::readonly::only_reads;
use crate::retries::Refusals;
use crate::tags::tagged;

/// How long the first look at credentials and endpoint may take in all: a person is waiting for a typo's answer.
const FIRST_LOOK: Duration = Duration::from_millis(4_500);
/// The same for an endpoint that was given, such as the local cloud's: nobody mistypes a region there, and a busy laptop may
/// take long to answer.
const FIRST_LOOK_AT_ENDPOINT: Duration = Duration::from_secs(20);
/// A list that has not answered by then is not waited for to learn the account.
const SOON: Duration = Duration::from_millis(500);
/// Long enough for another continent, short enough to notice that nobody is there.
pub(crate) const CONNECT: Duration = Duration::from_millis(2_000);

/// The services called, as variables `AWS_ENDPOINT_URL_<SERVICE>` name them.
const SERVICES: [&str; 10] = [
    "STS",
    "API_GATEWAY",
    "EC2",
    "IAM",
    "KAFKA",
    "KAFKACONNECT",
    "KINESIS",
    "S3",
    "SSM",
    "RESOURCE_GROUPS_TAGGING_API",
];

/// The variable that asks to keep below AWS's rates at endpoints that are not AWS's own, too: at one that leads there, or
/// that counts as AWS does (`pinfra local start --rates`).
const KEEP_RATES: &str = "PINFRA_KEEP_RATES";

/// The partition of a region, the second part of every ARN in it ("Amazon Resource Names", AWS General Reference).
pub fn partition(region: &str) -> &'static str {
    match region.split('-').take(2).collect::<Vec<_>>().as_slice() {
        ["cn", _] => "aws-cn",
        ["us", "gov"] => "aws-us-gov",
        _ => "aws",
    }
}

/// Where to connect. Without an endpoint, the ordinary SDK configuration decides (profiles, SSO, environment,
/// `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_<SERVICE>`).
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The region, such as `us-east-1`.
    pub region: String,
    /// One endpoint for all services with its credentials, as a local cloud has.
    pub endpoint: Option<Endpoint>,
    /// Where deployed APIs answer when that is not `https://<api>.execute-api.<region>.amazonaws.com`: a base URL, to
    /// which `/<api>/<stage>` is added.
    pub apis: Option<String>,
}

impl Connection {
    /// The same for programs that bring their own clients: region, endpoint and credentials. Nothing is called yet.
    pub async fn sdk_config(&self) -> SdkConfig {
        config(self, &Meter::default()).await
    }
}

/// An endpoint that answers for all services.
#[derive(Clone)]
pub struct Endpoint {
    /// Such as `http://127.0.0.1:4566`.
    pub url: String,
    /// The access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Clients that work: the caller is known.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Amazon API Gateway, REST APIs.
    pub apigateway: aws_sdk_apigateway::Client,
    /// Amazon EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// AWS Identity and Access Management.
    pub iam: aws_sdk_iam::Client,
    /// Amazon MSK.
    pub kafka: aws_sdk_kafka::Client,
    /// Amazon MSK Connect.
    pub kafkaconnect: aws_sdk_kafkaconnect::Client,
    /// Amazon Kinesis.
    pub kinesis: aws_sdk_kinesis::Client,
    /// Amazon S3.
    pub s3: aws_sdk_s3::Client,
    /// AWS Systems Manager, for its public parameters.
    pub ssm: aws_sdk_ssm::Client,
    /// The Resource Groups Tagging API.
    pub tagging: aws_sdk_resourcegroupstagging::Client,
    /// Counts requests and keeps below AWS's rates.
    pub meter: Meter,
    /// The region.
    pub region: String,
    /// The twelve-digit account of the caller.
    pub account: String,
    /// See [`Connection::apis`].
    pub apis: Option<String>,
    /// What all clients are made of, for programs that make others.
    pub sdk: SdkConfig,
    /// The lists that kinds share, where they are read once.
    pub(crate) look: Option<Arc<Look>>,
}

impl Clients {
    /// Finds credentials, asks the cloud who we are and makes the clients. What is wrong with credentials, region or
    /// endpoint is said here, within five seconds.
    pub async fn connect(connection: &Connection) -> Result<Clients, CloudError> {
        let meter = Meter::new(std::env::var_os(KEEP_RATES).is_some());
        let config = config(connection, &meter).await;
        let account = account(&config, connection, &meter).await?;
        Ok(Clients::of(config, connection, meter, account))
    }

    /// The same with clients that cannot write: what is no read ends before it leaves.
    pub async fn connect_read_only(connection: &Connection) -> Result<Clients, CloudError> {
        let mut clients = Clients::read_only(connection, "").await;
        clients.account = clients.ask_account(connection).await?;
        Ok(clients)
    }

    /// Clients that cannot write, before it is known who the caller is: `account` is the one that is expected, and
    /// [`Clients::ask_account`] tells the one that it is.
    pub async fn read_only(connection: &Connection, account: &str) -> Clients {
        let meter = Meter::new(std::env::var_os(KEEP_RATES).is_some());
        let config = config(connection, &meter).await;
        let reading = config.into_builder().http_client(only_reads(meter.http_client())).build();
        Clients::of(reading, connection, meter, account.to_owned())
    }

    /// The account of the caller as a look tells it without a request of its own: the Tagging API lists what is in the
    /// caller's account, and ARNs name it. Where nothing is listed, or not soon, STS is asked. What is wrong with
    /// credentials, region or endpoint is said as by [`Clients::ask_account`].
    pub async fn listed_account(&self, connection: &Connection) -> Result<String, CloudError> {
        let Some(look) = &self.look else { return self.ask_account(connection).await };
        look_around(&self.sdk, connection).await?;
        let listed = tokio::time::timeout(SOON, tagged(self, &look.stack)).await;
        let listed = listed.ok().and_then(Result::ok);
        let account = |arn: &String| arn.split(':').nth(4).filter(|account| !account.is_empty()).map(str::to_owned);
        match listed.and_then(|listed| listed.keys().find_map(account)) {
            Some(account) => Ok(account),
            None => self.ask_account(connection).await,
        }
    }

    /// The account of the caller. What is wrong with credentials, region or endpoint is said within five seconds.
    pub async fn ask_account(&self, connection: &Connection) -> Result<String, CloudError> {
        account(&self.sdk, connection, &self.meter).await
    }

    fn of(config: SdkConfig, connection: &Connection, meter: Meter, account: String) -> Clients {
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::config::Builder::from(&config)
                        .interceptor(meter.interceptor())
                        .retry_classifier(Refusals)
                        .build(),
                )
            };
        }
        Clients {
            apigateway: client!(aws_sdk_apigateway),
            ec2: client!(aws_sdk_ec2),
            iam: client!(aws_sdk_iam),
            kafka: client!(aws_sdk_kafka),
            kafkaconnect: client!(aws_sdk_kafkaconnect),
            kinesis: client!(aws_sdk_kinesis),
            s3: client!(aws_sdk_s3),
            ssm: client!(aws_sdk_ssm),
            tagging: client!(aws_sdk_resourcegroupstagging),
            meter,
            region: connection.region.clone(),
            account,
            apis: connection.apis.clone(),
            sdk: config,
            look: None,
        }
    }
}

async fn config(connection: &Connection, meter: &Meter) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(Duration::from_secs(60)).build();
    let region = Region::new(connection.region.clone());
    let retries = RetryConfig::standard().with_max_attempts(8);
    let Some(Endpoint { url, access_key, secret_key }) = &connection.endpoint else {
        let loader = aws_config::defaults(BehaviorVersion::latest()).region(region).http_client(meter.http_client());
        return loader.retry_config(retries).timeout_config(timeouts).load().await;
    };
    // Made without the environment: a profile or a variable of the user's must not send a request elsewhere.
    let credentials = Credentials::new(access_key, secret_key, None, None, "pinfra");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(meter.http_client())
        .retry_config(retries.with_initial_backoff(Duration::from_millis(50)))
        .timeout_config(timeouts)
        .build()
}

/// The account of the caller, or what is wrong, soon enough for a person who waits.
async fn account(config: &SdkConfig, connection: &Connection, meter: &Meter) -> Result<String, CloudError> {
    let limit = if connection.endpoint.is_some() { FIRST_LOOK_AT_ENDPOINT } else { FIRST_LOOK };
    if let Ok(looked) = tokio::time::timeout(limit, first_look(config, connection, meter)).await {
        return looked;
    }
    let region = &connection.region;
    let message = format!("no answer within {} s in region `{region}`", limit.as_secs_f32());
    let error = CloudError::new(ErrorKind::Unreachable, "sts:GetCallerIdentity", message);
    Err(error.with_hint(format!(
        "check the network and that `{region}` is a region of your account; a proxy or a firewall may hold the request"
    )))
}

/// Who the caller is: the account.
async fn first_look(config: &SdkConfig, connection: &Connection, meter: &Meter) -> Result<String, CloudError> {
    look_around(config, connection).await?;
    // Trouble that passes is no reason to end a run that has hardly begun; the limit on the clock is the caller's.
    let quick = aws_sdk_sts::config::Builder::from(config)
        .retry_config(RetryConfig::standard().with_max_attempts(6).with_initial_backoff(Duration::from_millis(50)))
        .interceptor(meter.interceptor());
    let identity = aws_sdk_sts::Client::from_conf(quick.build()).get_caller_identity().send().await;
    let identity = identity.map_err(|error| classify("sts:GetCallerIdentity", &error))?;
    identity.account.ok_or_else(|| {
        CloudError::new(ErrorKind::Other, "sts:GetCallerIdentity", "the answer does not say which account this is")
    })
}

/// Whether there are credentials, and somebody at the endpoints.
async fn look_around(config: &SdkConfig, connection: &Connection) -> Result<(), CloudError> {
    endpoints_answer(config, connection.endpoint.is_some()).await?;
    if connection.endpoint.is_none() {
        find_credentials(config).await.map_err(|error| {
            let hint = error.hint.clone().unwrap_or_default();
            error.with_hint(format!("{hint}; `--target local` needs none"))
        })?;
    }
    Ok(())
}

pub(crate) async fn find_credentials(config: &SdkConfig) -> Result<(), CloudError> {
    let profile = std::env::var("AWS_PROFILE")
        .ok()
        .map(|name| format!("AWS_PROFILE is `{name}`: is it in your AWS configuration? "));
    let hint = format!(
        "{}run `aws configure` or `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        profile.unwrap_or_default()
    );
    let none = |message: String| {
        CloudError::new(ErrorKind::Credentials, "no AWS credentials were found", message).with_hint(hint.clone())
    };
    let Some(provider) = config.credentials_provider() else {
        return Err(none("no place to look for them is configured".to_owned()));
    };
    // The last place looked at is the metadata service of an EC2 machine, which a laptop waits for in vain.
    match tokio::time::timeout(Duration::from_secs(3), provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            // The outer errors only say that loading failed.
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            Err(none(format!("the last place looked at said: {cause}")))
        }
        Err(_) => Err(none("the last place looked at did not answer within 3 s".to_owned())),
    }
}

/// Whether somebody listens at every endpoint that was set by hand. The SDK would retry for a minute.
/// An endpoint that was handed over (`made_here`) leaves the environment out of it.
pub(crate) async fn endpoints_answer(config: &SdkConfig, made_here: bool) -> Result<(), CloudError> {
    let mut urls: Vec<(String, String)> = Vec::new();
    if let Some(url) = config.endpoint_url() {
        urls.push(("AWS_ENDPOINT_URL".to_owned(), url.to_owned()));
    }
    for service in SERVICES {
        let name = format!("AWS_ENDPOINT_URL_{service}");
        if !made_here && let Ok(url) = std::env::var(&name) {
            urls.push((name, url));
        }
    }
    for (name, url) in urls {
        let Some(address) = host_and_port(&url) else {
            let message = format!("`{url}` is not a URL such as `http://127.0.0.1:4566`");
            return Err(CloudError::new(ErrorKind::Invalid, name, message));
        };
        match tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(&address)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(unreachable_endpoint(&url, &error.to_string())),
            Err(_) => return Err(unreachable_endpoint(&url, "no answer within 2 s")),
        }
    }
    Ok(())
}

fn host_and_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let has_port = authority.rsplit_once(':').is_some_and(|(host, p)| p.parse::<u16>().is_ok() && !host.is_empty());
    Some(if has_port { authority.to_owned() } else { format!("{authority}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_a_port() {
        assert_eq!(host_and_port("http://127.0.0.1:4566/").as_deref(), Some("127.0.0.1:4566"));
        assert_eq!(host_and_port("https://example.org/x").as_deref(), Some("example.org:443"));
        assert_eq!(host_and_port("http://[::1]:80").as_deref(), Some("[::1]:80"));
        assert_eq!(host_and_port("127.0.0.1:4566"), None);
    }
}
