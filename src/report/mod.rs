//! All that people and programs read: plans, progress, errors, summaries. Nothing else prints.

pub mod columns;
pub mod diagnostic;
pub mod drift;
pub mod failure;
pub mod hops;
pub mod junit;
pub mod markdown;
mod members;
pub mod out;
pub mod page;
pub mod paint;
pub mod patch;
pub mod plan;
pub mod progress;
pub mod rows;
pub mod sarif;
pub mod spinner;
pub mod summary;
pub mod svg;
pub mod value;

use std::time::Duration;

pub use failure::Failure;
pub use page::Page;
pub use paint::Paint;

/// `n` of something, with its plural.
pub fn count(n: usize, one: &str) -> String {
    let plural = if one.ends_with('y') { format!("{}ies", one.trim_end_matches('y')) } else { format!("{one}s") };
    format!("{n} {}", if n == 1 { one } else { &plural })
}

/// A duration as people say it.
pub fn duration(of: Duration) -> String {
    let seconds = of.as_secs_f64();
    if seconds < 0.095 {
        format!("{} ms", of.as_millis().max(1))
    } else if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else if seconds < 5_400.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said: Vec<String> =
            [3, 300, 9_900, 59_000, 120_000, 7_200_000].map(|ms| duration(Duration::from_millis(ms))).into();
        assert_eq!(said, ["3 ms", "0.3 s", "9.9 s", "59 s", "2 min", "2.0 h"]);
    }

    #[test]
    fn counts_have_their_plural() {
        assert_eq!([count(1, "stream"), count(2, "stream"), count(0, "entry")], ["1 stream", "2 streams", "0 entries"]);
    }
}
