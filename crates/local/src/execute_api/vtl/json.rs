//! JSON in and out of the heap. Numbers keep their text, members their order, and nesting is bounded.

use std::rc::Rc;

use super::RenderError;
use super::heap::{Entries, Heap, MAX_DEPTH, Value};
use super::show::check_output;

/// Why a text is not read: it is no JSON (and where), or the heap is full.
#[derive(Debug)]
pub(super) enum ReadError {
    Syntax(String),
    Heap(RenderError),
}

impl From<RenderError> for ReadError {
    fn from(error: RenderError) -> ReadError {
        ReadError::Heap(error)
    }
}

/// Reads one JSON value.
pub(super) fn read(text: &str, heap: &mut Heap) -> Result<Value, ReadError> {
    let mut reader = Reader { text, at: 0, heap };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at < text.len() {
        return Err(reader.unexpected("the end"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    heap: &'a mut Heap,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, ReadError> {
        if depth > MAX_DEPTH {
            return Err(ReadError::Syntax(format!("nested deeper than {MAX_DEPTH} levels, at byte {}", self.at)));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let text = self.string()?;
                Ok(self.heap.text(text)?)
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, ReadError> {
        self.at += 1;
        let mut entries = Entries::default();
        self.blanks();
        if self.takes(b'}') {
            return Ok(self.heap.map(entries)?);
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a member name in double quotes"));
            }
            let key: Rc<str> = self.string()?.into();
            self.heap.charge(key.len())?;
            self.blanks();
            if !self.takes(b':') {
                return Err(self.unexpected("`:`"));
            }
            let value = self.value(depth + 1)?;
            entries.put(key, value);
            self.blanks();
            if self.takes(b'}') {
                return Ok(self.heap.map(entries)?);
            }
            if !self.takes(b',') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, ReadError> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.takes(b']') {
            return Ok(self.heap.list(items)?);
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.takes(b']') {
                return Ok(self.heap.list(items)?);
            }
            if !self.takes(b',') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    /// Finds the end of the string; what is between the quotes is unescaped by `serde_json`.
    fn string(&mut self) -> Result<String, ReadError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        let mut plain = true;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    at += 2;
                }
                Some(0..=0x1f) => {
                    self.at = at;
                    return Err(self.unexpected("a control character only as an escape"));
                }
                Some(_) => at += 1,
                None => {
                    self.at = bytes.len();
                    return Err(self.unexpected("the closing `\"` of a string"));
                }
            }
        }
        self.at = at + 1;
        if plain {
            return Ok(self.text[start + 1..at].to_owned());
        }
        serde_json::from_str(&self.text[start..=at])
            .map_err(|error| ReadError::Syntax(format!("a string that cannot be read, at byte {start}: {error}")))
    }

    fn number(&mut self) -> Result<Value, ReadError> {
        let start = self.at;
        self.takes(b'-');
        let integer = self.digits();
        let leading_zero = integer > 1 && self.text.as_bytes()[self.at - integer] == b'0';
        if integer == 0 || leading_zero {
            return Err(self.unexpected("a number"));
        }
        if self.takes(b'.') && self.digits() == 0 {
            return Err(self.unexpected("a digit after the point"));
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.unexpected("an exponent"));
            }
        }
        let text = &self.text[start..self.at];
        self.heap.charge(text.len())?;
        Ok(Value::Number(text.into()))
    }

    fn word(&mut self) -> Result<Value, ReadError> {
        let rest = &self.text[self.at..];
        let words = [("true", Value::Boolean(true)), ("false", Value::Boolean(false)), ("null", Value::Null)];
        for (word, value) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Names the place, never the content: messages are sent back and logged.
    fn unexpected(&self, expected: &str) -> ReadError {
        let found = if self.at >= self.text.len() { "the end of the text" } else { "something else" };
        ReadError::Syntax(format!("expected {expected}, found {found} at byte {}", self.at.min(self.text.len())))
    }
}

/// Writes a value as compact JSON.
pub(super) fn write(value: &Value, heap: &Heap, out: &mut String) -> Result<(), RenderError> {
    write_nested(value, heap, out, 0)
}

fn write_nested(value: &Value, heap: &Heap, out: &mut String, depth: usize) -> Result<(), RenderError> {
    if depth > MAX_DEPTH {
        return Err(RenderError::Template(format!("a value is nested deeper than {MAX_DEPTH} levels")));
    }
    // A list that holds itself twice doubles with each level.
    check_output(out)?;
    match value {
        Value::Null | Value::Input | Value::Util => out.push_str("null"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(number),
        Value::Text(text) => push_json_text(text, out),
        Value::List(list) => {
            out.push('[');
            for (at, item) in heap.items(*list).iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_nested(item, heap, out, depth + 1)?;
            }
            out.push(']');
        }
        Value::Map(map) | Value::Lenient(map) => {
            out.push('{');
            for (at, (key, item)) in heap.entries(*map).items().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_json_text(key, out);
                out.push(':');
                write_nested(item, heap, out, depth + 1)?;
            }
            out.push('}');
        }
        Value::Entry(entry) => {
            out.push('{');
            push_json_text(&entry.0, out);
            out.push(':');
            write_nested(&entry.1, heap, out, depth + 1)?;
            out.push('}');
        }
    }
    Ok(())
}

fn push_json_text(text: &str, out: &mut String) {
    let plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}
