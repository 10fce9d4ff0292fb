//! When a record happened: the timestamp extractors of `TimeBasedPartitioner`, and time zones.

use time::{Date, Month, Time, UtcOffset};

use super::value::Data;

/// `timestamp.extractor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extractor {
    /// The time at which the record is written.
    Wallclock,
    /// The record's own timestamp.
    Record,
    /// A field of the value: a number of milliseconds, or an ISO 8601 text.
    Field(String),
}

impl Extractor {
    /// Milliseconds since the epoch. The text says why there are none.
    pub(super) fn extract(&self, timestamp_millis: i64, value: &Data, now_millis: i64) -> Result<i64, String> {
        match self {
            Extractor::Wallclock => Ok(now_millis),
            Extractor::Record if timestamp_millis < 0 => {
                Err("Unable to determine timestamp using timestamp.extractor Record: the record has none".to_owned())
            }
            Extractor::Record => Ok(timestamp_millis),
            Extractor::Field(field) => match value.nested(field) {
                Some(Data::Int(millis)) => Ok(*millis),
                Some(Data::Double(millis)) => Ok(*millis as i64),
                Some(Data::Float(millis)) => Ok(*millis as i64),
                Some(Data::Text(text)) => iso(text).ok_or_else(|| {
                    format!(
                        "Invalid format: \"{text}\" of the field `{field}` is no ISO 8601 time (2026-01-31T12:00:00Z)"
                    )
                }),
                Some(other) => {
                    Err(format!("Error extracting timestamp from record field: {field}: it is {}", other.kind()))
                }
                None => Err(format!(
                    "Error extracting timestamp from record field: {field}: the value is {} without it",
                    value.kind()
                )),
            },
        }
    }
}

/// The text of `ISODateTimeFormat.dateTimeParser` as far as calendar dates go: `yyyy[-MM[-dd]]['T'HH[:mm[:ss[.fraction]]]]`
/// and an offset; UTC where it has none.
fn iso(text: &str) -> Option<i64> {
    let (date, clock) = text.split_once('T').map_or((text, None), |(date, clock)| (date, Some(clock)));
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| number(part, 2))?;
    let day = parts.next().map_or(Some(1), |part| number(part, 2))?;
    if parts.next().is_some() {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    let (clock, offset) = clock.map_or(Some(("", UtcOffset::UTC)), split_offset)?;
    let time = if clock.is_empty() { Time::MIDNIGHT } else { time_of(clock)? };
    let moment = date.with_time(time).assume_offset(offset);
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

fn time_of(clock: &str) -> Option<Time> {
    let (whole, fraction) = clock.split_once(['.', ',']).map_or((clock, ""), |(whole, fraction)| (whole, fraction));
    let mut parts = whole.split(':');
    let mut next = || parts.next().map_or(Some(0), |part| number(part, 2));
    let (hour, minute, second) = (next()?, next()?, next()?);
    if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: u16 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let byte = |number: i32| u8::try_from(number).ok();
    Time::from_hms_milli(byte(hour)?, byte(minute)?, byte(second)?, millis).ok()
}

fn split_offset(clock: &str) -> Option<(&str, UtcOffset)> {
    if let Some(clock) = clock.strip_suffix('Z') {
        return Some((clock, UtcOffset::UTC));
    }
    match clock.find(['+', '-']) {
        Some(at) => Some((&clock[..at], fixed_offset(&clock[at..])?)),
        None => Some((clock, UtcOffset::UTC)),
    }
}

fn number(text: &str, digits: usize) -> Option<i32> {
    let good = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

/// A time zone of `timezone`: UTC by its names, or a fixed offset. Regions with rules are not there.
pub(super) fn zone(name: &str) -> Option<UtcOffset> {
    match name {
        "UTC" | "GMT" | "Z" | "UCT" | "Zulu" | "Etc/UTC" | "Etc/GMT" | "Etc/UCT" | "Etc/Zulu" | "Universal" => {
            Some(UtcOffset::UTC)
        }
        offset => fixed_offset(offset),
    }
}

fn fixed_offset(text: &str) -> Option<UtcOffset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits = rest.replace(':', "");
    let hours: i8 = digits.get(..2)?.parse().ok()?;
    let minutes: i8 = if digits.len() == 2 { 0 } else { digits.get(2..)?.parse().ok()? };
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_are_read() {
        assert_eq!(iso("1970-01-01T00:00:01.5Z"), Some(1_500));
        assert_eq!(iso("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(iso("1970-01-02"), Some(86_400_000));
        assert_eq!(iso("1970"), Some(0));
        assert_eq!(iso("2018-11-05 12:00:00"), None, "a blank is no `T`, as for Joda");
        assert_eq!(iso("1970-13-01"), None);
    }

    #[test]
    fn a_field_is_found_by_its_path() {
        let value = Data::Map(vec![("a".to_owned(), Data::Map(vec![("t".to_owned(), Data::Int(7))]))]);
        assert_eq!(Extractor::Field("a.t".to_owned()).extract(0, &value, 0), Ok(7));
        assert!(Extractor::Field("b".to_owned()).extract(0, &value, 0).unwrap_err().contains("without it"));
        assert!(Extractor::Record.extract(-1, &value, 0).is_err());
        assert_eq!(Extractor::Wallclock.extract(1, &value, 9), Ok(9));
    }

    #[test]
    fn zones_are_utc_or_offsets() {
        assert_eq!(zone("UTC"), Some(UtcOffset::UTC));
        assert_eq!(zone("+05:30"), UtcOffset::from_hms(5, 30, 0).ok());
        assert_eq!(zone("Europe/Berlin"), None);
    }
}
