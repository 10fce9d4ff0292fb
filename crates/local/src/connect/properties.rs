//! The text of a `.properties` file, as `java.util.Properties.load` reads it.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Keys and values; the last of equal keys counts. The text says what cannot be read.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for line in logical_lines(text) {
        let mut letters = line.chars().peekable();
        let key = unescaped(&mut letters, |letter| letter == '=' || letter == ':' || is_blank(letter))?;
        while letters.next_if(|letter| is_blank(*letter)).is_some() {}
        if letters.next_if(|letter| *letter == '=' || *letter == ':').is_some() {
            while letters.next_if(|letter| is_blank(*letter)).is_some() {}
        }
        let value = unescaped(&mut letters, |_| false)?;
        found.insert(key, value);
    }
    Ok(found)
}

/// Lines that are neither blank nor comments, with those that a backslash continues.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    let joined = text.replace("\r\n", "\n").replace('\r', "\n");
    for line in joined.split('\n') {
        let line = line.trim_start_matches(is_blank);
        let begun = open.is_some();
        if !begun && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let slashes = line.chars().rev().take_while(|letter| *letter == '\\').count();
        let continues = slashes % 2 == 1;
        let part = if continues { &line[..line.len() - 1] } else { line };
        let mut whole = open.take().unwrap_or_default();
        whole.push_str(part);
        if continues { open = Some(whole) } else { lines.push(whole) }
    }
    lines.extend(open);
    lines
}

fn unescaped(letters: &mut Peekable<Chars<'_>>, ends: impl Fn(char) -> bool) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::new();
    while let Some(letter) = letters.next_if(|letter| !ends(*letter)) {
        let meant = match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = letters.by_ref().take(4).collect();
                    let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                    units.push(unit.ok_or_else(|| format!("`\\u{digits}` is no Unicode escape (\\uXXXX)"))?);
                    continue;
                }
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

fn is_blank(letter: char) -> bool {
    letter == ' ' || letter == '\t' || letter == '\u{c}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_as_java_reads_them() {
        let text = "# comment\n! another\nkey.converter = a.B \n  c:d=e\r\nlong=one,\\\n   two\nslash=a\\\\\nflag\nu=\\u00e9\\t\n";
        let found = parse(text).unwrap();
        let expected = [
            ("key.converter", "a.B "),
            ("c", "d=e"),
            ("long", "one,two"),
            ("slash", "a\\"),
            ("flag", ""),
            ("u", "é\t"),
        ];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert!(parse("a=\\u12").is_err());
    }
}
