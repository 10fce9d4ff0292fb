//! Where the states of stacks are kept in S3: a bucket and a folder in it, one folder below it a stack.
//!
//! The bucket is found as any SDK program finds it (profiles, SSO, environment, `AWS_ENDPOINT_URL`), wherever the stacks
//! themselves live, and its region is asked of S3.

use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::BucketVersioningStatus;
use futures::join;
use pinfra_engine::{CloudError, ErrorKind};

use super::background::Background;
use super::location::Location;
use super::objects::Objects;
use super::shelf::S3Shelf;
use crate::clients::{CONNECT, Connection, endpoints_answer, find_credentials};
use crate::error::classify;
use crate::meter::is_aws_host;

/// S3 tells the region of a bucket from here, whichever it is.
const FIRST_REGION: &str = "us-east-1";
/// How long one try of a request may take: a lease has to be renewed within 30 s.
const ATTEMPT: Duration = Duration::from_secs(8);
/// How long a request may take with all of its tries.
const OPERATION: Duration = Duration::from_secs(25);

/// A bucket and a folder in it that hold the states of stacks.
#[derive(Clone, Debug)]
pub struct S3Home {
    location: Location,
    objects: Objects,
    background: Arc<Background>,
}

impl S3Home {
    /// Looks for the bucket. What is wrong with credentials, endpoint, bucket or permissions is said here.
    pub fn open(location: Location) -> Result<S3Home, CloudError> {
        let background = start(&location)?;
        let bucket = location.bucket.clone();
        let client = background.wait(async move { Box::pin(connect(bucket)).await });
        Ok(S3Home::of(client.map_err(|error| explained(error, &location))?, location, background))
    }

    /// The same over a client that there is already, and that nobody else uses: its connections end with this. Whether there
    /// is such a bucket shows when it is used.
    pub fn over(client: Client, location: Location) -> Result<S3Home, CloudError> {
        let background = start(&location)?;
        Ok(S3Home::of(client, location, background))
    }

    fn of(client: Client, location: Location, background: Background) -> S3Home {
        let objects = Objects { client, bucket: location.bucket.clone() };
        S3Home { location, objects, background: Arc::new(background) }
    }

    /// The bucket and the folder.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The shelf of one stack.
    pub fn shelf(&self, stack: &str) -> S3Shelf {
        S3Shelf::new(self.clone(), stack)
    }

    /// The names of the folders, each of which may hold the state of a stack, in order.
    pub fn folders(&self) -> Result<Vec<String>, CloudError> {
        let (objects, folder) = (self.objects.clone(), self.location.folder());
        self.wait(async move { objects.folders(&folder).await })
    }

    /// What people should know of the bucket before they trust it with state. What cannot be asked is left out.
    pub fn concerns(&self) -> Vec<String> {
        let (objects, location) = (self.objects.clone(), self.location.clone());
        let asked = self.wait(async move { Ok(Box::pin(concerns(&objects, &location)).await) });
        asked.unwrap_or_default()
    }

    /// Waits for a call, and says of its failure what it means for state.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, CloudError>> + Send + 'static,
    ) -> Result<T, CloudError> {
        self.background.wait(work).map_err(|error| explained(error, &self.location))
    }

    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }
}

fn start(location: &Location) -> Result<Background, CloudError> {
    let failed = |error| format!("cannot start a thread: {error}");
    let started = Background::start().map_err(failed);
    started.map_err(|why| CloudError::new(ErrorKind::Other, format!("reaching `{location}`"), why))
}

/// A client in the bucket's region.
async fn connect(bucket: String) -> Result<Client, CloudError> {
    // Not the metadata service of EC2, which a laptop waits for in vain: S3 knows the region anyway.
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(Region::new(FIRST_REGION));
    let region = region.region().await.map_or_else(|| FIRST_REGION.to_owned(), |region| region.to_string());
    let config = Connection { region: region.clone(), ..Connection::default() }.sdk_config().await;
    endpoints_answer(&config, false).await?;
    find_credentials(&config).await?;
    let first = client(&config, &region);
    match region_of(&first, &bucket).await? {
        Some(other) if other != region => Ok(client(&config, &other)),
        _ => Ok(first),
    }
}

fn client(config: &SdkConfig, region: &str) -> Client {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT);
    // Stores other than AWS's seldom have a host name for each bucket.
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok().or_else(|| config.endpoint_url().map(str::to_owned));
    let is_elsewhere = endpoint.is_some_and(|url| !is_aws_host(host(&url)));
    let builder = aws_sdk_s3::config::Builder::from(config).region(Region::new(region.to_owned()));
    let builder = builder.timeout_config(timeouts.operation_timeout(OPERATION).build());
    Client::from_conf(builder.force_path_style(is_elsewhere).build())
}

/// The region of the bucket, where the store has regions. A bucket of another region answers 301, and says in a header which
/// that is ("HeadBucket", S3 API reference).
async fn region_of(client: &Client, bucket: &str) -> Result<Option<String>, CloudError> {
    let error = match client.head_bucket().bucket(bucket).send().await {
        Ok(answer) => return Ok(answer.bucket_region),
        Err(error) => error,
    };
    let header = error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region"));
    let moved = error.raw_response().is_some_and(|answer| matches!(answer.status().as_u16(), 301 | 307 | 400));
    match header {
        Some(region) if moved => Ok(Some(region.to_owned())),
        _ => Err(classify("s3:HeadBucket", &error)),
    }
}

async fn concerns(objects: &Objects, location: &Location) -> Vec<String> {
    let Objects { client, bucket } = objects;
    let versioning = client.get_bucket_versioning().bucket(bucket).send();
    let public = client.get_bucket_policy_status().bucket(bucket).send();
    let (versioning, public) = join!(versioning, public);
    let mut concerns = Vec::new();
    if versioning.is_ok_and(|answer| answer.status != Some(BucketVersioningStatus::Enabled)) {
        concerns.push(format!(
            "the bucket of `{location}` keeps no old versions, so state that is overwritten or deleted by mistake is gone: \
             turn versioning on"
        ));
    }
    if public.is_ok_and(|answer| answer.policy_status.is_some_and(|status| status.is_public == Some(true))) {
        concerns.push(format!(
            "the policy of the bucket of `{location}` lets the public in: state tells what a stack is made of"
        ));
    }
    concerns
}

/// The error with what it means and what to do about it.
fn explained(mut error: CloudError, location: &Location) -> CloudError {
    let (bucket, folder) = (&location.bucket, location.folder());
    let hint = match error.kind {
        ErrorKind::NotFound if error.message.is_empty() => {
            error.message = format!("there is no bucket `{bucket}`");
            Some(
                "make it, private and with versioning, and run the command again; pinfra does not make buckets for state",
            )
        }
        ErrorKind::NotFound => Some("make it, private and with versioning; pinfra does not make buckets for state"),
        ErrorKind::Permission => {
            error.hint = Some(format!(
                "state in S3 needs `s3:GetObject`, `s3:PutObject` and `s3:DeleteObject` on `arn:aws:s3:::{bucket}/{folder}*`, \
                 `s3:ListBucket` on `arn:aws:s3:::{bucket}`, and the use of the bucket's KMS key where it has one; \
                 a bucket of somebody else's answers the same"
            ));
            None
        }
        _ => None,
    };
    error.hint = hint.map(str::to_owned).or(error.hint);
    error
}

/// The host of a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':', '?']).next().unwrap_or_default()
}
