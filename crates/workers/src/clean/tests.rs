//! The rules of cleaning, value by value, through the SQL that ships with the program.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::PROBE_FIELD;

const PIN: &str = include_str!("../../../../templates/clean/pin.sql");
const GEO: &str = include_str!("../../../../templates/clean/geo.sql");
const USER: &str = include_str!("../../../../templates/clean/user.sql");

async fn pin() -> Cleaning {
    Cleaning::new("pin", "index", PIN).await.unwrap()
}

async fn geo() -> Cleaning {
    Cleaning::new("geo", "ind", GEO).await.unwrap()
}

async fn user() -> Cleaning {
    Cleaning::new("user", "ind", USER).await.unwrap()
}

fn clean(cleaning: &Cleaning, records: &[impl AsRef<[u8]>]) -> Cleaned {
    let records: Vec<&[u8]> = records.iter().map(AsRef::as_ref).collect();
    let cleaned = cleaning.clean(&records).unwrap();
    assert_eq!(cleaned.rows.num_rows(), cleaned.row_of.len());
    assert_eq!(cleaned.row_of.len() + cleaned.rejects.len() + cleaned.probes.len(), records.len());
    cleaned
}

/// A value of the only row, as text; nulls as `null`.
fn value(rows: &RecordBatch, column: &str) -> String {
    assert_eq!(rows.num_rows(), 1, "{rows:?}");
    let column = rows.column_by_name(column).unwrap();
    let options = FormatOptions::new().with_null("null");
    ArrayFormatter::try_new(column, &options).unwrap().value(0).to_string()
}

/// What becomes of a field of an otherwise empty event.
fn cleaned(cleaning: &Cleaning, field: &str, dirty: &Value, column: &str) -> String {
    let mut event = json!({ (cleaning.key.as_str()): 1 });
    event[field] = dirty.clone();
    value(&clean(cleaning, &[event.to_string()]).rows, column)
}

fn types(cleaning: &Cleaning) -> Vec<(String, DataType)> {
    let schema = cleaning.schema();
    assert!(schema.fields().iter().all(|field| field.is_nullable()));
    schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
}

#[tokio::test]
async fn schemas_are_those_that_were_decided() {
    let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
    let list = DataType::List(Arc::new(arrow::datatypes::Field::new("element", DataType::Float64, true)));
    let columns = |list: &[(&str, &DataType)]| -> Vec<(String, DataType)> {
        list.iter().map(|(name, of)| ((*name).to_owned(), (*of).clone())).collect()
    };
    let (int, text) = (&DataType::Int32, &DataType::Utf8);
    let names = [
        "title",
        "description",
        "follower_count",
        "poster_name",
        "tag_list",
        "is_image_or_video",
        "image_src",
        "save_location",
        "category",
    ];
    let texts = names.map(|name| (name, if name == "follower_count" { int } else { text }));
    let all: Vec<(&str, &DataType)> = [("ind", int), ("unique_id", text)].into_iter().chain(texts).collect();
    assert_eq!(types(&pin().await), columns(&all));
    let all = [("ind", int), ("country", text), ("coordinates", &list), ("timestamp", &time)];
    assert_eq!(types(&geo().await), columns(&all));
    let all = [("ind", int), ("user_name", text), ("age", int), ("date_joined", &time)];
    assert_eq!(types(&user().await), columns(&all));
}

#[tokio::test]
async fn every_dirty_value_of_a_pin() {
    let pin = pin().await;
    let cases = [
        ("title", json!("No Title Data Available"), "null"),
        ("title", json!("No title data available"), "No title data available"),
        ("title", json!("User Info Error"), "User Info Error"),
        ("title", json!(""), ""),
        ("title", json!("  spaces stay \n"), "  spaces stay \n"),
        ("title", json!("emoji 🎄 and …"), "emoji 🎄 and …"),
        ("title", json!(12345), "12345"),
        ("title", json!(true), "true"),
        ("title", json!({"a": 1}), "null"),
        ("title", json!([]), "null"),
        ("title", Value::Null, "null"),
        ("description", json!("No description available Story format"), "null"),
        ("description", json!("No description available"), "null"),
        ("description", json!("No description available yet"), "No description available yet"),
        ("description", json!("Untitled"), "Untitled"),
        ("description", json!("cut off… "), "cut off… "),
        ("poster_name", json!("User Info Error"), "null"),
        ("poster_name", json!("We Heart It"), "We Heart It"),
        ("tag_list", json!("N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"), "null"),
        ("tag_list", json!("N,o,,T,a,g,s,,A,v,a,i,l,a,b,l,e"), "N,o,,T,a,g,s,,A,v,a,i,l,a,b,l,e"),
        ("image_src", json!("Image src error."), "null"),
        ("image_src", json!("Image src error"), "Image src error"),
        ("is_image_or_video", json!("multi-video(story page format)"), "multi-video(story page format)"),
        ("is_image_or_video", Value::Null, "null"),
        ("save_location", json!("Local save in /data/mens-fashion"), "/data/mens-fashion"),
        ("save_location", json!("/data/mens-fashion"), "/data/mens-fashion"),
        ("save_location", json!("a Local save in /data"), "a Local save in /data"),
        ("save_location", json!("Local save in "), ""),
        ("follower_count", json!("User Info Error"), "null"),
        ("follower_count", json!("5k"), "5000"),
        ("follower_count", json!("1.2k"), "1200"),
        ("follower_count", json!("15M"), "15000000"),
        ("follower_count", json!("437"), "437"),
        ("follower_count", json!(437), "437"),
        ("follower_count", json!(437.0), "null"),
        ("follower_count", json!("5K"), "null"),
        ("follower_count", json!("1,200"), "null"),
        ("follower_count", json!(""), "null"),
        ("category", json!("mens-fashion"), "mens-fashion"),
        ("unique_id", json!("fbe53c66-3442-4773-b19e-d3ec6f54dddf"), "fbe53c66-3442-4773-b19e-d3ec6f54dddf"),
    ];
    for (field, dirty, clean) in cases {
        assert_eq!(cleaned(&pin, field, &dirty, field), clean, "{field}: {dirty}");
    }
}

#[tokio::test]
async fn places_and_times() {
    let geo = geo().await;
    let coordinates = |latitude: Value, longitude: Value| {
        let event = json!({"ind": 1, "latitude": latitude, "longitude": longitude}).to_string();
        value(&clean(&geo, &[event]).rows, "coordinates")
    };
    assert_eq!(coordinates(json!(-89.9787), json!("-173.293")), "[-89.9787, -173.293]");
    assert_eq!(coordinates(json!(0), Value::Null), "[0.0, null]");
    assert_eq!(coordinates(json!("north"), json!([1])), "[null, null]");
    assert_eq!(value(&clean(&geo, &[r#"{"ind": 1}"#]).rows, "coordinates"), "[null, null]");
    for (written, read) in [
        ("2020-08-28T03:52:47", "2020-08-28T03:52:47Z"),
        ("2020-08-28 03:52:47", "2020-08-28T03:52:47Z"),
        ("2020-08-28T03:52:47.25Z", "2020-08-28T03:52:47.250Z"),
        ("2020:08:28 03:52:47", "null"),
        ("08/28/2020, 03:52:47", "null"),
        ("2021-02-29T00:00:00", "null"),
        ("2020-08-28", "null"),
    ] {
        assert_eq!(cleaned(&geo, "timestamp", &json!(written), "timestamp"), read, "{written}");
    }
    assert_eq!(cleaned(&geo, "country", &json!("Cote d'Ivoire"), "country"), "Cote d'Ivoire");
}

#[tokio::test]
async fn people() {
    let user = user().await;
    let name = |event: Value| value(&clean(&user, &[event.to_string()]).rows, "user_name");
    assert_eq!(name(json!({"ind": 1, "first_name": "Abigail", "last_name": "Ali"})), "Abigail Ali");
    assert_eq!(name(json!({"ind": 1, "first_name": "Abigail", "last_name": ""})), "Abigail ");
    assert_eq!(name(json!({"ind": 1, "first_name": "Abigail", "last_name": null})), "null");
    assert_eq!(name(json!({"ind": 1, "last_name": "Ali"})), "null");
    for (written, read) in
        [(json!(20), "20"), (json!("20"), "20"), (json!(20.5), "null"), (json!("-1"), "-1"), (json!(""), "null")]
    {
        assert_eq!(cleaned(&user, "age", &written, "age"), read, "{written}");
    }
    assert_eq!(cleaned(&user, "date_joined", &json!("2015-10-24T11:23:51"), "date_joined"), "2015-10-24T11:23:51Z");
}

#[tokio::test]
async fn a_record_without_a_usable_key_is_rejected_with_what_it_has() {
    let pin = pin().await;
    let reason = |record: &str| {
        let cleaned = clean(&pin, &[record]);
        assert_eq!((cleaned.rows.num_rows(), cleaned.rejects.len()), (0, 1), "{record}");
        cleaned.rejects[0].reason.clone()
    };
    let missing = "no usable `index`: it is missing, null, or no single value";
    for record in [r#"{"ind": 7528}"#, r#"{"index": null}"#, r#"{"index": [1]}"#, "{}"] {
        assert_eq!(reason(record), missing, "{record}");
    }
    assert_eq!(reason(r#"{"index": "abc\n"}"#), "no usable `index`: it is `abc`");
    assert_eq!(reason(r#"{"index": ""}"#), "no usable `index`: it is an empty text");
    assert_eq!(reason(r#"{"index": 2147483648}"#), "no usable `index`: it is `2147483648`");
    assert_eq!(reason(r#"{"index": 1.5}"#), "no usable `index`: it is `1.5`");
    assert_eq!(reason(r#"{"index": true}"#), "no usable `index`: it is `true`");
}

#[tokio::test]
async fn malformed_records_leave_their_neighbours_alone() {
    let pin = pin().await;
    let long = format!(r#"{{"index": 3, "title": "{}"}}"#, "x".repeat(1 << 20));
    let deep = format!(r#"{{"index": 4, "title": {}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let records: Vec<&[u8]> = vec![
        br#"{"index": 0}"#,
        br#"{"index": 1"#,
        b"",
        b"{\"index\": 2, \"title\": \"\xff\"}",
        long.as_bytes(),
        deep.as_bytes(),
        b"{\"index\": 5, \"title\": \"\0\"}",
        br#"{"index": 6, "title": "\u0000", "new_field": {"a": []}}"#,
        br#"{"index": "wrong"}"#,
        br#"[{"index": 7}]"#,
        br#"{"index": 8}"#,
    ];
    let cleaned = clean(&pin, &records);
    assert_eq!(cleaned.row_of, [0, 4, 7, 10]);
    let keys = cleaned.rows.column(0).as_primitive::<arrow::datatypes::Int32Type>();
    assert_eq!(keys.values(), &[0, 3, 6, 8]);
    let titles = cleaned.rows.column_by_name("title").unwrap().as_string::<i32>();
    assert_eq!((titles.value(1).len(), titles.value(2)), (1 << 20, "\0"));
    let rejected: Vec<(usize, &str)> = cleaned.rejects.iter().map(|r| (r.record, r.reason.as_str())).collect();
    assert_eq!(
        rejected,
        [
            (1, "truncated JSON: it ends at byte 11"),
            (2, "an empty record"),
            (3, "invalid UTF-8 at byte 23"),
            (5, "nested deeper than 128 levels at byte 149"),
            (6, "not JSON: a NUL byte at byte 23"),
            (8, "no usable `index`: it is `wrong`"),
            (9, "a JSON array instead of an object"),
        ]
    );
}

#[tokio::test]
async fn probes_are_cleaned_and_kept_out() {
    let pin = pin().await;
    let probe = |id: &str, rest: &str| format!(r#"{{"{PROBE_FIELD}": "{id}", {rest}}}"#);
    let records = [
        probe("0a", r#""index": 1"#),
        r#"{"index": 2}"#.to_owned(),
        probe("0b", r#""index": "x""#),
        probe("../0c", r#""index": 3"#),
    ];
    let cleaned = clean(&pin, &records);
    assert_eq!(cleaned.row_of, [1]);
    let no_key = Some("no usable `index`: it is `x`".to_owned());
    assert_eq!(
        cleaned.probes,
        [
            ProbeSeen { record: 0, id: "0a".to_owned(), rejected: None },
            ProbeSeen { record: 2, id: "0b".to_owned(), rejected: no_key },
        ]
    );
    assert_eq!(cleaned.rejects.len(), 1);
}

#[tokio::test]
async fn a_record_that_the_sql_fails_for_is_the_only_reject() {
    let sql = "-- reads: id, n\nSELECT parse_int(id) AS id, 100 / CAST(n AS INT) AS share FROM events";
    let cleaning = Cleaning::new("t", "id", sql).await.unwrap();
    let records: Vec<String> = (0..50).map(|id| format!(r#"{{"id": {id}, "n": "{}"}}"#, id % 10)).collect();
    let cleaned = clean(&cleaning, &records);
    let failed: Vec<usize> = cleaned.rejects.iter().map(|reject| reject.record).collect();
    assert_eq!(failed, [0, 10, 20, 30, 40]);
    assert!(cleaned.rejects[0].reason.contains("Divide by zero"), "{}", cleaned.rejects[0].reason);
    assert_eq!(cleaned.row_of, (0..50).filter(|id| id % 10 != 0).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_empty_batch_has_the_columns_all_the_same() {
    let pin = pin().await;
    let cleaned = clean(&pin, &[] as &[&[u8]]);
    assert_eq!(cleaned.rows.schema(), pin.schema());
    let cleaned = clean(&pin, &["x"]);
    assert_eq!((cleaned.rows.schema(), cleaned.rows.num_rows()), (pin.schema(), 0));
}

#[tokio::test]
async fn sql_may_be_layered_and_types_are_made_storable() {
    let sql = "-- reads: id, name\nWITH trimmed AS (SELECT id, trim(name) AS name FROM events)\n\
               SELECT parse_int(t.id) AS id, upper(t.name) AS name, length(t.name) + 1 AS n, CAST(NULL AS VARCHAR) AS none,\n\
               to_timestamp(parse_int(t.id)) AS at, arrow_cast(name, 'LargeUtf8') AS large, sha256(name) AS hash\nFROM trimmed AS t";
    let cleaning = Cleaning::new("t", "id", sql).await.unwrap();
    let cleaned = clean(&cleaning, &[r#"{"id": 60, "name": " é "}"#]);
    assert_eq!(cleaned.rejects, []);
    let rows = cleaned.rows;
    let read = |column: &str| value(&rows, column);
    assert_eq!([read("id"), read("name"), read("n"), read("none")], ["60", "É", "2", "null"]);
    assert_eq!([read("at"), read("large")], ["1970-01-01T00:01:00Z", "é"]);
    assert_eq!(read("hash").len(), 64);
}

/// The message, place and advice for a mistake in SQL over the fields `id` and `title`.
async fn mistake(select: &str) -> (String, (usize, usize, usize), String) {
    let error = Cleaning::new("t", "id", &format!("-- reads: id, title\n{select}")).await.unwrap_err();
    (error.message, (error.line, error.column, error.width), error.help.unwrap_or_default())
}

#[tokio::test]
async fn mistakes_are_found_where_they_are() {
    /// The SQL, the message, line, column and width, and the help.
    type Case = (&'static str, &'static str, (usize, usize, usize), &'static str);
    let cases: &[Case] = &[
        ("SELECT id,\n  titel FROM events", "there is no column `titel`", (3, 3, 5), "did you mean `title`?"),
        ("SELECT id, zzz FROM events", "there is no column `zzz`", (2, 12, 3), "the columns are `id`, `title`"),
        ("SELECT id, uper(title) AS t FROM events", "there is no function `uper`", (2, 12, 4), "did you mean `upper`?"),
        ("SELECT id, cont(title) AS t FROM events", "there is no function `cont`", (2, 12, 4), "did you mean `count`?"),
        ("SELECT id FROM event", "there is no table `event`", (2, 16, 5), ""),
        ("SELECT id,, title FROM events", "expected an expression, found `,`", (2, 11, 1), ""),
        ("SELECT id FROM events WHERE", "expected an expression, and the SQL ends here", (2, 28, 1), ""),
        ("SELECT id AS 'x FROM events", "unterminated string literal", (2, 14, 1), ""),
        ("SELECT id FROM events; SELECT 2", "there is more than one statement", (2, 24, 6), "write one `SELECT`"),
        ("", "there is no statement", (1, 1, 1), "write one `SELECT`"),
        (
            "SELECT id, upper(title) FROM events",
            "column 2 of the table has no name",
            (2, 12, 12),
            "name it with `AS`, in letters, digits and `_`",
        ),
        (
            "SELECT id, title AS \"ID\" FROM events",
            "two columns are called `ID`",
            (2, 12, 13),
            "rename one of them with `AS`",
        ),
        (
            "SELECT id, random() AS r FROM events",
            "`random` gives another value each time: a record that is read again would differ",
            (2, 12, 6),
            "",
        ),
        (
            "SELECT id, now() AS r FROM events",
            "`now` gives another value each time: a record that is read again would differ",
            (2, 12, 3),
            "",
        ),
        (
            "SELECT id, (SELECT max(id) FROM events) AS m FROM events",
            "a subquery looks at more than its own row",
            (2, 12, 33),
            "",
        ),
        (
            "SELECT id, INTERVAL '1 day' AS i FROM events",
            "column `i` is of type",
            (2, 12, 21),
            "cast it, such as by `CAST(… AS VARCHAR)`",
        ),
    ];
    for (select, message, place, help) in cases {
        let found = mistake(select).await;
        assert!(found.0.starts_with(message), "{select}: {found:?}");
        assert_eq!((&found.1, found.2.as_str()), (place, *help), "{select}: {found:?}");
    }
}

#[tokio::test]
async fn only_projections_are_taken() {
    let cases = [
        ("SELECT id FROM events WHERE title IS NOT NULL", "a filter", (2, 23)),
        ("SELECT a.id FROM events AS a JOIN events AS b ON a.id = b.id", "a join", (2, 30)),
        ("SELECT id, count(*) AS n FROM events GROUP BY id", "an aggregate", (2, 38)),
        ("SELECT id, row_number() OVER () AS n FROM events", "a window function", (2, 25)),
        ("SELECT id FROM events ORDER BY id", "an order", (2, 23)),
        ("SELECT id FROM events LIMIT 1", "a limit", (2, 23)),
        ("SELECT DISTINCT id FROM events", "`DISTINCT`", (2, 8)),
        ("SELECT id FROM events UNION ALL SELECT id FROM events", "a union", (2, 23)),
        ("SELECT unnest(make_array(id, title)) AS id FROM events", "`unnest`", (2, 8)),
        ("SELECT '1' AS id", "a relation that is not `events`", (2, 1)),
        ("DROP TABLE events", "this statement", (2, 1)),
    ];
    for (select, what, (line, column)) in cases {
        let (message, place, _) = mistake(select).await;
        assert!(message.contains(what), "{select}: {message}");
        assert_eq!((place.0, place.1), (line, column), "{select}: {message}");
    }
}

#[tokio::test]
async fn the_key_has_to_be_read() {
    let error = Cleaning::new("t", "key", "-- reads: id\nSELECT id FROM events").await.unwrap_err();
    assert_eq!(error.message, "the key `key` of table `t` is not among the fields that are read");
    assert_eq!((error.line, error.column, error.width), (1, 1, 12));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_counted_once(records in prop::collection::vec(record(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let cleaning = runtime.block_on(user());
        let cleaned = clean(&cleaning, &records);
        let rejects = cleaned.rejects.iter().map(|reject| reject.record);
        let probes = cleaned.probes.iter().map(|probe| probe.record);
        let mut all: Vec<usize> = cleaned.row_of.iter().copied().chain(rejects).chain(probes).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..records.len()).collect::<Vec<_>>());
        prop_assert!(cleaned.row_of.is_sorted());
    }
}

/// Records of every kind: rows, probes, half records, other things.
fn record() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|ind| format!(r#"{{"ind": {ind}, "age": "{ind}"}}"#)),
        (0..100_i32, any::<String>()).prop_map(|(ind, name)| json!({"ind": ind, "first_name": name}).to_string()),
        (0..100_u32).prop_map(|id| format!(r#"{{"{PROBE_FIELD}": "{id}", "ind": {id}}}"#)),
        any::<String>(),
        (0..20_usize).prop_map(|cut| r#"{"ind": 7, "age": 9}"#[..cut].to_owned()),
    ]
}
