//! JSONPath as templates use it: `$.a`, `['a']`, `[n]`, `[*]`, `..a`, slices and unions. Filters and functions are refused.
//!
//! A path that can only mean one value (names and indexes) gives that value; any other gives a list, as Jayway's
//! implementation does, which API Gateway uses.

use super::RenderError;
use super::heap::{Heap, MAX_DEPTH, Value};

/// Values that one path may select.
const MAX_SELECTED: usize = 1_000_000;

/// A parsed path.
#[derive(Debug, PartialEq)]
pub(super) struct JsonPath {
    steps: Vec<Step>,
    definite: bool,
}

#[derive(Debug, PartialEq)]
enum Step {
    Names(Vec<String>),
    Indexes(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    All,
    /// The value and everything below it.
    Descend,
}

impl JsonPath {
    /// Reads a path; the problem is for people.
    pub(super) fn parse(text: &str) -> Result<JsonPath, String> {
        let text = text.trim();
        // Jayway puts `$.` before a path that has none.
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let rooted = rest.len() < text.len();
        let mut steps = Vec::new();
        if !rooted && !rest.is_empty() && !rest.starts_with(['[', '.']) {
            rest = name_step(rest, &mut steps)?;
        }
        while !rest.is_empty() {
            rest = if let Some(after) = rest.strip_prefix("..") {
                steps.push(Step::Descend);
                if after.starts_with('[') { after } else { name_step(after, &mut steps)? }
            } else if let Some(after) = rest.strip_prefix('.') {
                if after.starts_with('[') { after } else { name_step(after, &mut steps)? }
            } else if let Some(after) = rest.strip_prefix('[') {
                bracket_step(after, &mut steps)?
            } else {
                return Err(format!("`.` or `[` is expected before `{rest}`"));
            };
        }
        let single = |step: &Step| match step {
            Step::Names(names) => names.len() == 1,
            Step::Indexes(indexes) => indexes.len() == 1,
            _ => false,
        };
        Ok(JsonPath { definite: steps.iter().all(single), steps })
    }

    /// What the path selects: `None` when it can only mean one value, and that is not there.
    pub(super) fn select(&self, root: &Value, heap: &mut Heap) -> Result<Option<Value>, RenderError> {
        let mut selected = vec![root.clone()];
        for step in &self.steps {
            let mut next = Vec::new();
            for value in &selected {
                step.select(value, heap, &mut next);
                if next.len() > MAX_SELECTED {
                    return Err(RenderError::Template(format!("a JSONPath selects more than {MAX_SELECTED} values")));
                }
            }
            selected = next;
        }
        if self.definite { Ok(selected.pop()) } else { heap.list(selected).map(Some) }
    }
}

impl Step {
    fn select(&self, value: &Value, heap: &Heap, found: &mut Vec<Value>) {
        match (self, value) {
            (Step::Names(names), Value::Map(map)) => {
                found.extend(names.iter().filter_map(|name| heap.entries(*map).get(name).cloned()));
            }
            (Step::Indexes(indexes), Value::List(list)) => {
                let items = heap.items(*list);
                found.extend(indexes.iter().filter_map(|index| items.get(place(*index, items.len())?).cloned()));
            }
            (Step::Slice(start, end), Value::List(list)) => {
                let items = heap.items(*list);
                let bound = |at: &Option<i64>, default: usize| match at {
                    None => default,
                    Some(at) if *at < 0 => place(*at, items.len()).unwrap_or(0),
                    Some(at) => usize::try_from(*at).unwrap_or(usize::MAX).min(items.len()),
                };
                let (start, end) = (bound(start, 0), bound(end, items.len()));
                found.extend(items.get(start..end).into_iter().flatten().cloned());
            }
            (Step::All, Value::List(list)) => found.extend_from_slice(heap.items(*list)),
            (Step::All, Value::Map(map)) => {
                found.extend(heap.entries(*map).items().iter().map(|(_, value)| value.clone()));
            }
            (Step::Descend, value) => descend(value, heap, found, 0),
            _ => {}
        }
    }
}

fn descend(value: &Value, heap: &Heap, found: &mut Vec<Value>, depth: usize) {
    if depth > MAX_DEPTH || found.len() > MAX_SELECTED {
        return;
    }
    found.push(value.clone());
    match value {
        Value::List(list) => heap.items(*list).iter().for_each(|item| descend(item, heap, found, depth + 1)),
        Value::Map(map) => {
            heap.entries(*map).items().iter().for_each(|(_, item)| descend(item, heap, found, depth + 1));
        }
        _ => {}
    }
}

/// Negative indexes count from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    let index = isize::try_from(index).ok()?;
    if index < 0 { length.checked_add_signed(index) } else { usize::try_from(index).ok() }
}

/// A name up to the next `.` or `[`, or `*`.
fn name_step<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, String> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err("a name is missing".to_owned());
    }
    if name.contains(['(', ')', '?', '@', '\'', '"', ' ']) {
        return Err(format!("`{name}` is not a name; names with signs are written `['name']`"));
    }
    steps.push(if name == "*" { Step::All } else { Step::Names(vec![name.to_owned()]) });
    Ok(rest)
}

/// What is in brackets, up to the closing one.
fn bracket_step<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, String> {
    let text = text.trim_start();
    if text.starts_with(['\'', '"']) {
        let mut names = Vec::new();
        let mut rest = text;
        loop {
            let quote =
                rest.chars().next().filter(|quote| ['\'', '"'].contains(quote)).ok_or("a quoted name is missing")?;
            let (name, after) = quoted(&rest[1..], quote)?;
            names.push(name);
            let after = after.trim_start();
            if let Some(after) = after.strip_prefix(']') {
                steps.push(Step::Names(names));
                return Ok(after);
            }
            rest = after.strip_prefix(',').ok_or("`,` or `]` is missing after a name")?.trim_start();
        }
    }
    let (inside, rest) = text.split_once(']').ok_or("`]` is missing")?;
    let inside = inside.trim();
    let number =
        |text: &str| text.trim().parse::<i64>().map_err(|_| format!("`[{inside}]` is not an index, a slice or `*`"));
    if inside == "*" {
        steps.push(Step::All);
    } else if let Some((start, end)) = inside.split_once(':') {
        let bound = |text: &str| if text.trim().is_empty() { Ok(None) } else { number(text).map(Some) };
        steps.push(Step::Slice(bound(start)?, bound(end)?));
    } else {
        steps.push(Step::Indexes(inside.split(',').map(number).collect::<Result<_, _>>()?));
    }
    Ok(rest)
}

fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, letter)| letter)),
            letter if letter == quote => return Ok((name, &text[at + letter.len_utf8()..])),
            letter => name.push(letter),
        }
    }
    Err("the closing quote of a name is missing".to_owned())
}
