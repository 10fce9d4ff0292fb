//! A cron expression of five fields, in UTC.

use std::cmp::Ordering;
use std::str::FromStr;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// When something is due.
#[derive(Clone, Debug)]
pub(crate) struct Schedule(croner::Cron);

/// Not a cron expression.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a cron expression of five fields")]
pub struct NotASchedule {
    text: String,
    source: CronError,
}

impl FromStr for Schedule {
    type Err = NotASchedule;

    fn from_str(text: &str) -> Result<Schedule, NotASchedule> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(text).map(Schedule).map_err(|source| NotASchedule { text: text.to_owned(), source })
    }
}

impl Schedule {
    /// The first time after this one; `None` when there is none, such as for the 30th of February.
    pub(crate) fn after(&self, time: OffsetDateTime) -> Option<OffsetDateTime> {
        self.0.find_next_occurrence(&Utc::of(time), false).ok().map(|found| found.0)
    }

    /// The last time that is not after this one.
    pub(crate) fn last(&self, time: OffsetDateTime) -> Option<OffsetDateTime> {
        self.0.find_previous_occurrence(&Utc::of(time), true).ok().map(|found| found.0)
    }
}

/// A time in UTC, to the second: it has no gaps and nothing in it is ambiguous.
#[derive(Clone)]
struct Utc(OffsetDateTime);

impl Utc {
    fn of(time: OffsetDateTime) -> Utc {
        let time = time.to_offset(time::UtcOffset::UTC);
        Utc(time.replace_nanosecond(0).unwrap_or(time))
    }
}

impl CronDateTime for Utc {
    fn to_civil(&self) -> CivilDateTime {
        let (date, time) = (self.0.date(), self.0.time());
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(date.year(), u32::from(u8::from(date.month())), u32::from(date.day())),
            CivilTime::from_parts_unchecked(u32::from(time.hour()), u32::from(time.minute()), u32::from(time.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().number_days_from_sunday()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Utc>, CronError> {
        let small = |number: u32| u8::try_from(number).map_err(|_| CronError::InvalidDate);
        let month = Month::try_from(small(civil.month())?).map_err(|_| CronError::InvalidDate)?;
        let date = Date::from_calendar_date(civil.year(), month, small(civil.day())?);
        let time = Time::from_hms(small(civil.hour())?, small(civil.minute())?, small(civil.second())?);
        let (date, time) = (date.map_err(|_| CronError::InvalidDate)?, time.map_err(|_| CronError::InvalidTime)?);
        Ok(Resolution::Single(Utc(PrimitiveDateTime::new(date, time).assume_utc())))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Utc> {
        self.0.checked_add(Duration::seconds(seconds)).map(Utc)
    }

    fn cmp_instant(&self, other: &Utc) -> Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn due_times_are_found_both_ways() {
        let noon: Schedule = "0 12 * * *".parse().unwrap();
        assert_eq!(noon.after(datetime!(2026-11-21 11:59:59.5 UTC)), Some(datetime!(2026-11-21 12:00 UTC)));
        assert_eq!(noon.after(datetime!(2026-11-21 12:00 UTC)), Some(datetime!(2026-11-22 12:00 UTC)));
        assert_eq!(noon.last(datetime!(2026-11-21 12:00:00.7 UTC)), Some(datetime!(2026-11-21 12:00 UTC)));
        assert_eq!(noon.last(datetime!(2026-11-21 13:30 +2)), Some(datetime!(2026-11-20 12:00 UTC)));
        let monday: Schedule = "*/15 0-6 * * MON".parse().unwrap();
        assert_eq!(monday.after(datetime!(2026-11-21 12:00 UTC)), Some(datetime!(2026-11-23 00:00 UTC)));
        let leap: Schedule = "0 0 29 2 *".parse().unwrap();
        assert_eq!(leap.after(datetime!(2026-11-21 12:00 UTC)), Some(datetime!(2028-02-29 00:00 UTC)));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "* * * *", "0 12 * * * *", "61 * * * *", "daily"] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }
}
