//! Everything made anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pinfra_workers::batch::{Options, Progress, clean};

use crate::together::committed;
use crate::world::{Events, TOPIC, World, counted, often, put, rejects, rows, run, words};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_positions_and_counts_are_replaced_at_once() {
    let world = World::new();
    let lake = world.lake("lake").await;
    let full = Options { full: true, ..often() };
    let error = run(&lake, full).await.unwrap_err();
    let message = std::error::Error::source(&error).unwrap().to_string();
    assert!(message.contains(&format!("no objects under `topics/{TOPIC}/`")), "{message}");

    let events = Events::put(&lake, 0, 300, 20).await;
    run(&lake, often()).await.unwrap();
    // The first object is written anew with something else, and one is gone: a run that adds does not see it.
    put(&lake, 0, 0, "{\"index\":-7,\"word\":\"new\"}\nbad\n").await;
    let gone = format!("topics/{TOPIC}/partition=2/{TOPIC}+2+0000000040.json");
    lake.store().delete(&Path::parse(gone).unwrap()).await.unwrap();
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [0; 6]);
    events.are_in(&lake).await;

    // All the while somebody reads: the table is never less than whole.
    let done = Arc::new(AtomicBool::new(false));
    let (watched, watching) = (lake.clone(), done.clone());
    let watcher = tokio::spawn(async move {
        let mut sizes = std::collections::BTreeSet::new();
        while !watching.load(Ordering::Relaxed) {
            sizes.insert(rows(&watched).await.len());
        }
        sizes
    });
    let counts = run(&lake, full).await.unwrap();
    done.store(true, Ordering::Relaxed);
    let expected: Vec<(i32, String)> = std::iter::once((-7, "new".to_owned()))
        .chain(events.rows.iter().filter(|row| row.0 >= 60 || (20..40).contains(&row.0)).cloned())
        .collect();
    assert_eq!(rows(&lake).await, expected);
    let sizes = watcher.await.unwrap();
    assert!(sizes.iter().all(|size| [events.rows.len(), expected.len()].contains(size)), "{sizes:?}");
    assert_eq!(counts.read, 300 - 40 + 2);
    assert_eq!(committed(&lake).await[..2], [counts.read, counts.rows]);
    // What was rejected before stays and is not there twice; what is rejected only now is there.
    assert_eq!(rejects(&lake).await.len(), events.rejected + 1);
    let second = "{\"index\":-7,\"word\":\"new\"}\nbad\nbad\n";
    put(&lake, 0, 0, second).await;
    run(&lake, full).await.unwrap();
    assert_eq!(rejects(&lake).await.len(), events.rejected + 2);
    assert_eq!(counted(run(&lake, often()).await.unwrap()), [0; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sql_of_the_same_columns_makes_other_rows() {
    let world = World::new();
    let lake = world.lake("lake").await;
    put(&lake, 0, 0, "{\"index\":1,\"word\":\"a\"}\n{\"index\":2,\"word\":\"b\"}\n").await;
    run(&lake, often()).await.unwrap();
    let mut table = words();
    table.sql = "-- reads: index, word\nSELECT parse_int(index) AS ind, upper(word) AS word FROM events".to_owned();
    let full = Options { full: true, ..often() };
    Box::pin(clean(&lake, &table, full, &Arc::new(Progress::default()))).await.unwrap();
    assert_eq!(rows(&lake).await, [(1, "A".to_owned()), (2, "B".to_owned())]);
    // Other columns would be another table.
    table.sql = "-- reads: index\nSELECT parse_int(index) AS ind FROM events".to_owned();
    let error = Box::pin(clean(&lake, &table, full, &Arc::new(Progress::default()))).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("column `word`"));
}
