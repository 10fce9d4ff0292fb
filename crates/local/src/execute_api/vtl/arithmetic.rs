//! Operators. Where Velocity 1.7 finds no answer (a text less than a number, a division by zero) there is no value.

use std::rc::Rc;

use super::RenderError;
use super::ast::{Expression, Operator};
use super::evaluate::Evaluator;
use super::heap::Value;
use super::json;

/// The longest list that a range may make; loops end earlier.
const MAX_RANGE: i64 = 100_000;

/// A number as it is calculated with.
#[derive(Clone, Copy, Debug)]
enum Number {
    Integer(i128),
    Float(f64),
}

impl Evaluator<'_> {
    pub(super) fn binary(
        &mut self,
        operator: Operator,
        left: &Expression,
        right: &Expression,
    ) -> Result<Value, RenderError> {
        let left = self.evaluate(left)?;
        match operator {
            Operator::Or if left.is_true() => return Ok(Value::Boolean(true)),
            Operator::And if !left.is_true() => return Ok(Value::Boolean(false)),
            _ => {}
        }
        let right = self.evaluate(right)?;
        let value = match operator {
            Operator::Or | Operator::And => Value::Boolean(right.is_true()),
            Operator::Equal => Value::Boolean(self.equal(&left, &right)?),
            Operator::NotEqual => Value::Boolean(!self.equal(&left, &right)?),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                Value::Boolean(compare(operator, &left, &right))
            }
            Operator::Add if matches!(left, Value::Text(_)) || matches!(right, Value::Text(_)) => {
                if matches!(left, Value::Null) || matches!(right, Value::Null) {
                    return Ok(Value::Null);
                }
                let (left, right) = (self.shown(&left)?, self.shown(&right)?);
                self.heap.text(format!("{left}{right}"))?
            }
            _ => calculate(operator, &left, &right).map_or(Value::Null, Value::from),
        };
        Ok(value)
    }

    pub(super) fn negative(&self, value: &Value) -> Value {
        match number(value) {
            Some(Number::Integer(value)) => {
                value.checked_neg().map_or(Value::Null, |value| Value::from(Number::Integer(value)))
            }
            Some(Number::Float(value)) => Value::from(Number::Float(-value)),
            None => Value::Null,
        }
    }

    /// Numbers by value, values of one type by content, others by how they show, as Velocity 1.7 does.
    pub(super) fn equal(&mut self, left: &Value, right: &Value) -> Result<bool, RenderError> {
        Ok(match (left, right) {
            (Value::Null, Value::Null) => true,
            (Value::Null, _) | (_, Value::Null) => false,
            (Value::Number(a), Value::Number(b)) => a == b || compare(Operator::Equal, left, right),
            (Value::List(_), Value::List(_))
            | (Value::Map(_) | Value::Lenient(_), Value::Map(_) | Value::Lenient(_)) => {
                let (mut a, mut b) = (String::new(), String::new());
                json::write(left, &self.heap, &mut a)?;
                json::write(right, &self.heap, &mut b)?;
                a == b
            }
            _ => self.shown(left)? == self.shown(right)?,
        })
    }

    /// `[1..3]`, also downwards.
    pub(super) fn range(&mut self, first: &Value, last: &Value) -> Result<Value, RenderError> {
        let (Some(first), Some(last)) = (integer(first), integer(last)) else { return Ok(Value::Null) };
        if first.abs_diff(last) >= MAX_RANGE.unsigned_abs() {
            return Err(RenderError::Template(format!("a range has more than {MAX_RANGE} numbers")));
        }
        let items = if first <= last {
            (first..=last).map(Value::number).collect()
        } else {
            (last..=first).rev().map(Value::number).collect()
        };
        self.heap.list(items)
    }
}

/// The value as an index or a bound.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<Number> {
    let Value::Number(text) = value else { return None };
    match text.parse::<i128>() {
        Ok(integer) => Some(Number::Integer(integer)),
        Err(_) => text.parse::<f64>().ok().map(Number::Float),
    }
}

fn compare(operator: Operator, left: &Value, right: &Value) -> bool {
    let ordering = match (number(left), number(right)) {
        (Some(Number::Integer(a)), Some(Number::Integer(b))) => Some(a.cmp(&b)),
        (Some(a), Some(b)) => a.float().partial_cmp(&b.float()),
        _ => None,
    };
    ordering.is_some_and(|ordering| match operator {
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Greater => ordering.is_gt(),
        Operator::GreaterOrEqual => ordering.is_ge(),
        _ => ordering.is_eq(),
    })
}

fn calculate(operator: Operator, left: &Value, right: &Value) -> Option<Number> {
    match (number(left)?, number(right)?) {
        (Number::Integer(a), Number::Integer(b)) => match operator {
            Operator::Add => a.checked_add(b),
            Operator::Subtract => a.checked_sub(b),
            Operator::Multiply => a.checked_mul(b),
            Operator::Divide => a.checked_div(b),
            Operator::Remainder => a.checked_rem(b),
            _ => None,
        }
        .map(Number::Integer),
        (a, b) => {
            let (a, b) = (a.float(), b.float());
            match operator {
                Operator::Add => Some(a + b),
                Operator::Subtract => Some(a - b),
                Operator::Multiply => Some(a * b),
                Operator::Divide => (b != 0.0).then(|| a / b),
                Operator::Remainder => (b != 0.0).then(|| a % b),
                _ => None,
            }
            .map(Number::Float)
        }
    }
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "mixed arithmetic is in doubles, as in Java")]
    fn float(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Value {
        match number {
            Number::Integer(value) => Value::number(value),
            // With a fraction always, as Java shows a double.
            Number::Float(value) => Value::Number(Rc::from(format!("{value:?}"))),
        }
    }
}
