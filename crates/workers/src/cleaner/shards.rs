//! Which shards a stream has, and which of them may be read: a child only after its parents, so that a partition key's
//! records are committed in their order.

use std::collections::HashSet;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata};

use super::error::TableError;

/// A shard and what it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
}

/// A stream as it was made. One that is deleted and made again under its name is another one, whose shards have the ids
/// of the old ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) name: String,
    /// When it was made, in milliseconds since 1970.
    pub(crate) made: i64,
    /// How long it keeps records.
    pub(crate) retention_hours: i32,
}

impl Stream {
    /// The stream that has this name now.
    pub(crate) async fn named(kinesis: &Client, name: &str) -> Result<Stream, TableError> {
        let answer = kinesis.describe_stream_summary().stream_name(name).send().await;
        let answer = answer.map_err(|error| failed("DescribeStreamSummary", name, &error))?;
        let summary = answer.stream_description_summary.ok_or_else(|| TableError::Kinesis {
            operation: "DescribeStreamSummary",
            stream: name.to_owned(),
            message: "the answer has no description".to_owned(),
        })?;
        // It comes as seconds with a fraction, which a binary number holds almost exactly.
        let nanos = summary.stream_creation_timestamp.as_nanos();
        let made = i64::try_from((nanos + 500_000).div_euclid(1_000_000)).unwrap_or_default();
        Ok(Stream { name: name.to_owned(), made, retention_hours: summary.retention_period_hours })
    }

    /// It is an error if another stream has its name now.
    pub(crate) async fn is_still_there(&self, kinesis: &Client) -> Result<(), TableError> {
        if Stream::named(kinesis, &self.name).await?.made != self.made {
            return Err(TableError::Remade { stream: self.name.clone() });
        }
        Ok(())
    }
}

/// All shards that still hold records or may take some.
pub(crate) async fn list(kinesis: &Client, stream: &str) -> Result<Vec<Shard>, TableError> {
    let mut shards = Vec::new();
    let mut token: Option<String> = None;
    loop {
        // The token stands for the stream: both together are refused ("ListShards", Kinesis API reference).
        let request = match token.take() {
            Some(token) => kinesis.list_shards().next_token(token),
            None => kinesis.list_shards().stream_name(stream),
        };
        let page = request.send().await.map_err(|error| failed("ListShards", stream, &error))?;
        for shard in page.shards.unwrap_or_default() {
            let parents = [shard.parent_shard_id, shard.adjacent_parent_shard_id];
            shards.push(Shard { id: shard.shard_id, parents: parents.into_iter().flatten().collect() });
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(shards);
        }
    }
}

/// The shards to be read now: not `finished`, and no parent that is still to be read.
pub(crate) fn readable(shards: &[Shard], finished: impl Fn(&str) -> bool) -> Vec<String> {
    let open: HashSet<&str> = shards.iter().map(|shard| shard.id.as_str()).filter(|id| !finished(id)).collect();
    let ready = shards.iter().filter(|shard| open.contains(shard.id.as_str()));
    ready
        .filter(|shard| !shard.parents.iter().any(|parent| open.contains(parent.as_str())))
        .map(|shard| shard.id.clone())
        .collect()
}

/// A failed call to Kinesis, as the report shows it.
pub(crate) fn failed<E>(operation: &'static str, stream: &str, error: &E) -> TableError
where
    E: ProvideErrorMetadata + std::error::Error,
{
    if error.code() == Some("ResourceNotFoundException") {
        return TableError::NoStream { stream: stream.to_owned() };
    }
    let message = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => DisplayErrorContext(error).to_string(),
    };
    TableError::Kinesis { operation, stream: stream.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_wait_for_both_parents() {
        let shard = |id: &str, parents: &[&str]| Shard {
            id: id.to_owned(),
            parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
        };
        // `old` has left the stream already; `merged` came from `a` and `b`.
        let shards = [shard("a", &["old"]), shard("b", &["old"]), shard("merged", &["a", "b"]), shard("c", &[])];
        assert_eq!(readable(&shards, |_| false), ["a", "b", "c"]);
        assert_eq!(readable(&shards, |id| id == "a"), ["b", "c"]);
        assert_eq!(readable(&shards, |id| id == "a" || id == "b"), ["merged", "c"]);
        assert_eq!(readable(&shards, |id| id == "c"), ["a", "b"]);
    }
}
