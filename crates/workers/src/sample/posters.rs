//! Who posts. One poster has one name, one follower count, one location and is one person; only the time and the pin
//! differ from post to post. What is popular comes early in every other column: low age, early join date, low
//! coordinates, names and countries from the start of the alphabet.

use super::countries::COUNTRIES;
use super::draws::{Draws, bunched, doubled, skewed};
use super::names::{FAMILY_NAMES, GIVEN_NAMES, HANDLES, PLACES, QUALITIES, THINGS};
use super::time::seconds;

/// Stands in `poster_name` and `follower_count` where the poster could not be read.
pub(super) const USER_INFO_ERROR: &str = "User Info Error";
/// Posters per row of a table.
const POSTERS_PER_ROW: f64 = 0.54;
/// The share of rows that comes from the few prolific posters.
const FROM_PROLIFIC: f64 = 0.20;
/// How many posters are prolific; the first of them has a tenth of their rows.
const PROLIFIC: u64 = 40;

/// Somebody who posts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Poster {
    pub(super) name: String,
    pub(super) followers: String,
    pub(super) country: &'static str,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    pub(super) age: u32,
    /// Seconds since 1970.
    pub(super) joined: i64,
}

/// Whose row is number `n`.
pub(super) fn number(rows: u32, seed: u64, n: u32) -> u64 {
    let mut draws = Draws::new(seed, 1, u64::from(n));
    if draws.chance(FROM_PROLIFIC) {
        return prolific(draws.unit());
    }
    let others = ((f64::from(rows) * POSTERS_PER_ROW) as u64).max(1);
    PROLIFIC + draws.below(others)
}

/// The poster of this number, of whom there is one in a sample.
pub(super) fn poster(seed: u64, number: u64) -> Poster {
    let mut draws = Draws::new(seed, 2, number);
    // Where the poster stands from the most popular (0) to the least (1).
    let rank = if number < PROLIFIC { (number * 7 % PROLIFIC) as f64 / 100.0 } else { draws.unit() };
    let followers = if number < PROLIFIC { famous(number) } else { followers(&mut draws, rank) };
    let age = 20 + skewed(draws.near(rank, 0.05), 41) as u32;
    let joined = seconds(2015, 10, 21) as f64 + JOINING_SECONDS * bunched(draws.near(rank, 0.05));
    let name_rank = draws.near(rank, 0.05);
    Poster {
        name: name(number, &mut draws),
        followers,
        country: COUNTRIES[skewed(draws.near(rank, 0.05), COUNTRIES.len())],
        latitude: six_digits(-90.0 + 180.0 * bunched(draws.near(rank, 0.05))),
        longitude: six_digits(-180.0 + 360.0 * bunched(draws.near(rank, 0.05))),
        first_name: GIVEN_NAMES[skewed(name_rank, GIVEN_NAMES.len())],
        last_name: FAMILY_NAMES[skewed(draws.near(name_rank, 0.05), FAMILY_NAMES.len())],
        age,
        // Two people who joined in the same second would be one where name and age agree as well.
        joined: joined as i64 + draws.below(86_400) as i64,
    }
}

/// Whom all rows without a readable poster belong to.
pub(super) fn unreadable() -> Poster {
    Poster {
        name: USER_INFO_ERROR.to_owned(),
        followers: USER_INFO_ERROR.to_owned(),
        country: "Albania",
        latitude: -89.9787,
        longitude: -173.293,
        first_name: "Abigail",
        last_name: "Ali",
        age: 20,
        joined: seconds(2015, 10, 24) + 11 * 3600 + 23 * 60 + 51,
    }
}

/// People joined from 2015-10-21 to 2017-10-20 (a day is left for the spread within it): before the first post.
const JOINING_SECONDS: f64 = 728.0 * 86_400.0;

/// Which of the prolific posters, for `value` in 0..1: poster k has a weight of 1/(k + 4).
fn prolific(value: f64) -> u64 {
    let all: f64 = (0..PROLIFIC).map(|k| 1.0 / (k + 4) as f64).sum();
    let mut left = value * all;
    for k in 0..PROLIFIC {
        left -= 1.0 / (k + 4) as f64;
        if left < 0.0 {
            return k;
        }
    }
    PROLIFIC - 1
}

/// The follower counts of the prolific: a quarter of their rows has millions, and one poster has the most of all.
fn famous(number: u64) -> String {
    match number {
        3 => "15M".to_owned(),
        8 | 21 => "8M".to_owned(),
        5 => "6M".to_owned(),
        11 => "5M".to_owned(),
        14 => "3M".to_owned(),
        17 => "2M".to_owned(),
        24 | 30 | 36 => "1M".to_owned(),
        _ => format!("{}k", 40 + number * 577 % 400),
    }
}

/// The follower counts of all others, as text: millions for 3 %, thousands for 76 %, plain below 1,000 for 21 %.
fn followers(draws: &mut Draws, rank: f64) -> String {
    // A third of the posters has a count that has nothing to do with the rest of them.
    let rank = if draws.chance(0.3) { draws.unit() } else { draws.near(rank, 0.2) };
    if rank < 0.03 {
        let millions = ["1M", "1M", "1M", "2M", "2M", "3M", "4M", "5M", "6M"];
        return draws.one(&millions).to_owned();
    }
    if rank < 0.79 {
        let up = 1.0 - (rank - 0.03) / 0.76;
        return format!("{}k", doubled(9.92 * up * up.sqrt().sqrt()).floor());
    }
    let down = (rank - 0.79) / 0.21;
    format!("{}", (940.0 * (1.0 - down)).floor())
}

/// A name that no other number has: the styles cannot be mistaken for each other, and a style's parts say the number.
fn name(number: u64, draws: &mut Draws) -> String {
    let style = number % 10;
    let rest = number / 10;
    let (a, rest) = (rest % QUALITIES.len() as u64, rest / QUALITIES.len() as u64);
    let (b, rest) = (rest % THINGS.len() as u64, rest / THINGS.len() as u64);
    // Spread, so that neighbours are not called alike; a bijection, so that nobody is called like another.
    let b = (b + a * 7) % THINGS.len() as u64;
    let (quality, thing) = (QUALITIES[a as usize], THINGS[b as usize]);
    let more = if rest == 0 { String::new() } else { format!(" {}", rest + 1) };
    match style {
        0 | 1 => {
            let article = if style == 0 { "The " } else { "" };
            format!("{article}{quality} {thing}{more}")
        }
        2 => format!("{quality}{thing}{more}"),
        3 => format!("{thing} & {quality}{more}"),
        4 => format!("{quality} {thing} Blog{more}"),
        5 => format!("{quality} {thing} | {}{more}", draws.one(PLACES)),
        // People: as many pairs as above, from lists at least as long.
        6 | 7 => {
            let family = FAMILY_NAMES[b as usize % FAMILY_NAMES.len()];
            let initial = if style == 6 { "" } else { "J. " };
            let given = GIVEN_NAMES[a as usize % GIVEN_NAMES.len()];
            format!("{given} {initial}{family}{more}")
        }
        8 => format!("{}{}{}{more} ", draws.one(HANDLES), quality.to_lowercase(), thing.to_lowercase()),
        _ if draws.chance(0.05) => long_name(quality, thing, &more, draws),
        _ => format!("{quality} {thing}, {}{more}", draws.one(PLACES)),
    }
}

/// A few posters tell their life in their name, up to about 270 characters of it.
fn long_name(quality: &str, thing: &str, more: &str, draws: &mut Draws) -> String {
    let mut name = format!("{quality} {thing}{more} | {{ideas & inspiration}}");
    let length = 120 + draws.below(120) as usize;
    while name.chars().count() < length {
        name.push_str(&format!(" | {} {}", draws.one(QUALITIES), draws.one(THINGS)));
    }
    name
}

/// A number as a FLOAT column shows it: six significant digits.
fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().expect("a number that was just written can be read")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_two_posters_share_a_name() {
        let mut seen = BTreeMap::new();
        for number in 0..30_000 {
            let poster = poster(7, number);
            assert!(poster.name.chars().count() <= 280, "{}", poster.name);
            if let Some(other) = seen.insert(poster.name.clone(), number) {
                panic!("{number} and {other} are both `{}`", poster.name);
            }
        }
    }

    #[test]
    fn coordinates_have_six_digits() {
        assert_eq!(six_digits(-89.978_712_3), -89.9787);
        assert_eq!(six_digits(-173.293_49), -173.293);
        assert_eq!(six_digits(0.001_234_567_8), 0.001_234_57);
    }

    #[test]
    fn the_prolific_have_their_shares() {
        let draws = 100_000;
        let mut counts = vec![0_u32; PROLIFIC as usize];
        for i in 0..draws {
            counts[prolific(f64::from(i) / f64::from(draws)) as usize] += 1;
        }
        assert!((9_000..11_000).contains(&counts[0]), "{}", counts[0]);
        assert!(counts.windows(2).all(|pair| pair[0] >= pair[1]) && counts[39] > 0);
    }
}
