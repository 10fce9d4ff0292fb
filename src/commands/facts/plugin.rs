//! The archive of the connector's plugin: a file of the user, what a URL gives, or the version that is built in.
//!
//! The local cloud runs the S3 sink itself, so on a laptop nothing is fetched: the archive that goes there says so. What
//! was fetched is kept under the state folder, by its URL.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryStreamExt;
use pinfra_aws::Clients;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::files::{absolute, cannot, hash_of};
use super::program::CACHE;
use crate::commands::context::Context;
use crate::expand::PluginFile;
use crate::report::Failure;
use crate::spec::{Connector, Target};

/// The version that is deployed to AWS when the stack file names none, from where Confluent publishes it.
const PINNED: &str = "https://hub-downloads.confluent.io/api/plugins/confluentinc/kafka-connect-s3/versions/10.5.25/confluentinc-kafka-connect-s3-10.5.25.zip";

/// MSK Connect takes no larger archive ("MSK Connect quotas", Amazon MSK developer guide).
const MAX_BYTES: u64 = 500 << 20;

/// A host that cannot be reached, and one that stops sending, are given up after so long.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);

/// What stands in for the archive on the local target.
const LOCAL_NAME: &str = "kafka-connect-s3-local.zip";
const LOCAL_NOTE: &str =
    "The local cloud runs io.confluent.connect.s3.S3SinkConnector itself. This archive stands in for Confluent's.\n";

/// The archive of this connector.
pub(super) async fn plugin(
    context: &Context,
    connector: &Connector,
    target: Target,
    clients: &Clients,
) -> Result<PluginFile, Failure> {
    let folder = absolute(&context.work_dir().join(CACHE).join("plugins"))?;
    let given = connector.plugin.as_ref().map(|plugin| plugin.get().as_str());
    let path = match (given, target) {
        (Some(url), _) if url.starts_with("https://") => fetched(context, &folder, url).await?,
        (Some(url), _) if url.starts_with("s3://") => from_s3(context, &folder, url, clients).await?,
        (Some(path), _) => absolute(Path::new(path))?,
        (None, Target::Local) => stand_in(&folder)?,
        (None, Target::Aws) => pinned(context, &folder).await?,
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(PluginFile { name, sha256: hash_of(&path)?, path })
}

/// The version that is built in. Confluent publishes no checksum beside it, so what came is told.
async fn pinned(context: &Context, folder: &Path) -> Result<PathBuf, Failure> {
    let known = kept(folder, PINNED).exists();
    let path = fetched(context, folder, PINNED).await?;
    if !known {
        context.tell(&format!("the S3 sink came from {PINNED} with the SHA-256 {}", hash_of(&path)?));
    }
    Ok(path)
}

async fn fetched(context: &Context, folder: &Path, url: &str) -> Result<PathBuf, Failure> {
    let path = kept(folder, url);
    if path.exists() {
        return Ok(path);
    }
    context.tell("fetching the connector's plugin");
    let failed = |error: reqwest::Error| {
        Failure::new(format!("cannot fetch the connector's plugin: {}", causes(&error.without_url())))
            .hint("give its path as `connector.plugin`, if this machine has no way there")
    };
    let client = reqwest::Client::builder().https_only(true).connect_timeout(CONNECT).read_timeout(SILENCE);
    let client = client.build().map_err(failed)?;
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let parts = answer.bytes_stream().map_err(|error| std::io::Error::other(causes(&error.without_url())));
    keep(&path, parts).await
}

async fn from_s3(context: &Context, folder: &Path, url: &str, clients: &Clients) -> Result<PathBuf, Failure> {
    let path = kept(folder, url);
    if path.exists() {
        return Ok(path);
    }
    context.tell("fetching the connector's plugin");
    let (bucket, key) = url.trim_start_matches("s3://").split_once('/').unwrap_or_default();
    let answer = clients.s3.get_object().bucket(bucket).key(key).send().await;
    let answer = answer.map_err(|error| pinfra_aws::error::classify("s3:GetObject", &error))?;
    let body = answer.body;
    let parts = futures::stream::try_unfold(body, |mut body| async move {
        Ok(body.try_next().await.map_err(std::io::Error::other)?.map(|part| (part, body)))
    });
    keep(&path, parts).await
}

/// Where what comes from this URL is kept, under the name that it has there.
fn kept(folder: &Path, url: &str) -> PathBuf {
    let name = url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    folder.join(&hex::encode(Sha256::digest(url))[..16]).join(name)
}

/// Writes what comes to `path`, whole or not at all.
async fn keep(
    path: &Path,
    parts: impl futures::Stream<Item = std::io::Result<bytes::Bytes>>,
) -> Result<PathBuf, Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| cannot("make the folder", folder, &error))?;
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let failed = |error: std::io::Error| cannot("write", &part, &error);
    let mut file = tokio::fs::File::create(&part).await.map_err(failed)?;
    let mut parts = std::pin::pin!(parts);
    let mut length = 0;
    let written = async {
        while let Some(bytes) = parts.try_next().await? {
            length += bytes.len() as u64;
            if length > MAX_BYTES {
                return Err(std::io::Error::other(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
            }
            file.write_all(&bytes).await?;
        }
        file.sync_all().await?;
        fs::rename(&part, path)
    };
    if let Err(error) = written.await {
        // Half a file under this name is of no use, and does no harm.
        let _ = fs::remove_file(&part);
        return Err(Failure::new(format!("the connector's plugin did not arrive: {error}")));
    }
    Ok(path.to_owned())
}

/// An archive that is the same whenever it is made.
fn stand_in(folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join(LOCAL_NAME);
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(folder).map_err(|error| cannot("make the folder", folder, &error))?;
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut archive = zip::ZipWriter::new(fs::File::create(&part)?);
        let options = zip::write::SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
        archive.start_file("confluentinc-kafka-connect-s3/README", options)?;
        archive.write_all(LOCAL_NOTE.as_bytes())?;
        archive.finish()?.sync_all()?;
        fs::rename(&part, &path)
    };
    write().map_err(|error| cannot("write", &part, &error))?;
    Ok(path)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(&format!(": {deeper}"));
        cause = deeper.source();
    }
    text
}
