//! The analyses over a whole sample, cleaned as events are, against plain code that computes the same from the raw rows.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use pinfra_workers::clean::Cleaning;
use pinfra_workers::query::Tables;
use pinfra_workers::sample::{Sample, SampleTable};
use serde_json::{Map, Value, json};

/// Rows in each table.
const ROWS: u32 = 11_000;

/// A row of an answer: each value as JSON has it.
type Row = Vec<Value>;

macro_rules! sql {
    ($folder:literal, $name:literal) => {
        include_str!(concat!("../../../templates/", $folder, "/", $name, ".sql"))
    };
}

/// The raw rows of the three tables: those of the sample, and some that hold what the sample does not.
fn events() -> [Vec<Map<String, Value>>; 3] {
    let sample = Sample::new(ROWS, 100);
    let mut tables = SampleTable::ALL.map(|table| (0..ROWS).map(|n| sample.row(table, n)).collect::<Vec<_>>());
    let mut add = |ind: u32, pin: Value, geo: Value, user: Value| {
        for (table, (key, mut row)) in tables.iter_mut().zip([("index", pin), ("ind", geo), ("ind", user)]) {
            row[key] = json!(ind);
            table.extend(row.as_object().cloned());
        }
    };
    let geo = |country: Value, year: u32| json!({"timestamp": format!("{year}-06-01 12:00:00"), "country": country});
    let user = |age: Value, year: u32| json!({"age": age, "date_joined": format!("{year}-01-01T00:00:00Z")});
    // Two categories of one country and two countries of the most followers tie; nulls are in no group.
    for (ind, category) in [(20_000, "travel"), (20_001, "art"), (20_002, "art"), (20_003, "travel")] {
        let pin = json!({"category": category, "poster_name": format!("Poster {ind}"), "follower_count": "2000M"});
        add(ind, pin, geo(json!(if ind % 2 == 0 { "Zz" } else { "ZZ" }), 2016), user(json!(17), 2014));
    }
    add(20_004, json!({"category": null, "follower_count": "1.5M"}), geo(Value::Null, 2023), user(Value::Null, 2020));
    add(20_005, json!({"category": "art", "poster_name": "a"}), geo(json!("Zz"), 2018), user(json!(50), 2021));
    add(20_006, json!({"category": "art", "follower_count": "0"}), geo(json!("Zz"), 2022), user(json!(51), 2020));
    tables
}

async fn tables(events: &[Vec<Map<String, Value>>; 3]) -> Tables {
    let mut tables = Tables::new();
    let cleaned = [
        ("pin", "index", sql!("clean", "pin")),
        ("geo", "ind", sql!("clean", "geo")),
        ("user", "ind", sql!("clean", "user")),
    ];
    for ((name, key, sql), events) in cleaned.into_iter().zip(events) {
        let cleaning = Cleaning::new(name, key, sql).await.unwrap();
        let records: Vec<Vec<u8>> = events.iter().map(|event| serde_json::to_vec(event).unwrap()).collect();
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let batches: Vec<RecordBatch> = records.chunks(1000).map(|part| cleaning.clean(part).unwrap().rows).collect();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), records.len());
        tables.add_rows(name, cleaning.schema(), batches).unwrap();
    }
    tables
}

async fn answer(tables: &Tables, sql: &str) -> (Vec<String>, Vec<Row>) {
    let answer = tables.query(sql).await.unwrap();
    let columns = answer.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in answer.all().await.unwrap() {
        for row in 0..batch.num_rows() {
            rows.push(batch.columns().iter().map(|column| value(column, row)).collect());
        }
    }
    (columns, rows)
}

fn value(column: &dyn Array, row: usize) -> Value {
    assert!(!column.is_null(row));
    match column.data_type() {
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        other => unreachable!("{other}"),
    }
}

/// One post with where and by whom, read from the raw rows with the rules of the product and none of its code.
struct Post {
    category: Option<String>,
    poster: Option<String>,
    followers: Option<i64>,
    country: Option<String>,
    posted: i64,
    age_group: Option<&'static str>,
    joined: i64,
}

fn posts([pins, geos, users]: &[Vec<Map<String, Value>>; 3]) -> Vec<Post> {
    let by_key = |rows: &[Map<String, Value>]| -> BTreeMap<i64, Map<String, Value>> {
        rows.iter().map(|row| (row["ind"].as_i64().unwrap(), row.clone())).collect()
    };
    let (geos, users) = (by_key(geos), by_key(users));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let year = |value: &Value| value.as_str().unwrap()[..4].parse().unwrap();
    pins.iter()
        .map(|pin| {
            let ind = pin["index"].as_i64().unwrap();
            let (geo, user) = (&geos[&ind], &users[&ind]);
            let followers = text(pin.get("follower_count")).and_then(|count| {
                let (digits, times) = match count.strip_suffix('k') {
                    Some(thousands) => (thousands.to_owned(), 1_000.0),
                    None => match count.strip_suffix('M') {
                        Some(millions) => (millions.to_owned(), 1_000_000.0),
                        None => (count, 1.0),
                    },
                };
                digits.parse::<f64>().ok().map(|number| (number * times).round() as i64)
            });
            let age_group = match user["age"].as_i64() {
                Some(18..=24) => Some("18-24"),
                Some(25..=35) => Some("25-35"),
                Some(36..=50) => Some("36-50"),
                Some(51..) => Some("50+"),
                _ => None,
            };
            Post {
                category: text(pin.get("category")),
                poster: text(pin.get("poster_name")).filter(|name| name != "User Info Error"),
                followers,
                country: text(geo.get("country")),
                posted: year(&geo["timestamp"]),
                age_group,
                joined: year(&user["date_joined"]),
            }
        })
        .collect()
}

/// For each group the category with the most posts, the smaller text of two that have as many.
fn most_popular<G: Ord + Clone>(posts: &[Post], group: impl Fn(&Post) -> Option<G>) -> Vec<(G, String, usize)> {
    let mut counts: BTreeMap<G, BTreeMap<&str, usize>> = BTreeMap::new();
    for post in posts {
        if let (Some(group), Some(category)) = (group(post), &post.category) {
            *counts.entry(group).or_default().entry(category).or_default() += 1;
        }
    }
    let best = |categories: BTreeMap<&str, usize>| {
        let most = *categories.values().max().unwrap();
        let (category, count) = categories.into_iter().find(|(_, count)| *count == most).unwrap();
        (category.to_owned(), count)
    };
    counts.into_iter().map(|(group, categories)| (group, best(categories))).map(|(g, (c, n))| (g, c, n)).collect()
}

/// For each group the middle of its follower counts, or what is half-way between the two in the middle.
fn medians<G: Ord>(posts: &[Post], group: impl Fn(&Post) -> Option<G>) -> Vec<(G, f64)> {
    let mut counts: BTreeMap<G, Vec<i64>> = BTreeMap::new();
    for post in posts {
        if let (Some(group), Some(followers)) = (group(post), post.followers) {
            counts.entry(group).or_default().push(followers);
        }
    }
    let median = |mut counts: Vec<i64>| {
        counts.sort_unstable();
        let half = counts.len() / 2;
        if counts.len() % 2 == 1 { counts[half] as f64 } else { (counts[half - 1] + counts[half]) as f64 / 2.0 }
    };
    counts.into_iter().map(|(group, counts)| (group, median(counts))).collect()
}

fn joined(post: &Post) -> Option<i64> {
    Some(post.joined).filter(|year| (2015..=2020).contains(year))
}

#[tokio::test]
async fn the_analyses_equal_plain_code() {
    let events = events();
    let posts = posts(&events);
    let tables = tables(&events).await;

    let (columns, rows) = answer(&tables, sql!("analyses", "most-popular-category-by-country")).await;
    assert_eq!(columns, ["country", "category", "category_count"]);
    let expected = most_popular(&posts, |post| post.country.clone());
    assert!(expected.contains(&("ZZ".to_owned(), "art".to_owned(), 1)), "the tie is not there");
    assert_eq!(rows, expected.into_iter().map(|(g, c, n)| vec![json!(g), json!(c), json!(n)]).collect::<Vec<Row>>());

    let (columns, rows) = answer(&tables, sql!("analyses", "most-popular-category-by-year")).await;
    assert_eq!(columns, ["post_year", "category", "category_count"]);
    let expected = most_popular(&posts, |post| Some(post.posted).filter(|year| (2018..=2022).contains(year)));
    assert_eq!(expected.len(), 5);
    assert_eq!(rows, expected.into_iter().map(|(g, c, n)| vec![json!(g), json!(c), json!(n)]).collect::<Vec<Row>>());

    let mut best: BTreeMap<String, (i64, String)> = BTreeMap::new();
    for post in &posts {
        let (Some(country), Some(poster), Some(followers)) = (&post.country, &post.poster, post.followers) else {
            continue;
        };
        let entry = best.entry(country.clone()).or_insert_with(|| (followers, poster.clone()));
        if followers > entry.0 || (followers == entry.0 && *poster < entry.1) {
            *entry = (followers, poster.clone());
        }
    }
    let (columns, rows) = answer(&tables, sql!("analyses", "most-followed-user-by-country")).await;
    assert_eq!(columns, ["country", "poster_name", "follower_count"]);
    assert!(rows.len() > 100 && rows.contains(&vec![json!("ZZ"), json!("Poster 20001"), json!(2_000_000_000)]));
    assert_eq!(rows, best.iter().map(|(c, (n, p))| vec![json!(c), json!(p), json!(n)]).collect::<Vec<Row>>());

    let (columns, rows) = answer(&tables, sql!("analyses", "country-of-most-followed-user")).await;
    assert_eq!(columns, ["country", "follower_count"]);
    assert_eq!(rows, [[json!("ZZ"), json!(2_000_000_000)]]);

    let (columns, rows) = answer(&tables, sql!("analyses", "most-popular-category-by-age-group")).await;
    assert_eq!(columns, ["age_group", "category", "category_count"]);
    let expected = most_popular(&posts, |post| post.age_group);
    assert_eq!(expected.iter().map(|(group, ..)| *group).collect::<Vec<_>>(), ["18-24", "25-35", "36-50", "50+"]);
    assert_eq!(rows, expected.into_iter().map(|(g, c, n)| vec![json!(g), json!(c), json!(n)]).collect::<Vec<Row>>());

    let (columns, rows) = answer(&tables, sql!("analyses", "median-follower-count-by-age-group")).await;
    assert_eq!(columns, ["age_group", "median_follower_count"]);
    let expected = medians(&posts, |post| post.age_group);
    assert_eq!(rows, expected.into_iter().map(|(g, m)| vec![json!(g), json!(m)]).collect::<Vec<Row>>());

    let mut years: BTreeMap<i64, u64> = BTreeMap::new();
    for user in &events[2] {
        let year: i64 = user["date_joined"].as_str().unwrap()[..4].parse().unwrap();
        if (2015..=2020).contains(&year) {
            *years.entry(year).or_default() += 1;
        }
    }
    let (columns, rows) = answer(&tables, sql!("analyses", "users-joined-by-year")).await;
    assert_eq!(columns, ["post_year", "number_users_joined"]);
    assert_eq!(rows, years.into_iter().map(|(y, n)| vec![json!(y), json!(n)]).collect::<Vec<Row>>());

    let (columns, rows) = answer(&tables, sql!("analyses", "median-follower-count-by-joining-year")).await;
    assert_eq!(columns, ["post_year", "median_follower_count"]);
    assert_eq!(rows, medians(&posts, joined).into_iter().map(|(y, m)| vec![json!(y), json!(m)]).collect::<Vec<Row>>());

    let (columns, rows) =
        answer(&tables, sql!("analyses", "median-follower-count-by-joining-year-and-age-group")).await;
    assert_eq!(columns, ["age_group", "post_year", "median_follower_count"]);
    let expected = medians(&posts, |post| Some((post.age_group?, joined(post)?)));
    assert!(expected.len() >= 8, "{}", expected.len());
    assert_eq!(rows, expected.into_iter().map(|((g, y), m)| vec![json!(g), json!(y), json!(m)]).collect::<Vec<Row>>());
}

#[tokio::test]
async fn no_poster_of_the_sample_is_lost_on_the_way() {
    let events = events();
    let tables = tables(&events).await;
    let raw: BTreeSet<&str> = events[0].iter().filter_map(|pin| pin.get("poster_name")?.as_str()).collect();
    let (_, rows) = answer(&tables, "SELECT DISTINCT poster_name FROM pin WHERE poster_name IS NOT NULL").await;
    assert_eq!(rows.len(), raw.iter().filter(|name| **name != "User Info Error").count());
}
