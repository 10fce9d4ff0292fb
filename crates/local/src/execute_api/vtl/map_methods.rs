//! Methods of maps, as of Java's `LinkedHashMap`.

use std::rc::Rc;

use super::RenderError;
use super::evaluate::Evaluator;
use super::heap::{Entries, Value};

impl Evaluator<'_> {
    /// `None` when there is no such method.
    pub(super) fn map_method(
        &mut self,
        map: usize,
        name: &str,
        arguments: &[Value],
    ) -> Result<Option<Value>, RenderError> {
        let value = match (name, arguments) {
            ("size", []) => Value::number(self.heap.entries(map).items().len()),
            ("isEmpty", []) => Value::Boolean(self.heap.entries(map).items().is_empty()),
            ("get", [key]) => {
                let key = self.shown(key)?;
                self.heap.entries(map).get(&key).cloned().unwrap_or(Value::Null)
            }
            ("getOrDefault", [key, default]) => {
                let key = self.shown(key)?;
                self.heap.entries(map).get(&key).unwrap_or(default).clone()
            }
            // Java answers what was there before: a `put` that stands alone in a template shows itself literally.
            ("put", [key, value]) => {
                let key = self.shown(key)?;
                self.heap.charge(key.len() + 48)?;
                self.heap.entries_mut(map).put(key, value.clone()).unwrap_or(Value::Null)
            }
            ("putAll", [Value::Map(other) | Value::Lenient(other)]) => {
                let items = self.heap.entries(*other).items().to_vec();
                self.heap.charge(items.len() * 48)?;
                for (key, value) in items {
                    self.heap.entries_mut(map).put(key, value);
                }
                Value::text("")
            }
            ("remove", [key]) => {
                let key = self.shown(key)?;
                self.heap.entries_mut(map).remove(&key).unwrap_or(Value::Null)
            }
            ("clear", []) => {
                *self.heap.entries_mut(map) = Entries::default();
                Value::text("")
            }
            ("containsKey", [key]) => {
                let key = self.shown(key)?;
                Value::Boolean(self.heap.entries(map).get(&key).is_some())
            }
            ("containsValue", [wanted]) => {
                self.heap.charge(self.heap.entries(map).items().len())?;
                let items = self.heap.entries(map).items().to_vec();
                let mut found = false;
                for (_, value) in &items {
                    found = found || self.equal(value, wanted)?;
                }
                Value::Boolean(found)
            }
            ("keySet", []) => {
                let keys = self.heap.entries(map).items().iter().map(|(key, _)| Value::Text(Rc::clone(key))).collect();
                self.heap.list(keys)?
            }
            ("values", []) => {
                let values = self.heap.entries(map).items().iter().map(|(_, value)| value.clone()).collect();
                self.heap.list(values)?
            }
            ("entrySet", []) => {
                let entries = self.heap.entries(map).items().iter().cloned();
                let entries = entries.map(|entry| Value::Entry(Rc::new(entry))).collect();
                self.heap.list(entries)?
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }
}
