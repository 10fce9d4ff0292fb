//! What dirty text means: numbers, counts and times, or nothing. Pure, and the same for every table.
//!
//! Each function answers `None` for text that does not have its form; none of them guesses.

use time::{Date, Month, PrimitiveDateTime, Time};

/// `[0-9]{1,10}` with or without a minus before it, within 32 bits.
pub(crate) fn int(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 10 || !all_digits(digits) {
        return None;
    }
    text.parse().ok()
}

/// A decimal number as JSON writes it, such as `-89.9787` or `1e-3`, and finite.
pub(crate) fn double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    if !all_digits(whole) || !fraction.is_none_or(all_digits) || !exponent.is_none_or(all_digits) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `437`, or thousands as `5k` and `1.2k`, or millions as `2M`: rounded to a whole number, half away from zero, within 32
/// bits. A point only belongs to a number with a suffix.
pub(crate) fn count(text: &str) -> Option<i32> {
    let (number, zeros) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 3),
        b'M' => (&text[..text.len() - 1], 6),
        _ => (text, 0),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if zeros > 0 && all_digits(fraction) => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    if !all_digits(whole) {
        return None;
    }
    // In digits rather than in floating point, where `1.0005k` would depend on how it is stored.
    let mut value: u64 = 0;
    let shifted = fraction.bytes().chain(std::iter::repeat(b'0')).take(zeros);
    for digit in whole.bytes().chain(shifted) {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    let half = fraction.as_bytes().get(zeros).is_some_and(|&digit| digit >= b'5');
    i32::try_from(value.checked_add(u64::from(half))?).ok()
}

/// `2020-08-28T03:52:47` as microseconds since 1970 in UTC. A space for the `T`, a fraction of a second (what is below a
/// microsecond is cut off) and a trailing `Z` are fine; a date or a time of day that does not exist is not.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (seconds, fraction) = match text.split_once('.') {
        Some((seconds, fraction)) if all_digits(fraction) => (seconds, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let bytes = seconds.as_bytes();
    if bytes.len() != "YYYY-MM-DDTHH:MM:SS".len()
        || [bytes[4], bytes[7], bytes[13], bytes[16]] != *b"--::"
        || !matches!(bytes[10], b'T' | b' ')
    {
        return None;
    }
    let month = Month::try_from(u8::try_from(digits(&bytes[5..7])?).ok()?).ok()?;
    let part = |from: usize| u8::try_from(digits(&bytes[from..from + 2])?).ok();
    // The year 0 is in no calendar that people date posts by, and not every reader of the tables has it.
    let year = digits(&bytes[..4]).filter(|&year| year > 0)?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, part(8)?).ok()?;
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    let time = Time::from_hms_micro(part(11)?, part(14)?, part(17)?, micros).ok()?;
    i64::try_from(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp_nanos() / 1000).ok()
}

/// At least one digit, and nothing else.
fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number that a few bytes write.
fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers() {
        let good =
            [("0", 0), ("-0", 0), ("7528", 7528), ("0012", 12), ("2147483647", i32::MAX), ("-2147483648", i32::MIN)];
        for (text, number) in good {
            assert_eq!(int(text), Some(number), "{text}");
        }
        for text in ["", "-", "+1", " 1", "1 ", "1.0", "1e3", "2147483648", "00000000001", "--1", "٣", "abc", "1\u{0}"]
        {
            assert_eq!(int(text), None, "{text}");
        }
    }

    #[test]
    fn decimal_numbers() {
        for (text, number) in [("-89.9787", -89.9787), ("0", 0.0), ("1e3", 1000.0), ("2.5E-1", 0.25), ("-0.0", -0.0)] {
            assert_eq!(double(text), Some(number), "{text}");
        }
        for text in ["", "-", ".5", "5.", "1e", "inf", "NaN", "nan", "infinity", "1e999", " 1", "0x10", "1_000", "+1"] {
            assert_eq!(double(text), None, "{text}");
        }
    }

    #[test]
    fn follower_counts() {
        let good = [
            ("437", 437),
            ("5k", 5_000),
            ("1.2k", 1_200),
            ("124k", 124_000),
            ("2M", 2_000_000),
            ("15M", 15_000_000),
            ("0", 0),
            ("0k", 0),
            ("1.0005k", 1_001),
            ("1.00049k", 1_000),
            ("0.5M", 500_000),
            ("2.147483647M", 2_147_484),
            ("2147483647", i32::MAX),
            ("2147.483647M", i32::MAX),
            ("000000000000437", 437),
        ];
        for (text, number) in good {
            assert_eq!(count(text), Some(number), "{text}");
        }
        let bad = [
            "",
            "k",
            "M",
            "User Info Error",
            "1.5",
            "1.k",
            ".5k",
            "1,234",
            "5K",
            "5m",
            "1B",
            "-5k",
            "5 k",
            " 5k",
            "5kk",
            "1.2.3k",
            "2147483648",
            "2148M",
            "99999999999999999999999M",
            "é",
            "5é",
        ];
        for text in bad {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn times() {
        let second = 1_598_586_767_000_000;
        let good = [
            ("2020-08-28T03:52:47", second),
            ("2020-08-28 03:52:47", second),
            ("2020-08-28T03:52:47Z", second),
            ("2020-08-28 03:52:47.5", second + 500_000),
            ("2020-08-28T03:52:47.1234567Z", second + 123_456),
            ("1970-01-01T00:00:00", 0),
            ("1969-12-31T23:59:59.999999", -1),
            ("2020-02-29T00:00:00", 1_582_934_400_000_000),
        ];
        for (text, micros) in good {
            assert_eq!(timestamp(text), Some(micros), "{text}");
        }
        let bad = [
            "",
            "2020-08-28",
            "2020:08:28 03:52:47",
            "08/28/2020, 03:52:47",
            "2021-02-29T00:00:00",
            "2020-13-01T00:00:00",
            "2020-08-28T24:00:00",
            "2020-08-28T23:59:60",
            "2020-08-28T03:52:47.",
            "2020-08-28T03:52:47+00:00",
            "2020-08-28t03:52:47",
            "2020-8-28T03:52:47",
            "0000-01-01T00:00:00",
            "2020-08-28T03:52:4é",
            " 2020-08-28T03:52:47",
            "2020-08-28T03:52:47 Z",
        ];
        for text in bad {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_int_is_read_back(number: i32) {
            prop_assert_eq!(int(&number.to_string()), Some(number));
        }

        #[test]
        fn every_double_is_read_back(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
            prop_assert_eq!(double(&number.to_string()), Some(number));
            prop_assert_eq!(double(&format!("{number:e}")), Some(number));
        }

        #[test]
        fn counts_are_what_a_decimal_says(whole in 0_u64..3_000_000, thousandths in 0_u64..1000, million: bool) {
            let text = format!("{whole}.{thousandths:03}{}", if million { 'M' } else { 'k' });
            let value = (whole * 1000 + thousandths) * if million { 1000 } else { 1 };
            prop_assert_eq!(count(&text), i32::try_from(value).ok());
        }

        #[test]
        fn every_second_is_read_back(seconds in -62_135_596_800_i64..253_402_300_800) {
            let time = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
            prop_assert_eq!(timestamp(&time.format(&format).unwrap()), Some(seconds * 1_000_000));
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC*") {
            let read = (int(&text), double(&text), count(&text), timestamp(&text));
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert!(digits || int(&text).is_none() || text.starts_with('-'), "{:?}", read);
        }
    }
}
