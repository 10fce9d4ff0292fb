//! Methods of texts, as of Java's `String`. Indexes count UTF-16 units there, and so here.

use std::rc::Rc;

use regex::{Captures, Regex, RegexBuilder};

use super::RenderError;
use super::arithmetic::integer;
use super::evaluate::Evaluator;
use super::heap::Value;

impl Evaluator<'_> {
    /// `None` when there is no such method.
    pub(super) fn text_method(
        &mut self,
        text: &Rc<str>,
        name: &str,
        arguments: &[Value],
    ) -> Result<Option<Value>, RenderError> {
        // Each call looks at the whole text: a loop of them is bounded like one that makes it anew.
        self.heap.charge(text.len() / 8)?;
        let mut given = Vec::with_capacity(arguments.len());
        for argument in arguments {
            given.push(self.shown(argument)?);
        }
        let given: Vec<&str> = given.iter().map(|text| &**text).collect();
        let value = match (name, given.as_slice()) {
            ("length", []) => Value::number(text.encode_utf16().count()),
            ("isEmpty", []) => Value::Boolean(text.is_empty()),
            ("contains", [part]) => Value::Boolean(text.contains(part)),
            ("startsWith", [part]) => Value::Boolean(text.starts_with(part)),
            ("endsWith", [part]) => Value::Boolean(text.ends_with(part)),
            ("equalsIgnoreCase", [other]) => Value::Boolean(text.to_lowercase() == other.to_lowercase()),
            ("indexOf", [part]) => place(text, text.find(part)),
            ("lastIndexOf", [part]) => place(text, text.rfind(part)),
            ("trim", []) => self.heap.text(text.trim_matches(|letter| letter <= ' '))?,
            ("toLowerCase", []) => self.heap.text(text.to_lowercase())?,
            ("toUpperCase", []) => self.heap.text(text.to_uppercase())?,
            ("concat", [other]) => self.heap.text(format!("{text}{other}"))?,
            ("replace", [from, to]) => {
                self.bound_replacement(text, to)?;
                self.heap.text(text.replace(from, to))?
            }
            ("replaceAll", [pattern, to]) => {
                self.bound_replacement(text, to)?;
                let replaced = regex(pattern)?.replace_all(text, |found: &Captures<'_>| replacement(to, found));
                self.heap.text(&*replaced)?
            }
            ("replaceFirst", [pattern, to]) => {
                let replaced = regex(pattern)?.replace(text, |found: &Captures<'_>| replacement(to, found));
                self.heap.text(&*replaced)?
            }
            ("matches", [pattern]) => Value::Boolean(regex(&format!("^(?:{pattern})$"))?.is_match(text)),
            ("split", [pattern]) => self.split(text, pattern)?,
            ("charAt", [_]) => {
                slice(text, integer(&arguments[0]), integer(&arguments[0]).map(|at| at.saturating_add(1)))
            }
            ("substring", [_]) => slice(text, integer(&arguments[0]), None),
            ("substring", [_, _]) => match integer(&arguments[1]) {
                None => Value::Null,
                end => slice(text, integer(&arguments[0]), end),
            },
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    /// The longest that a replacement can become, before it is made.
    fn bound_replacement(&mut self, text: &str, to: &str) -> Result<(), RenderError> {
        self.heap.charge(text.len().saturating_add(1).saturating_mul(to.len()) / 4)
    }

    /// Java leaves out empty texts at the end.
    fn split(&mut self, text: &str, pattern: &str) -> Result<Value, RenderError> {
        let mut parts: Vec<&str> = regex(pattern)?.split(text).collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        // A match of nothing at the start makes no part.
        if parts.len() > 1
            && parts[0].is_empty()
            && !text.is_empty()
            && regex(pattern)?.find(text).is_some_and(|found| found.is_empty())
        {
            parts.remove(0);
        }
        self.heap.charge(text.len())?;
        let parts = parts.into_iter().map(Value::text).collect();
        self.heap.list(parts)
    }
}

/// Java's regular expressions as far as `regex` has them, which takes time in proportion to the text. Look-around and
/// back references are refused.
fn regex(pattern: &str) -> Result<Regex, RenderError> {
    RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| RenderError::Template(format!("the local cloud cannot read the regular expression `{pattern}`")))
}

/// Java's notation: `$1` is a group, a backslash takes the next letter as it is.
fn replacement(to: &str, found: &Captures<'_>) -> String {
    let mut text = String::with_capacity(to.len());
    let mut letters = to.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.extend(letters.next()),
            '$' => match letters.peek().and_then(|next| next.to_digit(10)) {
                Some(group) => {
                    letters.next();
                    text.push_str(found.get(group as usize).map_or("", |found| found.as_str()));
                }
                None => text.push('$'),
            },
            letter => text.push(letter),
        }
    }
    text
}

fn place(text: &str, found: Option<usize>) -> Value {
    found.map_or_else(|| Value::number(-1), |at| Value::number(text[..at].encode_utf16().count()))
}

/// Units from `start` to `end`. Out of bounds is an exception in Java and no value in Velocity.
fn slice(text: &str, start: Option<i64>, end: Option<i64>) -> Value {
    let units: Vec<u16> = text.encode_utf16().collect();
    let bound = |at: i64| usize::try_from(at).ok().filter(|at| *at <= units.len());
    let Some(start) = start.and_then(bound) else { return Value::Null };
    let Some(end) = end.map_or(Some(units.len()), bound) else { return Value::Null };
    units.get(start..end).map_or(Value::Null, |part| Value::text(String::from_utf16_lossy(part)))
}
