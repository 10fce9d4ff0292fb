//! The sample against what `domain.md` says of the original: rates, what comes together, who is who.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// As many as the original has.
const ROWS: u32 = 11_154;

fn table(table: SampleTable) -> Vec<Map<String, Value>> {
    let sample = Sample::new(ROWS, 100);
    (0..ROWS).map(|n| sample.row(table, n)).collect()
}

fn text<'a>(row: &'a Map<String, Value>, column: &str) -> &'a str {
    row[column].as_str().unwrap_or("NULL")
}

/// The share of rows, in per cent, that `is` is true of.
fn share(rows: &[Map<String, Value>], is: impl Fn(&Map<String, Value>) -> bool) -> f64 {
    rows.iter().filter(|row| is(row)).count() as f64 * 100.0 / rows.len() as f64
}

#[track_caller]
fn about(found: f64, expected: f64, off: f64) {
    assert!((found - expected).abs() <= off, "{found:.2} is not {expected} ± {off}");
}

#[test]
fn columns_stand_in_stored_order() {
    let sample = Sample::new(ROWS, 1);
    let columns = |table| sample.row(table, 3).keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        columns(SampleTable::Pin),
        "index unique_id title description poster_name follower_count tag_list is_image_or_video image_src downloaded \
         save_location category"
    );
    assert_eq!(columns(SampleTable::Geo), "ind timestamp latitude longitude country");
    assert_eq!(columns(SampleTable::User), "ind first_name last_name age date_joined");
    for table in SampleTable::ALL {
        assert_eq!(SampleTable::from_name(table.name()), Some(table));
        assert_eq!(sample.row(table, 3)[table.key()], 3);
    }
}

#[test]
fn dirt_has_its_rates() {
    let pins = table(SampleTable::Pin);
    about(share(&pins, |row| text(row, "title") == "No Title Data Available"), 0.9, 0.3);
    about(share(&pins, |row| text(row, "title").is_empty()), 0.1, 0.1);
    about(share(&pins, |row| text(row, "description") == "No description available Story format"), 6.7, 0.6);
    about(share(&pins, |row| text(row, "description") == "No description available"), 1.5, 0.4);
    about(share(&pins, |row| text(row, "description") == "Untitled"), 0.07, 0.07);
    about(share(&pins, |row| text(row, "description").ends_with("… ")), 33.0, 4.0);
    about(share(&pins, |row| text(row, "poster_name") == "User Info Error"), 0.9, 0.3);
    about(share(&pins, |row| text(row, "tag_list") == "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"), 1.2, 0.4);
    about(share(&pins, |row| text(row, "image_src") == "Image src error."), 2.2, 0.5);
    about(share(&pins, |row| row["image_src"].is_null()), 0.5, 0.25);
    about(share(&pins, |row| row["downloaded"] == 0), 2.7, 0.5);
    about(share(&pins, |row| text(row, "is_image_or_video") == "image"), 90.0, 1.0);
    about(share(&pins, |row| text(row, "is_image_or_video") == "video"), 2.8, 0.5);
    about(share(&pins, |row| text(row, "image_src").ends_with(".jpg")), 81.0, 1.5);
    about(share(&pins, |row| text(row, "image_src").ends_with(".png")), 15.0, 1.2);
}

#[test]
fn dirt_comes_together() {
    let mut kinds = BTreeMap::new();
    for row in table(SampleTable::Pin) {
        let broken = [
            text(&row, "title") == "No Title Data Available",
            text(&row, "poster_name") == "User Info Error",
            text(&row, "follower_count") == "User Info Error",
        ];
        let story = text(&row, "description") == "No description available Story format";
        let no_image = text(&row, "image_src") == "Image src error.";
        let no_media = row["image_src"].is_null();
        assert_eq!(story, text(&row, "is_image_or_video") == "multi-video(story page format)");
        assert_eq!(no_media, row["is_image_or_video"].is_null());
        assert_eq!(row["downloaded"] == 0, no_image || no_media);
        assert!(broken.iter().all(|one| *one == broken[0]), "{row:?}");
        if broken[0] {
            assert!(story && no_image && text(&row, "tag_list").starts_with("N,o, ,T"), "{row:?}");
        }
        if no_media {
            assert_eq!(row["category"], "event-planning");
        }
        if no_image {
            assert!(story, "{row:?}");
        }
        *kinds.entry((broken[0], story, no_image, no_media)).or_insert(0) += 1;
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

#[test]
fn values_stay_in_their_domains() {
    let mut ids = BTreeSet::new();
    for row in table(SampleTable::Pin) {
        assert!(ids.insert(text(&row, "unique_id").to_owned()));
        assert_eq!(text(&row, "save_location"), format!("Local save in /data/{}", text(&row, "category")));
        assert!(text(&row, "title").chars().count() <= 200 && text(&row, "description").chars().count() <= 182);
        assert!(text(&row, "poster_name").chars().count() <= 280 && text(&row, "tag_list").chars().count() <= 250);
        let tags = text(&row, "tag_list").split(',').count();
        assert!((1..=9).contains(&tags) || tags == 17, "{row:?}");
    }
    let (mut countries, mut ages) = (BTreeSet::new(), BTreeSet::new());
    for row in table(SampleTable::Geo) {
        countries.insert(text(&row, "country").to_owned());
        assert!(("2017-10-20T01:44:00".."2022-10-19").contains(&text(&row, "timestamp")), "{row:?}");
        for (column, limit) in [("latitude", 90.0), ("longitude", 180.0)] {
            let value = row[column].as_f64().unwrap();
            assert!(value.abs() <= limit);
            assert!(value.to_string().trim_start_matches(['-', '0', '.']).replace('.', "").len() <= 6, "{value}");
        }
    }
    for row in table(SampleTable::User) {
        ages.insert(row["age"].as_u64().unwrap());
        assert!(("2015-10-21".."2017-10-20T01:44:00").contains(&text(&row, "date_joined")), "{row:?}");
    }
    assert_eq!(countries.len(), 243);
    assert_eq!((ages.first(), ages.last(), ages.len()), (Some(&20), Some(&60), 41));
}

#[test]
fn categories_come_in_blocks() {
    for rows in [13, 1_000, ROWS, 1_000_000] {
        let mut blocks: Vec<&str> = (0..rows).map(|n| pins::category(rows, n).name).collect();
        blocks.dedup();
        assert!(blocks.is_sorted(), "{rows}: {blocks:?}");
        assert!(rows == 13 || blocks.len() == 13, "{rows}: {blocks:?}");
    }
    assert_eq!((pins::category(ROWS, 893).name, pins::category(ROWS, 894).name), ("art", "beauty"));
    assert_eq!(pins::category(ROWS, 11_153).name, "vehicles");
}

#[test]
fn follower_counts_have_their_forms() {
    let pins = table(SampleTable::Pin);
    let form = |suffix: &str| {
        share(&pins, |row| {
            let digits = text(row, "follower_count").strip_suffix(suffix).unwrap_or("x");
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    about(form("k"), 75.0, 4.0);
    about(form("M"), 7.0, 2.5);
    about(form(""), 17.0, 2.5);
    let most: BTreeSet<_> =
        pins.iter().filter(|row| row["follower_count"] == "15M").map(|row| text(row, "poster_name")).collect();
    assert_eq!(most.len(), 1, "one poster has the most followers: {most:?}");
}

#[test]
fn one_poster_is_one_place_and_one_person() {
    let sample = Sample::new(ROWS, 100);
    let mut known: BTreeMap<String, (String, u32)> = BTreeMap::new();
    for n in 0..ROWS {
        let [pin, geo, user] = SampleTable::ALL.map(|table| sample.row(table, n));
        let rest = format!(
            "{} {} {} {} {} {} {} {}",
            pin["follower_count"],
            geo["country"],
            geo["latitude"],
            geo["longitude"],
            user["first_name"],
            user["last_name"],
            user["age"],
            user["date_joined"]
        );
        let entry = known.entry(text(&pin, "poster_name").to_owned()).or_insert_with(|| (rest.clone(), 0));
        assert_eq!(entry.0, rest, "{}", text(&pin, "poster_name"));
        entry.1 += 1;
    }
    let (unreadable, _) = &known["User Info Error"];
    assert!(unreadable.contains("Albania") && unreadable.contains("\"Abigail\" \"Ali\" 20"), "{unreadable}");
    about(known.len() as f64 / f64::from(ROWS), 0.43, 0.05);
    let most = known.values().map(|(_, rows)| *rows).max().unwrap();
    about(f64::from(most) * 100.0 / f64::from(ROWS), 2.0, 0.5);
    let people: BTreeSet<&str> = known.values().map(|(rest, _)| &rest[rest.find(' ').unwrap()..]).collect();
    assert_eq!(people.len(), known.len(), "no two posters are at one place and of one name, age and join date");
}

#[test]
fn people_are_skewed_as_the_original() {
    let users = table(SampleTable::User);
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    about(share(&users, |row| row["age"] == 20), 20.0, 4.0);
    about(median(users.iter().map(|row| row["age"].as_f64().unwrap()).collect()), 26.0, 1.5);
    about(share(&users, |row| text(row, "first_name").starts_with('A')), 41.0, 5.0);
    let mut joined: Vec<_> = users.iter().map(|row| text(row, "date_joined").to_owned()).collect();
    joined.sort();
    let middle = &joined[joined.len() / 2];
    assert!(("2016-01".."2016-04").contains(&middle.as_str()), "{middle}");
    let geo = table(SampleTable::Geo);
    about(median(geo.iter().map(|row| row["latitude"].as_f64().unwrap()).collect()), -65.0, 10.0);
    about(median(geo.iter().map(|row| row["longitude"].as_f64().unwrap()).collect()), -127.0, 20.0);
}

#[test]
fn the_young_are_the_popular() {
    let (pins, users) = (table(SampleTable::Pin), table(SampleTable::User));
    let count = |form: &str| match form.split_at(form.len() - 1) {
        (digits, "k") => digits.parse::<u64>().unwrap() * 1_000,
        (digits, "M") => digits.parse::<u64>().unwrap() * 1_000_000,
        _ => form.parse().unwrap(),
    };
    let median = |ages: std::ops::RangeInclusive<u64>| {
        let of = |(pin, user): (&Map<String, Value>, &Map<String, Value>)| {
            let form = text(pin, "follower_count");
            (form != "User Info Error" && ages.contains(&user["age"].as_u64().unwrap())).then(|| count(form))
        };
        let mut counts: Vec<u64> = pins.iter().zip(&users).filter_map(of).collect();
        counts.sort_unstable();
        counts[counts.len() / 2]
    };
    let (young, old) = (median(18..=24), median(51..=60));
    assert!((80_000..250_000).contains(&young), "{young}");
    assert!((300..10_000).contains(&old), "{old}");
}

/// What a seed gives is what it gives: tests elsewhere and comparisons between versions count on it.
#[test]
fn the_first_rows_never_change() {
    let sample = Sample::new(11_000, 100);
    let mut hash = Sha256::new();
    for n in 0..100 {
        for table in SampleTable::ALL {
            hash.update(serde_json::to_vec(&sample.row(table, n)).unwrap());
        }
    }
    assert_eq!(hex::encode(hash.finalize()), GOLDEN);
}

const GOLDEN: &str = "6bbc6f5aabf1f522e7ba077cb565ff2ea156ef2c3d78a657a2533a8e8c4a8950";

proptest! {
    #[test]
    fn a_row_depends_on_nothing_else(rows in 1_u32..50_000, seed: u64, n in 0_u32..50_000) {
        let (n, sample) = (n % rows, Sample::new(rows, seed));
        for table in SampleTable::ALL {
            let row = sample.row(table, n);
            sample.row(table, n.wrapping_mul(7) % rows);
            prop_assert_eq!(&row, &Sample::new(rows, seed).row(table, n));
            prop_assert_eq!(&row[table.key()], &json!(n));
            let other = Sample::new(rows, seed ^ 1).row(table, n);
            // People are few enough that two seeds may have one in common.
            prop_assert!(table == SampleTable::User || row != other);
        }
    }
}
