//! Date-times as the emulator sends them: ISO 8601 to the second, without a zone.

use time::{Date, Month, OffsetDateTime};

/// Seconds from 1970 to the start of a day.
pub(super) fn seconds(year: i32, month: u8, day: u8) -> i64 {
    let month = Month::try_from(month).expect("the caller writes a month");
    Date::from_calendar_date(year, month, day)
        .expect("the caller writes a date")
        .midnight()
        .assume_utc()
        .unix_timestamp()
}

/// Such as `2020-08-28T03:52:47`.
pub(super) fn iso8601(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).expect("a sample stays within this century");
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", u8::from(month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_isoformat_of_python_gives() {
        assert_eq!(iso8601(seconds(2020, 8, 28) + 3 * 3600 + 52 * 60 + 47), "2020-08-28T03:52:47");
        assert_eq!(iso8601(seconds(2020, 2, 29)), "2020-02-29T00:00:00");
    }
}
