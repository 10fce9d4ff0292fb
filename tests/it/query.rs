//! `pinfra query` over Delta tables in the S3 of a local cloud.

use deltalake::DeltaTable;
use deltalake::protocol::SaveMode;
use pinfra_workers::clean::Cleaning;
use pinfra_workers::lake::Lake;

use crate::support::{STREAMS, Sandbox};

/// Cleans events and appends them to a table, as the cleaner does.
async fn write(sandbox: &Sandbox, table: &str, events: &[&str]) {
    let bucket = sandbox.ok(&["outputs", "--show", "bucket"]).stdout;
    let config = sandbox.connection().sdk_config().await;
    let lake = Lake::with(bucket.trim(), &config).unwrap();
    let (key, sql) = match table {
        "pin" => ("index", include_str!("../../templates/clean/pin.sql")),
        "geo" => ("ind", include_str!("../../templates/clean/geo.sql")),
        _ => ("ind", include_str!("../../templates/clean/user.sql")),
    };
    let cleaning = Cleaning::new(table, key, sql).await.unwrap();
    let events: Vec<&[u8]> = events.iter().map(|event| event.as_bytes()).collect();
    let rows = cleaning.clean(&events).unwrap().rows;
    let table = DeltaTable::new(lake.log_store(&lake.table_url("stream", table)));
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

    write(&sandbox, "pin", &[r#"{"index": 1, "title": "a, \"b\"", "follower_count": "5k"}"#]).await;
    write(&sandbox, "pin", &[r#"{"index": 2, "title": "No Title Data Available"}"#]).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn every_analysis_has_an_answer_from_delta_tables() {
    let sandbox = Sandbox::new();
    sandbox.write("streams.yaml", STREAMS);
    sandbox.ok(&["up", "streams.yaml"]);
    let pins = [("art", "5k"), ("art", "1M"), ("travel", "7")].iter().enumerate().map(|(index, (category, count))| {
        format!(
            r#"{{"index": {index}, "category": "{category}", "poster_name": "P{index}", "follower_count": "{count}"}}"#
        )
    });
    let geos = (0..3)
        .map(|ind| format!(r#"{{"ind": {ind}, "country": "Aruba", "timestamp": "2018-01-0{}T00:00:00"}}"#, ind + 1));
    let users = (0..3)
        .map(|ind| format!(r#"{{"ind": {ind}, "age": {}, "date_joined": "2016-01-01 00:00:00"}}"#, 20 + 20 * ind));
    let (pins, geos, users): (Vec<String>, Vec<String>, Vec<String>) =
        (pins.collect(), geos.collect(), users.collect());
    for (table, events) in [("pin", pins), ("geo", geos), ("user", users)] {
        write(&sandbox, table, &events.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let answers = [
        ("most-popular-category-by-country", "country,category,category_count\nAruba,art,2\n"),
        ("most-popular-category-by-year", "post_year,category,category_count\n2018,art,2\n"),
        ("most-followed-user-by-country", "country,poster_name,follower_count\nAruba,P1,1000000\n"),
        ("country-of-most-followed-user", "country,follower_count\nAruba,1000000\n"),
        (
            "most-popular-category-by-age-group",
            "age_group,category,category_count\n18-24,art,1\n36-50,art,1\n50+,travel,1\n",
        ),
        (
            "median-follower-count-by-age-group",
            "age_group,median_follower_count\n18-24,5000.0\n36-50,1000000.0\n50+,7.0\n",
        ),
        ("users-joined-by-year", "post_year,number_users_joined\n2016,3\n"),
        ("median-follower-count-by-joining-year", "post_year,median_follower_count\n2016,5000.0\n"),
        (
            "median-follower-count-by-joining-year-and-age-group",
            "age_group,post_year,median_follower_count\n18-24,2016,5000.0\n36-50,2016,1000000.0\n50+,2016,7.0\n",
        ),
    ];
    for (name, answer) in answers {
        assert_eq!(sandbox.ok(&["query", name, "--format", "csv"]).stdout, answer, "{name}");
    }
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
