//! The quick way through a record: a flat JSON object, the way nearly all of them come.
//!
//! It notes where the values of the wanted fields stand and copies nothing. Whatever is unusual (wrapping, nesting, a
//! probe, escapes in a name, anything that is not right) it leaves to the [`Decoder`](super::decode::Decoder), which
//! takes longer and knows the reasons; for what it does read, both say the same.

use crate::config::PROBE_FIELD;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing, or null.
    Null,
    /// A scalar whose text stands in the record as it is.
    Text {
        /// Its first byte.
        from: usize,
        /// The byte behind it.
        to: usize,
    },
    /// A string with escapes, quotes included.
    Escaped {
        /// Its first byte.
        from: usize,
        /// The byte behind it.
        to: usize,
    },
}

/// Finds the values of `fields` in a record; one slot each. `false` when it is not for the quick way: the slots then mean
/// nothing.
pub(super) fn find(record: &str, fields: &[String], slots: &mut Vec<Slot>) -> bool {
    slots.clear();
    slots.resize(fields.len(), Slot::Null);
    Cursor { bytes: record.as_bytes(), at: 0 }.object(fields, slots).is_some()
}

/// A place in a record. Its functions answer `None` for what is not for the quick way.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn object(&mut self, fields: &[String], slots: &mut [Slot]) -> Option<()> {
        self.skip_space();
        self.expect(b'{')?;
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return self.end();
        }
        // Objects of one producer have one order: the next field is most likely the one after the last.
        let mut likely = 0;
        loop {
            let from = self.at + 1;
            if self.string()? {
                return None;
            }
            let name = &self.bytes[from..self.at - 1];
            if name == PROBE_FIELD.as_bytes() {
                return None;
            }
            let column = column(fields, name, likely);
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            let slot = self.scalar()?;
            if let Some(column) = column {
                slots[column] = slot;
                likely = column + 1;
            }
            self.skip_space();
            match self.take()? {
                b',' => self.skip_space(),
                b'}' => return self.end(),
                _ => return None,
            }
        }
    }

    fn scalar(&mut self) -> Option<Slot> {
        let from = self.at;
        Some(match self.peek()? {
            b'"' if self.string()? => Slot::Escaped { from, to: self.at },
            b'"' => Slot::Text { from: from + 1, to: self.at - 1 },
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => {
                self.word(b"null")?;
                Slot::Null
            }
            b'-' | b'0'..=b'9' => {
                self.number()?;
                Slot::Text { from, to: self.at }
            }
            _ => return None,
        })
    }

    /// Goes behind a string; says whether it has escapes.
    fn string(&mut self) -> Option<bool> {
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            self.at = special(self.bytes, self.at);
            match self.take()? {
                b'"' => return Some(escaped),
                b'\\' => {
                    escaped = true;
                    match self.take()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.bytes.get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                // A control character.
                _ => return None,
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<Slot> {
        let (from, to) = (self.at, self.at + word.len());
        if self.bytes.get(from..to)? != word {
            return None;
        }
        self.at = to;
        Some(Slot::Text { from, to })
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }

    /// Nothing but space comes behind the object.
    fn end(&mut self) -> Option<()> {
        self.skip_space();
        (self.at == self.bytes.len()).then_some(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.take()? == byte).then_some(())
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

fn column(fields: &[String], name: &[u8], likely: usize) -> Option<usize> {
    if fields.get(likely).is_some_and(|field| field.as_bytes() == name) {
        return Some(likely);
    }
    fields.iter().position(|field| field.as_bytes() == name)
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

/// The first byte from `from` on that ends a run of ordinary characters of a string: a quote, a backslash or a control
/// character. Eight bytes are looked at together (Warren, "Hacker's Delight", chapter 6: bytes below a bound).
fn special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(eight) = bytes.get(at..at + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
        let word = u64::from_le_bytes(eight);
        // A bit that is not right can only stand above one that is, and the lowest counts.
        let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGH;
        let found =
            below(word, 0x20) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode::Decoder;
    use super::*;

    fn fields() -> Vec<String> {
        ["index", "title", "é"].map(str::to_owned).into()
    }

    /// What the quick way reads, if it takes the record.
    fn quick(record: &str) -> Option<Vec<Option<String>>> {
        let mut slots = Vec::new();
        find(record, &fields(), &mut slots).then(|| {
            let value = |slot: &Slot| match *slot {
                Slot::Null => None,
                Slot::Text { from, to } => Some(record[from..to].to_owned()),
                Slot::Escaped { from, to } => serde_json::from_str(&record[from..to]).ok(),
            };
            slots.iter().map(value).collect()
        })
    }

    #[test]
    fn ordinary_records_take_it() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            quick(r#"{"index":7,"title":"a title","é":true}"#),
            Some(vec![text("7"), text("a title"), text("true")])
        );
        assert_eq!(quick(" {\"é\" : -1.5e+3 , \"x\":\"\\u00e9\\n\"}\r\n"), Some(vec![None, None, text("-1.5e+3")]));
        assert_eq!(quick(r#"{"title":"a\nb","title":"c\td","index":null}"#), Some(vec![None, text("c\td"), None]));
        assert_eq!(quick("{}"), Some(vec![None; 3]));
    }

    #[test]
    fn unusual_records_do_not() {
        let unusual = [
            "",
            "{",
            "[]",
            "\"{}\"",
            "{} {}",
            "{\"index\":{}}",
            "{\"index\":[1]}",
            "{\"index\":01}",
            "{\"index\":1.}",
            "{\"index\":+1}",
            "{\"index\":1,}",
            "{\"index\" 1}",
            "{\"index\":tru}",
            "{\"index\":\"a\nb\"}",
            "{\"index\":\"\\x\"}",
            "{\"index\":\"\\u12g4\"}",
            "{\"ind\\u0065x\":1}",
            "{\"_pinfra_probe\":\"a\"}",
            "\u{feff}{}",
            "{\"index\":\"",
            "{\"index\":\"\\",
        ];
        for record in unusual {
            assert_eq!(quick(record), None, "{record}");
        }
    }

    proptest! {
        /// Whatever comes, it never says anything else than the thorough way.
        #[test]
        fn both_ways_say_the_same(record in r#"\{( ?"(index|title|é|x)" ?: ?("[a-c\\"né/ u0-9]{0,12}"|-?[0-9.eE+-]{1,6}|true|null|\[\]|\{\}),?){0,4}\} ?"#) {
            if let Some(values) = quick(&record) {
                match Decoder::new(fields()).decode(record.as_bytes()) {
                    Ok(decoded) => prop_assert_eq!(&values, &decoded.values),
                    // Half of a surrogate pair.
                    Err(_) => prop_assert!(record.contains("\\u")),
                }
            }
        }

        #[test]
        fn every_text_is_found(index: i64, title: String, other: String) {
            let record = serde_json::json!({"index": index, "x": other, "title": title}).to_string();
            prop_assert_eq!(quick(&record), Some(vec![Some(index.to_string()), Some(title), None]));
        }

        #[test]
        fn the_end_of_ordinary_characters_is_found(bytes: Vec<u8>, from in 0_usize..20) {
            let from = from.min(bytes.len());
            let ends = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
            let expected = bytes[from..].iter().position(ends).map_or(bytes.len(), |at| from + at);
            prop_assert_eq!(special(&bytes, from), expected);
        }
    }
}
