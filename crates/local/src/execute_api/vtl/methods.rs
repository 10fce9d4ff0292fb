//! Properties, indexes and methods of values. A method that is not here is an error that names it: on AWS there are
//! more of them, so showing it literally would be a guess.

use std::rc::Rc;

use super::RenderError;
use super::arithmetic::integer;
use super::evaluate::Evaluator;
use super::heap::Value;

impl Evaluator<'_> {
    pub(super) fn property(&self, value: &Value, name: &str) -> Value {
        match value {
            Value::Map(map) => self.heap.entries(*map).get(name).cloned().unwrap_or(Value::Null),
            Value::Lenient(map) => self.lenient_member(*map, name),
            Value::Entry(entry) => match name {
                "key" => Value::Text(Rc::clone(&entry.0)),
                "value" => entry.1.clone(),
                _ => Value::Null,
            },
            Value::Input if name == "body" => Value::text(self.environment.body()),
            Value::List(list) if name == "empty" => Value::Boolean(self.heap.items(*list).is_empty()),
            _ => Value::Null,
        }
    }

    fn lenient_member(&self, map: usize, name: &str) -> Value {
        match self.heap.entries(map).get(name) {
            None | Some(Value::Null) => Value::text(""),
            Some(Value::Map(inner)) => Value::Lenient(*inner),
            Some(value) => value.clone(),
        }
    }

    pub(super) fn indexed(&mut self, value: &Value, index: &Value) -> Result<Value, RenderError> {
        match value {
            Value::List(list) => Ok(self.item(*list, index)),
            Value::Map(_) | Value::Lenient(_) => {
                let key = self.shown(index)?;
                Ok(self.property(value, &key))
            }
            _ => Ok(Value::Null),
        }
    }

    /// The item at an index; negative ones count from the end, as in Velocity's index notation.
    pub(super) fn item(&self, list: usize, index: &Value) -> Value {
        let items = self.heap.items(list);
        let Some(index) = integer(index).and_then(|index| isize::try_from(index).ok()) else { return Value::Null };
        let place = if index < 0 { items.len().checked_add_signed(index) } else { usize::try_from(index).ok() };
        place.and_then(|place| items.get(place)).cloned().unwrap_or(Value::Null)
    }

    /// Carries out `#set($holder.key = value)` and `#set($holder[key] = value)`.
    pub(super) fn put(&mut self, holder: &Value, key: &Value, value: Value) -> Result<(), RenderError> {
        match holder {
            Value::Map(map) | Value::Lenient(map) => {
                let key = self.shown(key)?;
                self.heap.charge(key.len() + 48)?;
                self.heap.entries_mut(*map).put(key, value);
                Ok(())
            }
            Value::List(list) => {
                let place = integer(key).and_then(|index| usize::try_from(index).ok());
                let slot = place.and_then(|place| self.heap.items_mut(*list).get_mut(place));
                let slot =
                    slot.ok_or_else(|| RenderError::Template("`#set` of an item that is not there".to_owned()))?;
                *slot = value;
                Ok(())
            }
            // Velocity logs it and goes on.
            _ => Ok(()),
        }
    }

    pub(super) fn call(&mut self, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, RenderError> {
        match (name, arguments) {
            ("toString", []) => return Ok(Value::Text(self.shown(value)?)),
            ("equals", [other]) => return Ok(Value::Boolean(self.equal(value, other)?)),
            _ => {}
        }
        let answer = match value {
            Value::Text(text) => self.text_method(text, name, arguments)?,
            Value::List(list) => self.list_method(*list, name, arguments)?,
            Value::Map(map) => self.map_method(*map, name, arguments)?,
            Value::Lenient(map) => match (name, arguments) {
                ("get", [key]) => {
                    let key = self.shown(key)?;
                    Some(self.lenient_member(*map, &key))
                }
                _ => self.map_method(*map, name, arguments)?,
            },
            Value::Entry(_) => match (name, arguments) {
                ("getKey", []) => Some(self.property(value, "key")),
                ("getValue", []) => Some(self.property(value, "value")),
                _ => None,
            },
            Value::Number(text) => match (name, arguments) {
                ("intValue" | "longValue", []) => {
                    let whole = text.split(['.', 'e', 'E']).next().unwrap_or_default();
                    Some(if text.contains(['e', 'E']) { Value::Null } else { Value::Number(whole.into()) })
                }
                ("doubleValue", []) => text.parse::<f64>().ok().map(|value| Value::Number(format!("{value:?}").into())),
                _ => None,
            },
            Value::Input => self.input_method(name, arguments)?,
            Value::Util => self.util_method(name, arguments)?,
            Value::Boolean(_) | Value::Null => None,
        };
        answer.ok_or_else(|| {
            let what = match value {
                Value::Text(_) => "a text",
                Value::List(_) => "a list",
                Value::Map(_) | Value::Lenient(_) => "a map",
                Value::Entry(_) => "a map's entry",
                Value::Number(_) => "a number",
                Value::Boolean(_) => "a boolean",
                Value::Input => "`$input`",
                Value::Util => "`$util`",
                Value::Null => "null",
            };
            let count = arguments.len();
            RenderError::Template(format!("the local cloud has no method `{name}` with {count} argument(s) of {what}"))
        })
    }
}
