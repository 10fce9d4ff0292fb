//! `path.format`: a date pattern of Joda-Time, such as `'year'=YYYY/'month'=MM/'day'=dd`.

use time::{OffsetDateTime, UtcOffset};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A pattern that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathFormat {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(char, usize),
}

impl PathFormat {
    /// Reads a pattern (`DateTimeFormat.forPattern`). The text says which letter is not there.
    pub(super) fn parse(pattern: &str) -> Result<PathFormat, String> {
        let mut parts = Vec::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter == '\'' {
                // Two quotes are one; in a quoted text as well as outside.
                if letters.next_if_eq(&'\'').is_some() {
                    push(&mut parts, '\'');
                    continue;
                }
                loop {
                    match letters.next() {
                        Some('\'') if letters.next_if_eq(&'\'').is_some() => push(&mut parts, '\''),
                        Some('\'') | None => break,
                        Some(other) => push(&mut parts, other),
                    }
                }
            } else if letter.is_ascii_alphabetic() {
                let mut count = 1;
                while letters.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                if !"yYxwMdDeEaHhkKmsSZ".contains(letter) {
                    return Err(format!("Illegal pattern component: {}", letter.to_string().repeat(count)));
                }
                parts.push(Part::Field(letter, count));
            } else {
                push(&mut parts, letter);
            }
        }
        Ok(PathFormat { parts })
    }

    /// Whether it writes names of months or days, which depend on the language.
    pub(super) fn has_names(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field('M', 3..) | Part::Field('E' | 'a', _)))
    }

    /// The directory of a moment.
    pub(super) fn write(&self, millis: i64, zone: UtcOffset) -> String {
        let nanos = i128::from(millis) * 1_000_000;
        let moment =
            OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(zone);
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Field(letter, count) => out.push_str(&field(*letter, *count, moment)),
            }
        }
        out
    }
}

fn push(parts: &mut Vec<Part>, letter: char) {
    if let Some(Part::Literal(text)) = parts.last_mut() {
        text.push(letter);
    } else {
        parts.push(Part::Literal(letter.to_string()));
    }
}

fn field(letter: char, count: usize, moment: OffsetDateTime) -> String {
    let padded = |number: i64| format!("{number:0count$}");
    let name = |names: &[&str], index: u8| {
        let name = names.get(usize::from(index)).copied().unwrap_or_default();
        if count >= 4 { name.to_owned() } else { name.chars().take(3).collect() }
    };
    let hour = i64::from(moment.hour());
    match letter {
        // Two letters are a year of two digits.
        'y' | 'Y' if count == 2 => format!("{:02}", moment.year().rem_euclid(100)),
        'y' | 'Y' => padded(i64::from(moment.year())),
        'x' if count == 2 => format!("{:02}", moment.to_iso_week_date().0.rem_euclid(100)),
        'x' => padded(i64::from(moment.to_iso_week_date().0)),
        'w' => padded(i64::from(moment.iso_week())),
        'M' if count >= 3 => name(&MONTHS, u8::from(moment.month()) - 1),
        'M' => padded(i64::from(u8::from(moment.month()))),
        'd' => padded(i64::from(moment.day())),
        'D' => padded(i64::from(moment.ordinal())),
        'e' => padded(i64::from(moment.weekday().number_from_monday())),
        'E' => name(&DAYS, moment.weekday().number_days_from_monday()),
        'a' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'H' => padded(hour),
        'k' => padded(if hour == 0 { 24 } else { hour }),
        'K' => padded(hour % 12),
        'h' => padded(if hour % 12 == 0 { 12 } else { hour % 12 }),
        'm' => padded(i64::from(moment.minute())),
        's' => padded(i64::from(moment.second())),
        'S' => {
            format!("{:03}{}", moment.millisecond(), "0".repeat(count.saturating_sub(3))).chars().take(count).collect()
        }
        _ => {
            let (hours, minutes, _) = moment.offset().as_hms();
            let sign = if moment.offset().is_negative() { '-' } else { '+' };
            let colon = if count >= 2 { ":" } else { "" };
            format!("{sign}{:02}{colon}{:02}", hours.abs(), minutes.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pattern: &str) -> String {
        // 2021-10-03T07:08:09.042Z, a Sunday.
        PathFormat::parse(pattern).unwrap().write(1_633_244_889_042, UtcOffset::UTC)
    }

    #[test]
    fn patterns_of_the_connectors_documentation() {
        assert_eq!(written("'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH"), "year=2021/month=10/day=03/hour=07");
        assert_eq!(written("yyyy-MM-dd"), "2021-10-03");
        assert_eq!(written("YY/MMM/MMMM/EEE/EEEE/D/e/w"), "21/Oct/October/Sun/Sunday/276/7/39");
        assert_eq!(written("h a mm:ss.SSS 'o''clock' ''"), "7 AM 08:09.042 o'clock '");
        assert!(PathFormat::parse("'q'=Q").unwrap_err().contains("Illegal pattern component: Q"));
    }

    #[test]
    fn zones_move_the_day() {
        let zone = UtcOffset::from_hms(-8, 0, 0).unwrap();
        assert_eq!(PathFormat::parse("dd-HH ZZ").unwrap().write(1_633_244_889_042, zone), "02-23 -08:00");
    }
}
