//! `pinfra query` over Delta tables in the S3 of a local cloud.

use deltalake::DeltaTable;
use deltalake::protocol::SaveMode;
use pinfra_workers::clean::Cleaning;
use pinfra_workers::lake::Lake;

use crate::support::{STREAMS, Sandbox};

/// Cleans events and appends them to the table `pin`, as the cleaner does.
async fn write_pins(sandbox: &Sandbox, events: &[&str]) {
    let bucket = sandbox.ok(&["outputs", "--show", "bucket"]).stdout;
    let config = sandbox.connection().sdk_config().await;
    let lake = Lake::with(bucket.trim(), &config).unwrap();
    let sql = include_str!("../../templates/clean/pin.sql");
    let cleaning = Cleaning::new("pin", "index", sql).await.unwrap();
    let events: Vec<&[u8]> = events.iter().map(|event| event.as_bytes()).collect();
    let rows = cleaning.clean(&events).unwrap().rows;
    let table = DeltaTable::new(lake.log_store(&lake.table_url("stream", "pin")));
    Box::pin(table.write([rows]).with_save_mode(SaveMode::Append).into_future()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lake_is_asked() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);

    let empty = sandbox.run(&["query", "most-popular-category-by-country"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (1, ""));
    assert!(empty.stderr.starts_with("error: table `pin` has no rows yet"), "{}", empty.stderr);

    write_pins(&sandbox, &[r#"{"index": 1, "title": "a, \"b\"", "follower_count": "5k"}"#]).await;
    write_pins(&sandbox, &[r#"{"index": 2, "title": "No Title Data Available"}"#]).await;
    let sql = "SELECT ind, title, follower_count FROM pin ORDER BY ind";
    let table = "\
+-----+--------+----------------+
| ind | title  | follower_count |
+-----+--------+----------------+
| 1   | a, \"b\" | 5000           |
| 2   | null   | null           |
+-----+--------+----------------+
";
    assert_eq!(sandbox.ok(&["query", "--sql", sql]).stdout, table);
    assert_eq!(sandbox.ok(&["query", "pins", "--sql", sql]).stdout, table);
    assert_eq!(sandbox.ok(&["query", "streams.yaml", "--sql", sql]).stdout, table);
    let csv = sandbox.ok(&["query", "--sql", sql, "--format", "csv"]).stdout;
    assert_eq!(csv, "ind,title,follower_count\n1,\"a, \"\"b\"\"\",5000\n2,,\n");
    let json = sandbox.ok(&["query", "--sql", sql, "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let second = serde_json::json!({"ind": 2, "title": null, "follower_count": null});
    assert_eq!(json, serde_json::json!([{"ind": 1, "title": "a, \"b\"", "follower_count": 5000}, second]));
    let events = sandbox.ok(&["query", "--sql", sql, "--json"]).stdout;
    let last: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!(last, serde_json::json!({"event": "row", "row": second}));
    let nothing = sandbox.ok(&["query", "--sql", "SELECT ind FROM pin WHERE false", "--format", "json"]).stdout;
    assert_eq!(nothing, "[]\n");
    let many = sandbox.ok(&["query", "--sql", "SELECT p.value FROM pin, generate_series(1, 5000) AS p(value)"]);
    assert_eq!(many.stdout.lines().count(), 1000 + 4);
    assert!(many.stderr.contains("there are more rows"), "{}", many.stderr);
    let all = "SELECT p.value FROM pin, generate_series(1, 5000) AS p(value)";
    assert_eq!(sandbox.ok(&["query", "--sql", all, "--format", "csv"]).stdout.lines().count(), 10_001);

    let wrong = sandbox.run(&["query", "--sql", "SELECT ind,\n  titel FROM pin"]);
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.stderr.contains("there is no column `titel`") && wrong.stderr.contains("[--sql:2:3]"),
        "{}",
        wrong.stderr
    );
    let change = sandbox.run(&["query", "--sql", "DROP TABLE pin"]);
    assert!(change.code == 1 && change.stderr.contains("the lake is only read"), "{}", change.stderr);
    let nobody = sandbox.run(&["query", "--sql", "SELECT 1 FROM pni"]);
    assert!(nobody.code == 1 && nobody.stderr.contains("did you mean `pin`?"), "{}", nobody.stderr);
}

#[test]
fn analyses_are_listed_and_found() {
    let sandbox = Sandbox::new();
    let listed = sandbox.ok(&["query"]).stdout;
    assert_eq!(listed.lines().count(), 9);
    assert!(listed.contains("What is the most popular category in each country?"), "{listed}");
    let misspelt = sandbox.run(&["query", "user-joined-by-year"]);
    assert_eq!(misspelt.code, 1);
    assert!(misspelt.stderr.contains("did you mean `users-joined-by-year`?"), "{}", misspelt.stderr);

    std::fs::create_dir(sandbox.folder.path().join("questions")).unwrap();
    sandbox.write("questions/users-joined-by-year.sql", "-- Mine.\nSELECT 1 AS one\n");
    sandbox.write("questions/rejected.sql", "SELECT reason, count(*) AS n FROM rejects GROUP BY reason\n");
    sandbox.write("own.yaml", "name: own\nlake: {}\nanalyses: questions\n");
    let listed = sandbox.ok(&["query", "own.yaml"]).stdout;
    assert_eq!(listed.lines().count(), 10);
    assert!(listed.contains("Mine.") && listed.starts_with("rejected\n"), "{listed}");
    let events = sandbox.ok(&["query", "own.yaml", "--json"]).stdout;
    assert!(
        events.starts_with("{\"event\":\"analyses\",\"analyses\":[{\"name\":\"rejected\",\"question\":null}"),
        "{events}"
    );

    let gone = sandbox.run(&["query", "rejected", "own.yaml"]);
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.contains("nothing of it is there"), "{}", gone.stderr);
}
