//! What is read, run after run.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_workers::batch::{Options, Progress, clean};
use pinfra_workers::clean::Cleaning;
use pinfra_workers::config::CleanedTable;
use pinfra_workers::sample::{Sample, SampleTable};

use crate::world::{Events, TOPIC, World, batches, counted, often, packed, put, put_in, rejects, rows, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_run_reads_what_is_new() {
    let world = World::new();
    let lake = world.lake("lake").await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [0; 6]);
    assert!(lake.open_table(&lake.table_url("batch", "words")).await.unwrap().is_none());
    let first = Events::put(&lake, 0, 500, 20).await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), first.counts);
    first.are_in(&lake).await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [0; 6]);

    let second = Events::put(&lake, 500, 100, 1).await;
    assert_eq!(counted(run(&lake, Options::alone()).await.unwrap()), second.counts);
    let rows = [first.rows, second.rows].concat();
    Events { rows, rejected: first.rejected + second.rejected, counts: [0; 6] }.are_in(&lake).await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_is_a_record() {
    let world = World::new();
    let lake = world.lake("lake").await;
    put(&lake, 0, 0, "{\"index\":1,\"word\":\"a\"}\r\n\nnull\n{\"index\":2,\"wo\n{\"index\":3}").await;
    put(&lake, 0, 5, "").await;
    put(&lake, 0, 6, "{\"index\":4,\"word\":\"\\ud83d\\ude00\"}").await;
    put_in(&lake, "partition=1", 1, 0, &packed("{\"index\":5}\nx\n"), "json.gz").await;
    let damaged = packed(&"{\"index\":6}\n".repeat(50_000));
    put_in(&lake, "partition=1", 1, 2, &damaged[..damaged.len() - 9], "json.gz").await;
    put_in(&lake, "partition=1", 1, 9, b"no gzip at all", "json.gz").await;
    lake.store().put(&Path::parse(format!("topics/{TOPIC}/notes.txt")).unwrap(), "x".into()).await.unwrap();
    let progress = Arc::new(Progress::default());
    let counts = Box::pin(clean(&lake, &crate::world::words(), often(), &progress)).await.unwrap();
    assert_eq!(progress.strangers.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!((counts.objects, counts.rows, counts.read), (6, 5, counts.rows + counts.rejected + counts.duplicates));
    let expected = [(1, "a"), (3, "null"), (4, "😀"), (5, "null"), (6, "null")];
    assert_eq!(rows(&lake).await, expected.map(|(ind, word)| (ind, word.to_owned())));
    let rejects = rejects(&lake).await;
    let reason = |partition: u32, offset: u32, ending: &str, line: u64| {
        let key = format!("topics/{TOPIC}/partition={partition}/{TOPIC}+{partition}+{offset:010}.{ending}");
        rejects[&(key, line)].clone()
    };
    assert_eq!(reason(0, 0, "json", 2), ("an empty record".to_owned(), String::new()));
    assert_eq!(reason(0, 0, "json", 3).0, "a JSON value instead of an object: `null`");
    assert_eq!(reason(0, 0, "json", 4).1, "{\"index\":2,\"wo");
    assert_eq!(reason(1, 0, "json.gz", 2).1, "x");
    assert!(reason(1, 9, "json.gz", 1).0.starts_with("the rest of this object cannot be unpacked"));
    // Of the damaged object, the line that broke off, too.
    assert_eq!((rejects.len(), counts.rejected), (7, 7));
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_grew_is_read_on() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let line = |n: usize| format!("{{\"index\":{n}}}\n");
    put(&lake, 0, 0, &[line(0), line(1)].concat()).await;
    put(&lake, 1, 0, "bad\n").await;
    run(&lake, often()).await.unwrap();
    // Written anew by a sink that was interrupted, with what came since; then it goes on.
    put(&lake, 0, 0, &[line(0), line(1), "bad\n".to_owned(), line(2)].concat()).await;
    put(&lake, 0, 4, &line(4)).await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [2, 3, 2, 1, 0, 0]);
    assert_eq!(rows(&lake).await.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 1, 2, 4]);
    assert_eq!(rejects(&lake).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_became_shorter_is_no_loss_and_what_it_had_is_not_there_twice() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let lines = |of: std::ops::Range<usize>| of.map(|n| format!("{{\"index\":{n}}}\n")).collect::<String>();
    put(&lake, 0, 0, &lines(0..5)).await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [1, 5, 5, 0, 0, 0]);
    // Its offset was not committed, and its time came earlier when it was written anew.
    put(&lake, 0, 0, &lines(0..2)).await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [1, 0, 0, 0, 0, 0]);
    put(&lake, 0, 2, &lines(2..7)).await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [1, 5, 2, 0, 3, 0]);
    assert_eq!(rows(&lake).await.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    // The same, when it has grown beyond what was read.
    put(&lake, 0, 2, &lines(2..3)).await;
    run(&lake, often()).await.unwrap();
    put(&lake, 0, 2, &lines(2..9)).await;
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [1, 2, 2, 0, 0, 0]);
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_by_field_and_by_time_are_chains_of_their_own() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let line = |n: usize| format!("{{\"index\":{n}}}\n");
    let put = async |folder: &str, partition, offset: usize| {
        put_in(&lake, folder, partition, offset, line(offset).as_bytes(), "json").await;
    };
    for (folder, offset) in [("word=Cote d'Ivoire", 0), ("word=a+b & c", 1), ("word=z", 2), ("word=a+b & c", 5)] {
        put(folder, 0, offset).await;
    }
    assert_eq!(counted(run(&lake, often()).await.unwrap())[..3], [4, 4, 4]);
    // Lower offsets than some that were read, in other folders; and another partition in one that is known.
    for (folder, partition, offset) in [("word=b", 0, 3), ("word=Cote d'Ivoire", 0, 4), ("word=z", 1, 7)] {
        put(folder, partition, offset).await;
    }
    assert_eq!(counted(run(&lake, often()).await.unwrap())[..3], [3, 3, 3]);
    assert_eq!(rows(&lake).await.len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_are_cut_and_long_lines_are_rejects() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let mut lines = String::new();
    for n in 0..40_000 {
        lines.push_str(&format!("{{\"index\":{n},\"word\":\"{}\"}}\n", "x".repeat(n % 500)));
    }
    let long = format!("{{\"index\":-1,\"word\":\"{}\"}}\n{{\"index\":-2}}\n", "y".repeat(70 << 20));
    put(&lake, 0, 0, &(lines.clone() + &long)).await;
    put_in(&lake, "partition=1", 1, 0, &packed(&lines), "json.gz").await;
    let counts = run(&lake, Options { commit_bytes: 3 << 20, ..Options::alone() }).await.unwrap();
    assert_eq!(counted(counts), [2, 80_002, 40_001, 1, 40_000, 0]);
    assert_eq!(rows(&lake).await.len(), 40_001);
    let rejects = rejects(&lake).await;
    let ((_, line), (reason, data)) = rejects.first_key_value().unwrap();
    assert_eq!((*line, data.len()), (40_001, 64 << 10));
    assert!(reason.starts_with("truncated JSON"), "{reason}");
}

/// The sample's rows through the batch path are those that cleaning makes of them, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_hold_what_cleaning_makes() {
    const ROWS: u32 = 2_000;
    let world = World::new();
    let lake = world.lake("lake").await;
    let sample = Sample::new(ROWS, 100);
    for (table, name, key, sql) in [
        (SampleTable::Pin, "pin", "index", include_str!("../../../../templates/clean/pin.sql")),
        (SampleTable::Geo, "geo", "ind", include_str!("../../../../templates/clean/geo.sql")),
        (SampleTable::User, "user", "ind", include_str!("../../../../templates/clean/user.sql")),
    ] {
        // Each second one is sent twice, as the emulator does when it draws a row again.
        let events: Vec<String> = (0..ROWS)
            .flat_map(|n| std::iter::repeat_n(n, 1 + n as usize % 2))
            .map(|n| serde_json::Value::Object(sample.row(table, n)).to_string())
            .collect();
        let topic = format!("stack.{name}");
        for (number, chunk) in events.chunks(700).enumerate() {
            let key = format!("topics/{topic}/partition=0/{topic}+0+{:010}.json", number * 700);
            let body = chunk.join("\n") + "\n";
            lake.store().put(&Path::parse(key).unwrap(), body.into()).await.unwrap();
        }
        let cleaned = CleanedTable {
            name: name.to_owned(),
            key: key.to_owned(),
            stream: None,
            topic: Some(topic),
            sql: sql.to_owned(),
        };
        let counts = Box::pin(clean(&lake, &cleaned, Options::alone(), &Arc::default())).await.unwrap();
        assert_eq!(counts.rejected, 0);
        let cleaning = Cleaning::new(name, key, sql).await.unwrap();
        let records: Vec<&[u8]> = events.iter().map(String::as_bytes).collect();
        let expected = texts(&[cleaning.clean(&records).unwrap().rows]);
        let found = texts(&batches(&lake, &lake.table_url("batch", name)).await);
        assert_eq!(found.len() as u64, counts.rows);
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected.into_iter().collect());
    }
}

fn texts(batches: &[arrow::array::RecordBatch]) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(values.join("|"));
        }
    }
    rows
}
