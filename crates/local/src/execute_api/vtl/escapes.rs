//! The encodings of `$util`.

use std::fmt::Write;

/// `$util.escapeJavaScript`, which is `StringEscapeUtils.escapeJavaScript` of Apache Commons Lang 2: also single quotes,
/// slashes and all that is not ASCII.
pub(super) fn escape_java_script(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(8) => out.push_str("\\b"),
            Ok(9) => out.push_str("\\t"),
            Ok(10) => out.push_str("\\n"),
            Ok(12) => out.push_str("\\f"),
            Ok(13) => out.push_str("\\r"),
            Ok(byte @ (b'\'' | b'"' | b'\\' | b'/')) => {
                out.push('\\');
                out.push(char::from(byte));
            }
            Ok(byte @ 0x20..=0x7f) => out.push(char::from(byte)),
            _ => {
                let _never_fails = write!(out, "\\u{unit:04X}");
            }
        }
    }
    out
}

/// `application/x-www-form-urlencoded`, as Java's `URLEncoder` writes it.
pub(super) fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _never_fails = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The way back; what is no escape stays.
pub(super) fn url_decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
