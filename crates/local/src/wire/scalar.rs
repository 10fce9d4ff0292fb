//! Times, numbers and blobs as text: what the protocols share below the level of shapes.

use serde_json::{Number, Value};
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::model::{Kind, Shape, TimestampFormat};

/// What a text stands for under a scalar shape; the error says what it is not.
pub(crate) fn parse_text(shape: &Shape, text: &str, timestamp: TimestampFormat) -> Result<Value, &'static str> {
    match &shape.kind {
        Kind::Boolean => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("a boolean"),
        },
        Kind::Integer => text.parse::<i32>().map(Value::from).map_err(|_| "an integer"),
        Kind::Long => text.parse::<i64>().map(Value::from).map_err(|_| "a long"),
        Kind::Double => text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number).ok_or("a double"),
        Kind::Timestamp(own) => parse_time(text, own.unwrap_or(timestamp)).ok_or("a timestamp"),
        Kind::Blob if !is_base64(text) => Err("base64"),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// Seconds since the epoch: a whole number where it is one.
pub(crate) fn parse_time(text: &str, format: TimestampFormat) -> Option<Value> {
    let time = match format {
        TimestampFormat::Epoch => return text.parse::<f64>().ok().and_then(epoch_seconds),
        TimestampFormat::Iso8601 => parse_iso(text)?,
        TimestampFormat::HttpDate => parse_http_date(text)?,
    };
    if time.nanosecond() == 0 {
        return Some(Value::from(time.unix_timestamp()));
    }
    epoch_seconds(time.unix_timestamp() as f64 + f64::from(time.nanosecond()) / 1e9)
}

fn parse_iso(text: &str) -> Option<OffsetDateTime> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(time);
    }
    // The AWS CLI passes on what it is given: a date without a zone means UTC.
    let local = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    PrimitiveDateTime::parse(text, &local).ok().map(PrimitiveDateTime::assume_utc)
}

/// The date of HTTP headers, such as `Sun, 30 Aug 2015 12:36:00 GMT`.
pub(crate) fn parse_http_date(text: &str) -> Option<OffsetDateTime> {
    let text = text.strip_suffix("GMT").map_or_else(|| text.to_owned(), |text| format!("{text}+0000"));
    OffsetDateTime::parse(&text, &Rfc2822).ok()
}

fn epoch_seconds(seconds: f64) -> Option<Value> {
    if seconds.fract() == 0.0 && seconds.abs() < 1e15 {
        return Some(Value::from(seconds as i64));
    }
    Number::from_f64(seconds).map(Value::Number)
}

/// Seconds since the epoch in the form that an answer needs.
pub(crate) fn format_time(seconds: f64, format: TimestampFormat) -> Option<String> {
    let millis = (seconds * 1000.0).round();
    let time = OffsetDateTime::from_unix_timestamp_nanos(millis as i128 * 1_000_000).ok()?;
    let text = match format {
        TimestampFormat::Epoch => return Some(seconds.to_string()),
        TimestampFormat::Iso8601 if time.millisecond() == 0 => {
            time.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"))
        }
        TimestampFormat::Iso8601 => {
            time.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"))
        }
        TimestampFormat::HttpDate => time.format(format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        )),
    };
    text.ok()
}

/// How many bytes a valid base64 text stands for.
pub(crate) fn decoded_length(base64: &str) -> usize {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

/// Whether this is canonical base64 with padding, which is what a later decoder will ask for; nothing is decoded.
pub(crate) fn is_base64(text: &str) -> bool {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return false;
    }
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let (digits, _) = bytes.split_at(bytes.len() - padding.min(bytes.len()));
    let all = digits.iter().all(|byte| SEXTET[usize::from(*byte)] < 64);
    // The bits that padding cuts off have to be zero.
    let unused = match padding {
        0 => return all,
        1 => 0b11,
        2 => 0b1111,
        _ => return false,
    };
    all && digits.last().is_some_and(|last| SEXTET[usize::from(*last)] & unused == 0)
}

const SEXTET: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [255u8; 256];
    let mut index = 0;
    while index < alphabet.len() {
        table[alphabet[index] as usize] = index as u8;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_in_every_form() {
        let epoch = Some(Value::from(1_440_938_160));
        assert_eq!(parse_time("2015-08-30T12:36:00Z", TimestampFormat::Iso8601), epoch);
        assert_eq!(parse_time("2015-08-30T12:36:00", TimestampFormat::Iso8601), epoch);
        assert_eq!(parse_time("2015-08-30T14:36:00+02:00", TimestampFormat::Iso8601), epoch);
        assert_eq!(parse_time("Sun, 30 Aug 2015 12:36:00 GMT", TimestampFormat::HttpDate), epoch);
        assert_eq!(parse_time("1440938160", TimestampFormat::Epoch), epoch);
        assert_eq!(parse_time("2015-08-30T12:36:00.25Z", TimestampFormat::Iso8601), Some(Value::from(1440938160.25)));
        assert_eq!(parse_time("yesterday", TimestampFormat::Iso8601), None);

        let formats = [TimestampFormat::Iso8601, TimestampFormat::HttpDate, TimestampFormat::Epoch];
        let texts = formats.map(|format| format_time(1_440_938_160.0, format).unwrap());
        assert_eq!(texts, ["2015-08-30T12:36:00Z", "Sun, 30 Aug 2015 12:36:00 GMT", "1440938160"]);
        assert_eq!(format_time(0.5, TimestampFormat::Iso8601).unwrap(), "1970-01-01T00:00:00.500Z");
    }

    proptest! {
        #[test]
        fn base64_is_judged_as_the_decoder_does(text in "[A-Za-z0-9+/=]{0,12}|[ -~]{0,8}") {
            let decoded = STANDARD.decode(&text);
            prop_assert_eq!(is_base64(&text), decoded.is_ok());
            if let Ok(bytes) = decoded {
                prop_assert_eq!(decoded_length(&text), bytes.len());
            }
        }
    }
}
