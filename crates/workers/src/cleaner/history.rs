//! What a Delta log says about shards, read in one pass: entries from the newest back to the last checkpoint, and the
//! checkpoint's `txn` column. (deltalake reads the log once for each application's id.)

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use deltalake::logstore::LogStore;
use deltalake::parquet::arrow::ProjectionMask;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use url::Url;

use super::entry::Entry;
use super::error::TableError;

/// Log entries that are fetched at once.
const AT_ONCE: usize = 16;

/// The newest value of every application's id at `version`.
pub(crate) async fn transactions(
    log: &dyn LogStore,
    url: &Url,
    version: u64,
) -> Result<HashMap<String, i64>, TableError> {
    let files = log.object_store(None);
    let checkpoint = last_checkpoint(files.as_ref(), url).await?.filter(|checkpoint| *checkpoint <= version);
    let mut known = match checkpoint {
        Some(checkpoint) => in_checkpoint(files.as_ref(), url, checkpoint).await?,
        None => HashMap::new(),
    };
    let first = checkpoint.map_or(0, |checkpoint| checkpoint + 1);
    let mut entries = futures::stream::iter(first..=version)
        .map(|version| async move { Ok::<_, TableError>((version, entry(log, url, version).await?)) })
        .buffered(AT_ONCE);
    while let Some((version, entry)) = entries.try_next().await? {
        let missing = || TableError::Log { url: url.clone(), why: format!("entry {version} is missing") };
        known.extend(entry.ok_or_else(missing)?.txns);
    }
    Ok(known)
}

/// The entry of one version, if it is there.
pub(crate) async fn entry(log: &dyn LogStore, url: &Url, version: u64) -> Result<Option<Entry>, TableError> {
    let read = log.read_commit_entry(version).await;
    let failed = |source| TableError::Delta { url: url.clone(), doing: "read", source: Box::new(source) };
    let Some(bytes) = read.map_err(failed)? else { return Ok(None) };
    let entry = Entry::parse(&bytes)
        .map_err(|error| TableError::Log { url: url.clone(), why: format!("entry {version}: {error}") })?;
    Ok(Some(entry))
}

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
    parts: Option<u64>,
}

async fn last_checkpoint(files: &dyn ObjectStore, url: &Url) -> Result<Option<u64>, TableError> {
    let bytes = match files.get(&Path::from("_delta_log/_last_checkpoint")).await {
        Ok(found) => found.bytes().await.map_err(|source| TableError::Object { doing: "read", source })?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(TableError::Object { doing: "read", source }),
    };
    let strange = |why: String| TableError::Log { url: url.clone(), why };
    let last: LastCheckpoint =
        serde_json::from_slice(&bytes).map_err(|error| strange(format!("`_last_checkpoint`: {error}")))?;
    if last.parts.is_some() {
        return Err(strange("its checkpoint is in several parts".to_owned()));
    }
    Ok(Some(last.version))
}

async fn in_checkpoint(files: &dyn ObjectStore, url: &Url, version: u64) -> Result<HashMap<String, i64>, TableError> {
    let path = Path::from(format!("_delta_log/{version:020}.checkpoint.parquet"));
    let object = |source| TableError::Object { doing: "read", source };
    let bytes = files.get(&path).await.map_err(object)?.bytes().await.map_err(object)?;
    let strange = |why: &str| TableError::Log { url: url.clone(), why: format!("checkpoint {version}: {why}") };
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| strange(&error.to_string()))?;
    let columns = ProjectionMask::columns(reader.parquet_schema(), ["txn.appId", "txn.version"]);
    let reader = reader.with_projection(columns).build().map_err(|error| strange(&error.to_string()))?;
    let mut known = HashMap::new();
    for batch in reader {
        // A checkpoint without `txn` actions may lack the column.
        collect(&batch?, &mut known).ok_or_else(|| strange("its `txn` column has another form"))?;
    }
    Ok(known)
}

fn collect(batch: &RecordBatch, known: &mut HashMap<String, i64>) -> Option<()> {
    let Some(column) = batch.column_by_name("txn") else { return Some(()) };
    let txn = column.as_struct_opt()?;
    let apps = txn.column_by_name("appId")?;
    let versions = txn.column_by_name("version")?.as_primitive_opt::<Int64Type>()?;
    let apps = arrow::compute::cast(apps, &arrow::datatypes::DataType::Utf8).ok()?;
    let apps = apps.as_string_opt::<i32>()?;
    for row in 0..batch.num_rows() {
        if txn.is_valid(row) && apps.is_valid(row) && versions.is_valid(row) {
            known.insert(apps.value(row).to_owned(), versions.value(row));
        }
    }
    Some(())
}
