//! Values that may have come from the environment, and then are secrets.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::place::Place;

/// How a value from the environment is written, as JSON Schema sees it.
pub(super) const ENV_PATTERN: &str = r"\$\{env:";

/// A value of the stack file. With a `${env:…}` in it, it is a secret: `Debug` and `Display` do not print it,
/// and there is no `Deref`, so that whoever prints it has to write [`Value::get`] first.
#[derive(Clone, PartialEq, Eq)]
pub struct Value<T> {
    value: T,
    /// Whether any part of it was written as `${env:…}`.
    pub from_env: bool,
    /// Where it stands; for a default, the key or section that implies it.
    pub place: Place,
}

impl<T> Value<T> {
    /// A value as written in the file.
    pub fn written(value: T, place: Place) -> Self {
        Self { value, from_env: false, place }
    }

    pub(super) fn new(value: T, from_env: bool, place: Place) -> Self {
        Self { value, from_env, place }
    }

    /// The value itself. Do not print it when `from_env` is set.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The same place and origin with another value made from this one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Value<U> {
        Value { value: make(self.value), from_env: self.from_env, place: self.place }
    }
}

impl<T: fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from_env { f.write_str("(from the environment)") } else { self.value.fmt(f) }
    }
}

impl<T: fmt::Display> fmt::Display for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from_env { f.write_str("(from the environment)") } else { self.value.fmt(f) }
    }
}

impl<T: JsonSchema> JsonSchema for Value<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    /// The schema of `T`, or text with a `${env:…}` in it. A number or a boolean takes the text as a second type, so that
    /// `minimum` and the like, which say nothing about text, can stand beside `pattern`, which says nothing about numbers.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        match schema.get("type").and_then(|t| t.as_str()) {
            Some("string") if schema.get("enum").is_none() && schema.get("pattern").is_none() => schema,
            Some(simple @ ("integer" | "number" | "boolean")) => {
                let both = serde_json::json!([simple, "string"]);
                schema.insert("type".to_owned(), both);
                schema.insert("pattern".to_owned(), ENV_PATTERN.into());
                schema
            }
            _ => json_schema!({ "anyOf": [schema, { "type": "string", "pattern": ENV_PATTERN }] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_the_environment_is_not_printed() {
        let secret = Value::new("hunter2".to_owned(), true, Place::default());
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)).matches("hunter2").count(), 0);
        assert_eq!(format!("{}", Value::written(5, Place::default())), "5");
    }
}
