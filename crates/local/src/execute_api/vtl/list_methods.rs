//! Methods of lists, as of Java's `ArrayList`.

use super::RenderError;
use super::arithmetic::integer;
use super::evaluate::Evaluator;
use super::heap::Value;

impl Evaluator<'_> {
    /// `None` when there is no such method.
    pub(super) fn list_method(
        &mut self,
        list: usize,
        name: &str,
        arguments: &[Value],
    ) -> Result<Option<Value>, RenderError> {
        let length = self.heap.items(list).len();
        let value = match (name, arguments) {
            ("size", []) => Value::number(length),
            ("isEmpty", []) => Value::Boolean(length == 0),
            // An index out of bounds is an exception in Java, and no value in Velocity.
            ("get", [index]) if integer(index).is_none_or(|index| index < 0) => Value::Null,
            ("get", [index]) => self.item(list, index),
            ("add", [item]) => {
                self.heap.charge(24)?;
                self.heap.items_mut(list).push(item.clone());
                Value::Boolean(true)
            }
            ("add", [index, item]) => {
                let place =
                    integer(index).and_then(|index| usize::try_from(index).ok()).filter(|place| *place <= length);
                let place =
                    place.ok_or_else(|| RenderError::Template("`add` at an index that is not there".to_owned()))?;
                self.heap.charge(24)?;
                self.heap.items_mut(list).insert(place, item.clone());
                Value::text("")
            }
            ("set", [index, item]) => {
                let before = self.item(list, index);
                self.put(&Value::List(list), index, item.clone())?;
                before
            }
            ("addAll", [Value::List(other)]) => {
                let items = self.heap.items(*other).to_vec();
                self.heap.charge(items.len() * 24)?;
                let changed = !items.is_empty();
                self.heap.items_mut(list).extend(items);
                Value::Boolean(changed)
            }
            ("remove", [index @ Value::Number(_)]) => {
                let place =
                    integer(index).and_then(|index| usize::try_from(index).ok()).filter(|place| *place < length);
                place.map_or(Value::Null, |place| self.heap.items_mut(list).remove(place))
            }
            ("clear", []) => {
                self.heap.items_mut(list).clear();
                Value::text("")
            }
            ("contains", [item]) => Value::Boolean(self.position(list, item)?.is_some()),
            ("indexOf", [item]) => {
                let place = self.position(list, item)?;
                place.map_or_else(|| Value::number(-1), Value::number)
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn position(&mut self, list: usize, wanted: &Value) -> Result<Option<usize>, RenderError> {
        // Scans count like allocations do, so that a loop of them ends.
        self.heap.charge(self.heap.items(list).len())?;
        for place in 0..self.heap.items(list).len() {
            let item = self.heap.items(list)[place].clone();
            if self.equal(&item, wanted)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}
