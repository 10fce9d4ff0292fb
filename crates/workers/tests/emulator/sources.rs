//! An SQLite source, from the lake bucket of a local cloud; a MySQL source, when there is one; authentication.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use pinfra_local::{LocalCloud, Settings};
use pinfra_workers::config::{ApiAuth, EmulatorConfig, Source};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::api::{Act, Api};
use super::{Emulator, all, child, config, reconciles, table};

/// A database of two tables. Their keys have gaps, and 3, 5 and 9 in common.
async fn database(file: &Path) {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let sql = r#"
        CREATE TABLE pinterest_data ("index" INTEGER, title TEXT, rating REAL, seen DATETIME, note TEXT);
        INSERT INTO pinterest_data VALUES
            (1, 'one', 1.5, '2020-08-28 03:52:47', NULL), (3, 'Ünï – 🌞', -89.9787, '2020-08-28 03:52:47.000000', '2020-08-28 03:52:47'),
            (5, '', 1e300, NULL, 'a' || char(10) || '"b"'), (9, 'nine', 3, 'no date', '');
        CREATE TABLE geolocation_data (ind BIGINT, country TEXT);
        INSERT INTO geolocation_data VALUES (0, 'Albania'), (3, 'Cote d''Ivoire'), (5, NULL), (9, 'Korea'), (11, 'Aruba');
        CREATE TABLE blobs (ind INTEGER, picture BLOB);
        INSERT INTO blobs VALUES (0, x'00ff');
        CREATE TABLE words (ind TEXT);
        INSERT INTO words VALUES ('a');
    "#;
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

/// A config whose source file lies in the folder already, as after a restart.
async fn with_file(api: &Api, folder: &Path, count: u64) -> EmulatorConfig {
    let file = folder.join("new.sqlite");
    database(&file).await;
    let sha256 = hex::encode(Sha256::digest(std::fs::read(&file).unwrap()));
    std::fs::rename(&file, folder.join(format!("source-{sha256}.sqlite"))).unwrap();
    let source = Source::Sqlite { bucket: "lake".into(), key: "k".into(), sha256 };
    let tables = vec![table("pin", "index", "pinterest_data"), table("geo", "ind", "geolocation_data")];
    EmulatorConfig { source, tables, ..config(&api.url, count) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_database_are_posted_as_they_are() {
    let (api, folder) = (Api::start(|_| Act::Take).await, tempfile::tempdir().unwrap());
    let emulator = Emulator::start(with_file(&api, folder.path(), 400).await, folder.path());
    let report = emulator.done().await;
    reconciles(&report, &api);
    let rows = api.rows();
    let found = |stream: &str| rows[stream].keys().cloned().collect::<Vec<_>>();
    let expected = |rows: [serde_json::Value; 3]| {
        let mut rows = rows.map(|row| row.to_string());
        rows.sort();
        rows.to_vec()
    };
    let pins = [
        json!({"index": 3, "title": "Ünï – 🌞", "rating": -89.9787, "seen": "2020-08-28T03:52:47", "note": "2020-08-28 03:52:47"}),
        json!({"index": 5, "title": "", "rating": 1e300, "seen": null, "note": "a\n\"b\""}),
        json!({"index": 9, "title": "nine", "rating": 3.0, "seen": "no date", "note": ""}),
    ];
    assert_eq!(found("streaming-pin"), expected(pins));
    let places = [
        json!({"ind": 3, "country": "Cote d'Ivoire"}),
        json!({"ind": 5, "country": null}),
        json!({"ind": 9, "country": "Korea"}),
    ];
    assert_eq!(found("streaming-geo"), expected(places));
    emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_database_is_said() {
    let (api, folder) = (Api::start(|_| Act::Take).await, tempfile::tempdir().unwrap());
    let right = with_file(&api, folder.path(), 10).await;
    for (wrong, expected) in [
        (table("pin", "index", "pins"), "the source has no table `pins`"),
        (table("pin", "ind", "pinterest_data"), "table `pinterest_data` of the source has no column `ind`"),
        (table("pin", "ind", "words"), "the keys `ind` of table `words` are not whole numbers"),
        (table("pin", "ind", "blobs"), "column `picture` of table `blobs` is `BLOB`, which has no JSON form"),
    ] {
        let config = EmulatorConfig { tables: vec![wrong], ..right.clone() };
        let emulator = Emulator::start(config, folder.path());
        let report = emulator.until("failing", |report| report.last_error.is_some()).await;
        let message = report.last_error.unwrap().message;
        assert!(message.contains(expected), "{message}");
        emulator.stop().await;
    }
    assert_eq!(api.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_fetched_from_the_lake() {
    let (api, folder, state) =
        (Api::start(|_| Act::Take).await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let local = LocalCloud::start(Settings::new(state.path())).unwrap();
    let credentials =
        aws_credential_types::Credentials::new(local.access_key(), local.secret_key(), None, None, "test");
    let s3 = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::Config::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .endpoint_url(local.endpoint())
            .credentials_provider(credentials)
            .build(),
    );
    s3.create_bucket().bucket("lake").send().await.unwrap();
    let file = state.path().join("new.sqlite");
    database(&file).await;
    let content = std::fs::read(&file).unwrap();
    let sha256 = hex::encode(Sha256::digest(&content));
    s3.put_object().bucket("lake").key("sources/db").body(content.into()).send().await.unwrap();
    let environment = [
        ("AWS_ENDPOINT_URL", local.endpoint()),
        ("AWS_ACCESS_KEY_ID", local.access_key()),
        ("AWS_SECRET_ACCESS_KEY", local.secret_key()),
    ];
    let source = Source::Sqlite { bucket: "lake".into(), key: "sources/db".into(), sha256: sha256.clone() };
    let tables = vec![table("pin", "index", "pinterest_data")];
    let config = EmulatorConfig { source, tables, ..config(&api.url, 50) };
    let report = child::start(&config, folder.path(), &environment).report(folder.path()).await;
    reconciles(&report, &api);
    assert_eq!(all(&report, "accepted"), 50);
    assert!(folder.path().join(format!("source-{sha256}.sqlite")).exists());
    local.stop().await;
}

/// Run by `tests/interop/test_mariadb.py`, which starts a server with TLS and makes the user, who may do anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the MariaDB that `tests/interop/test_mariadb.py` starts"]
async fn rows_of_mysql_are_posted_as_they_are() {
    let url = std::env::var("EMULATOR_MYSQL_URL").expect("`tests/interop/test_mariadb.py` sets it");
    let mut admin = sqlx::mysql::MySqlConnectOptions::from_str(&url).unwrap().connect().await.unwrap();
    let sql = "
        DROP TABLE IF EXISTS pinterest_data, geolocation_data, blobs;
        CREATE TABLE pinterest_data (`index` BIGINT, title TEXT, big BIGINT UNSIGNED, exact DECIMAL(30,4), price DECIMAL(8,2),
            yes BIT(3), kind ENUM('a', 'b'), doc JSON, day DATE, `od``d` DOUBLE, fine DATETIME(6)) CHARSET utf8mb4;
        INSERT INTO pinterest_data VALUES
            (0, 'Ünï – 🌞', 18446744073709551615, 12345678901234567890.1234, 12.50, b'101', 'b', '{\"a\": [1, null]}',
                '2020-08-28', 0.30000000000000004, '2020-08-28 03:52:47.25'),
            (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (2, '', 0, 0, 0, 0, 'a', NULL, NULL, -1e300, NULL);
        CREATE TABLE geolocation_data (ind BIGINT, timestamp DATETIME, latitude FLOAT, longitude FLOAT, country TEXT);
        INSERT INTO geolocation_data VALUES (2, '2022-01-01 02:26:50', -89.5236, -154.567, 'Cocos (Keeling) Islands'),
            (0, '2020-08-28 03:52:47', -89.9787, -173.293, 'Albania'), (1, NULL, 0.1, 1e-7, NULL), (3, NULL, NULL, NULL, NULL);
        CREATE TABLE blobs (ind BIGINT, picture BLOB);
        INSERT INTO blobs VALUES (0, x'00ff');";
    sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    let (mut api, folder) =
        (Api::start(|_| Act::TakeAfter(Duration::from_millis(1))).await, tempfile::tempdir().unwrap());
    let tables = vec![table("pin", "index", "pinterest_data"), table("geo", "ind", "geolocation_data")];
    let source = Source::Mysql { url: url.clone() };
    let config = EmulatorConfig { source, tables, ..config(&api.url, 6_000) };
    let emulator = Emulator::start(config.clone(), folder.path());
    // The server loses the emulator's connection twice.
    for round in 1..=2 {
        api.seen(round * 500).await;
        let others =
            "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND <> 'Daemon'";
        for row in sqlx::query(others).fetch_all(&mut admin).await.unwrap() {
            let id: i64 = sqlx::Row::get_unchecked(&row, 0);
            let _ = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("KILL {id}"))).execute(&mut admin).await;
        }
    }
    let report = emulator.done().await;
    reconciles(&report, &api);
    assert_eq!((all(&report, "accepted"), all(&report, "refused")), (6_000, 0));
    assert!(report.last_error.is_some(), "it noticed that its connection was gone");
    let rows = api.rows();
    let pins: Vec<&str> = rows["streaming-pin"].keys().map(String::as_str).collect();
    // JSON is another name for LONGTEXT in MariaDB; in MySQL it is a type, whose values are posted as JSON.
    assert_eq!(
        pins,
        [
            r#"{"index":0,"title":"Ünï – 🌞","big":18446744073709551615,"exact":"12345678901234567890.1234","price":12.5,"yes":5,"kind":"b","doc":"{\"a\": [1, null]}","day":"2020-08-28","od`d":0.30000000000000004,"fine":"2020-08-28T03:52:47.250000"}"#,
            r#"{"index":1,"title":null,"big":null,"exact":null,"price":null,"yes":null,"kind":null,"doc":null,"day":null,"od`d":null,"fine":null}"#,
            r#"{"index":2,"title":"","big":0,"exact":0.0,"price":0.0,"yes":0,"kind":"a","doc":null,"day":null,"od`d":-1e+300,"fine":null}"#,
        ]
    );
    let places: Vec<&str> = rows["streaming-geo"].keys().map(String::as_str).collect();
    assert_eq!(
        places,
        [
            r#"{"ind":0,"timestamp":"2020-08-28T03:52:47","latitude":-89.9787,"longitude":-173.293,"country":"Albania"}"#,
            r#"{"ind":1,"timestamp":null,"latitude":0.1,"longitude":1e-7,"country":null}"#,
            r#"{"ind":2,"timestamp":"2022-01-01T02:26:50","latitude":-89.5236,"longitude":-154.567,"country":"Cocos (Keeling) Islands"}"#,
        ]
    );
    emulator.stop().await;

    let password = url::Url::parse(&url).unwrap().password().unwrap().to_owned();
    let wrong_password = url.replace(&password, "wrong-pass");
    for (url, source, expected) in [
        (url.clone(), "blobs", "column `picture` of table `blobs` is `blob`"),
        (url.clone(), "nothing", "the source has no table `nothing`"),
        (wrong_password, "blobs", "Access denied"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let tables = vec![table("pin", "ind", source)];
        let config = EmulatorConfig { source: Source::Mysql { url }, tables, ..config.clone() };
        let emulator = Emulator::start(config, folder.path());
        let report = emulator.until("failing", |report| report.last_error.is_some()).await;
        let message = report.last_error.unwrap().message;
        assert!(message.contains(expected) && !message.contains("-pass"), "{message}");
        emulator.stop().await;
    }
}

/// The API and the service that knows its key are one server here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_key_is_fetched_and_fetched_again() {
    let api = Api::start(|seen| {
        if seen.method == "GET" {
            assert!(
                seen.path.starts_with("/apikeys/abc123?") && seen.path.contains("includeValue=true"),
                "{}",
                seen.path
            );
            // Another key once the first has been seen to work.
            let key =
                if seen.number < 20 { r#"{"id":"abc123","value":"old"}"# } else { r#"{"id":"abc123","value":"new"}"# };
            return Act::Say(200, key);
        }
        let key = seen.headers.get("x-api-key").map(|key| key.to_str().unwrap().to_owned());
        let right = if seen.number < 40 { "old" } else { "new" };
        if key.as_deref() == Some(right) { Act::Take } else { Act::Say(403, r#"{"message":"Forbidden"}"#) }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&api.url, 90);
    config.api.auth = ApiAuth::Key { id: "abc123".into() };
    let environment = with_keys(&api);
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let report = child::start(&config, folder.path(), &environment).report(folder.path()).await;
    reconciles(&report, &api);
    assert_eq!((all(&report, "accepted"), all(&report, "refused")), (90, 0));
    assert!(!format!("{report:?}").contains("old"), "the key is in the report: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_signed() {
    let api = Api::start(|seen| {
        let header =
            |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let (authorization, date) = (header("authorization"), header("x-amz-date"));
        let scope = format!(
            "Credential=AKIAIOSFODNN7EXAMPLE/{}/us-east-1/execute-api/aws4_request",
            &date[..8.min(date.len())]
        );
        let signed =
            authorization.contains(&scope) && authorization.contains("SignedHeaders=content-type;host;x-amz-date");
        if signed { Act::Take } else { Act::Say(403, r#"{"message":"Missing Authentication Token"}"#) }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&api.url, 30);
    config.api.auth = ApiAuth::Iam;
    config.tables.iter_mut().for_each(|table| table.topic = Some(format!("batch.{}", table.name)));
    let environment = with_keys(&api);
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let report = child::start(&config, folder.path(), &environment).report(folder.path()).await;
    assert_eq!((all(&report, "accepted"), all(&report, "retried")), (30, 0));
    assert_eq!((all(&report, "kafka_accepted"), all(&report, "kafka_retried")), (30, 0));
}

fn with_keys(api: &Api) -> [(&'static str, String); 3] {
    [
        ("AWS_ENDPOINT_URL", api.url.clone()),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
    ]
}
