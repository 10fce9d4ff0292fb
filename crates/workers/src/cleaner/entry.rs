//! One entry of a Delta log, as far as the cleaner cares: what became known of shards, and which files came.

use serde::Deserialize;
use serde_json::Value;

/// The field of `commitInfo` that names the attempt, by which a commit of unknown outcome is recognised.
pub(crate) const BATCH_FIELD: &str = "pinfraBatch";

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Which of our attempts it was, if it was one.
    pub(crate) batch: Option<String>,
    /// Its `txn` actions.
    pub(crate) txns: Vec<(String, i64)>,
    /// Paths of the files that brought new rows, as they stand in the log.
    pub(crate) added: Vec<String>,
    /// Rows went, or the table became another one: what was derived from it before is void.
    pub(crate) reshaped: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    commit_info: Option<Value>,
    txn: Option<Txn>,
    add: Option<File>,
    remove: Option<File>,
    meta_data: Option<serde::de::IgnoredAny>,
    protocol: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    path: String,
    /// The protocol's default for `remove` is `true` too.
    #[serde(default = "yes")]
    data_change: bool,
}

fn yes() -> bool {
    true
}

impl Entry {
    /// Reads the JSON lines of a commit.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Entry, serde_json::Error> {
        let mut entry = Entry::default();
        for action in serde_json::Deserializer::from_slice(bytes).into_iter::<Action>() {
            let action = action?;
            if let Some(info) = action.commit_info {
                entry.batch = info[BATCH_FIELD].as_str().map(str::to_owned);
            }
            if let Some(txn) = action.txn {
                entry.txns.push((txn.app_id, txn.version));
            }
            if let Some(file) = action.add
                && file.data_change
            {
                entry.added.push(file.path);
            }
            entry.reshaped |= action.remove.is_some_and(|file| file.data_change);
            entry.reshaped |= action.meta_data.is_some() || action.protocol.is_some();
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read() {
        let entry = Entry::parse(
            br#"{"commitInfo":{"operation":"WRITE","pinfraBatch":"b1"}}
{"txn":{"appId":"a","version":7,"lastUpdated":1}}
{"add":{"path":"new.parquet","dataChange":true,"size":1}}
{"add":{"path":"merged.parquet","dataChange":false}}
{"remove":{"path":"small.parquet","dataChange":false}}
"#,
        )
        .unwrap();
        let expected = Entry {
            batch: Some("b1".into()),
            txns: vec![("a".into(), 7)],
            added: vec!["new.parquet".into()],
            reshaped: false,
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn rows_that_go_and_a_new_schema_reshape() {
        for line in [r#"{"remove":{"path":"a"}}"#, r#"{"metaData":{"id":"1"}}"#, r#"{"protocol":{}}"#] {
            assert!(Entry::parse(line.as_bytes()).unwrap().reshaped, "{line}");
        }
        assert!(Entry::parse(b"{\"txn\"").is_err());
    }
}
