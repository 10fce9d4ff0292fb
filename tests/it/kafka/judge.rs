//! Whether the counts of the batch path are those of its tables, once all that was posted has been cleaned.

use std::collections::BTreeMap;

use crate::pipeline::{Pipeline, TABLES};
use crate::streaming::judge::{Counts, counts};

/// Waits until workers tell that all in Kafka is cleaned, and judges. Returns the counts of each table.
pub(super) fn reconciled(pipeline: &Pipeline) -> BTreeMap<String, Counts> {
    let told = pipeline.status_when("cleaned", |status| {
        TABLES.iter().all(|table| {
            let counts = counts(status, "batch", table);
            let at = |name: &str| counts.get(name).copied();
            // An object that was written anew, and shorter, after it had been read is read once more in part.
            at("accepted") <= at("in_kafka") && at("in_kafka") == at("in_s3") && at("in_s3") <= at("read")
        })
    });
    let mut judged = BTreeMap::new();
    for table in TABLES {
        let counts = counts(&told, "batch", table);
        judge(pipeline, table, &counts);
        judged.insert(table.to_owned(), counts);
    }
    judged
}

fn judge(pipeline: &Pipeline, table: &str, counts: &Counts) {
    let count = |name: &str| counts[name];
    assert_eq!(count("emitted"), count("accepted") + count("refused"), "{table}: {counts:?}");
    assert!(count("in_kafka") <= count("accepted") + count("unknown"), "too many in {table}: {counts:?}");
    assert_eq!(count("read"), count("rows") + count("rejected") + count("duplicates"), "{table}: {counts:?}");
    assert!(count("read") - count("in_s3") <= count("duplicates"), "{table}: {counts:?}");
    let rows = pipeline.query_from("batch", &format!("SELECT count(*) AS n FROM {table}"))[0]["n"].as_u64();
    assert_eq!((Some(count("rows")), count("rejected")), (rows, 0), "{table}: {counts:?}");
}
