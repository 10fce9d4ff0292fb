//! JSON as Jackson's generator writes it: no blanks, UTF-8 as it is, `\u001F` with capitals, bytes as base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::java;
use super::value::Data;

/// Writes a value.
pub(super) fn write(value: &Data, out: &mut Vec<u8>) {
    match value {
        Data::Null => out.extend_from_slice(b"null"),
        Data::Bool(true) => out.extend_from_slice(b"true"),
        Data::Bool(false) => out.extend_from_slice(b"false"),
        Data::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Data::Float(number) => number_text(&java::float(*number), number.is_finite(), out),
        Data::Double(number) => number_text(&java::double(*number), number.is_finite(), out),
        Data::Text(content) => text(content, out),
        Data::Bytes(content) => text(&STANDARD.encode(content), out),
        Data::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Data::Map(members) | Data::Struct(members) => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                text(name, out);
                out.push(b':');
                write(member, out);
            }
            out.push(b'}');
        }
    }
}

/// What is no number of JSON is written in quotes.
fn number_text(printed: &str, finite: bool, out: &mut Vec<u8>) {
    if finite { out.extend_from_slice(printed.as_bytes()) } else { text(printed, out) }
}

fn text(content: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = content.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            other => out.extend_from_slice(format!("\\u{other:04X}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_jackson_does() {
        let value = Data::Map(vec![
            ("a\"\\/".to_owned(), Data::Text("\u{1f}\u{8}\t\n\u{c}\ré😀\u{7f}".to_owned())),
            ("n".to_owned(), Data::List(vec![Data::Int(-1), Data::Double(1e10), Data::Null, Data::Bool(true)])),
            ("b".to_owned(), Data::Bytes(vec![0xff, 0])),
            ("i".to_owned(), Data::Double(f64::INFINITY)),
        ]);
        let mut out = Vec::new();
        write(&value, &mut out);
        let expected = "{\"a\\\"\\\\/\":\"\\u001F\\b\\t\\n\\f\\ré😀\u{7f}\",\"n\":[-1,1.0E10,null,true],\"b\":\"/wA=\",\"i\":\"Infinity\"}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
