//! Values while a template is rendered. Lists and maps are shared by their place in the heap, as Java shares objects:
//! whoever changes one changes it for all who hold it. The heap is dropped as a whole, so cycles do no harm.

use std::collections::HashMap;
use std::rc::Rc;

use super::RenderError;

/// Integration payloads end at 10 MB ("Quotas", API Gateway developer guide); a template may make a few such texts.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Deeper than any event; bounds the recursion of all that walks values.
pub(super) const MAX_DEPTH: usize = 256;

/// From so many entries on, a map is found by hash.
const INDEXED_FROM: usize = 16;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    /// As written: `1.0` stays `1.0`, and no digit of a large integer is lost.
    Number(Rc<str>),
    Text(Rc<str>),
    List(usize),
    Map(usize),
    /// One of `entrySet()`.
    Entry(Rc<(Rc<str>, Value)>),
    /// `$context` and what is below: a map in which nothing is missing, only empty.
    Lenient(usize),
    Input,
    Util,
}

/// A map that keeps the order in which keys were put.
#[derive(Debug, Default)]
pub(super) struct Entries {
    items: Vec<(Rc<str>, Value)>,
    index: HashMap<Rc<str>, usize>,
}

/// All lists and maps of one rendering.
#[derive(Debug, Default)]
pub(super) struct Heap {
    lists: Vec<Vec<Value>>,
    maps: Vec<Entries>,
    bytes: usize,
}

impl Value {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Value {
        Value::Text(text.into())
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers are copied, and read better without `&`")]
    pub(super) fn number(number: impl ToString) -> Value {
        Value::Number(number.to_string().into())
    }

    /// What Velocity 1.7 holds for true: all but null and `false`.
    pub(super) fn is_true(&self) -> bool {
        !matches!(self, Value::Null | Value::Boolean(false))
    }
}

impl Entries {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.place(key).map(|place| &self.items[place].1)
    }

    /// The value that was there before.
    pub(super) fn put(&mut self, key: Rc<str>, value: Value) -> Option<Value> {
        if let Some(place) = self.place(&key) {
            return Some(std::mem::replace(&mut self.items[place].1, value));
        }
        if self.items.len() >= INDEXED_FROM {
            if self.index.is_empty() {
                self.index = self.items.iter().enumerate().map(|(at, (key, _))| (Rc::clone(key), at)).collect();
            }
            self.index.insert(Rc::clone(&key), self.items.len());
        }
        self.items.push((key, value));
        None
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Value> {
        let place = self.place(key)?;
        self.index.clear();
        let (_, value) = self.items.remove(place);
        if self.items.len() > INDEXED_FROM {
            self.index = self.items.iter().enumerate().map(|(at, (key, _))| (Rc::clone(key), at)).collect();
        }
        Some(value)
    }

    pub(super) fn items(&self) -> &[(Rc<str>, Value)] {
        &self.items
    }

    fn place(&self, key: &str) -> Option<usize> {
        if self.index.is_empty() {
            return self.items.iter().position(|(known, _)| &**known == key);
        }
        self.index.get(key).copied()
    }
}

impl Heap {
    pub(super) fn list(&mut self, items: Vec<Value>) -> Result<Value, RenderError> {
        self.charge(16 + items.len() * 24)?;
        self.lists.push(items);
        Ok(Value::List(self.lists.len() - 1))
    }

    pub(super) fn map(&mut self, entries: Entries) -> Result<Value, RenderError> {
        self.charge(16 + entries.items.len() * 48)?;
        self.maps.push(entries);
        Ok(Value::Map(self.maps.len() - 1))
    }

    pub(super) fn items(&self, list: usize) -> &[Value] {
        &self.lists[list]
    }

    pub(super) fn items_mut(&mut self, list: usize) -> &mut Vec<Value> {
        &mut self.lists[list]
    }

    pub(super) fn entries(&self, map: usize) -> &Entries {
        &self.maps[map]
    }

    pub(super) fn entries_mut(&mut self, map: usize) -> &mut Entries {
        &mut self.maps[map]
    }

    /// Counts bytes against what one rendering may make.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), RenderError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(RenderError::Template(format!("the template makes more than {MAX_BYTES} bytes of values")));
        }
        Ok(())
    }

    /// A text that counts.
    pub(super) fn text(&mut self, text: impl Into<Rc<str>>) -> Result<Value, RenderError> {
        let text = text.into();
        self.charge(text.len())?;
        Ok(Value::Text(text))
    }

    /// Takes over a value from outside.
    pub(super) fn import(&mut self, value: &serde_json::Value) -> Result<Value, RenderError> {
        Ok(match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Boolean(*value),
            serde_json::Value::Number(number) => Value::number(number),
            serde_json::Value::String(text) => self.text(text.as_str())?,
            serde_json::Value::Array(items) => {
                let items = items.iter().map(|item| self.import(item)).collect::<Result<_, _>>()?;
                self.list(items)?
            }
            serde_json::Value::Object(members) => {
                let mut entries = Entries::default();
                for (key, value) in members {
                    entries.put(key.as_str().into(), self.import(value)?);
                }
                self.map(entries)?
            }
        })
    }
}
