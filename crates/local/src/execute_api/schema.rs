//! Models: the part of JSON Schema draft 4 that request bodies are checked against. A keyword that is not here is refused
//! when the model is read: to ignore it would let in what AWS keeps out.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

/// References and nesting end here.
const MAX_DEPTH: usize = 64;

/// Words that constrain nothing.
const NOTES: [&str; 8] = ["$schema", "id", "title", "description", "default", "definitions", "example", "$comment"];

/// A schema, ready to check values.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    types: Vec<String>,
    required: Vec<String>,
    properties: BTreeMap<String, Schema>,
    additional: Additional,
    items: Option<Box<Schema>>,
    values: Option<Vec<Value>>,
    pattern: Option<Regex>,
    minimum: Option<(f64, bool)>,
    maximum: Option<(f64, bool)>,
    /// Lengths of texts, items of lists, members of objects: from, to.
    lengths: [(Option<u64>, Option<u64>); 3],
    all: Vec<Schema>,
    any: Vec<Schema>,
    one: Vec<Schema>,
    not: Option<Box<Schema>>,
}

#[derive(Debug, Default)]
enum Additional {
    #[default]
    Any,
    None,
    Of(Box<Schema>),
}

impl Schema {
    /// Reads a schema; the problem is for people.
    pub(crate) fn parse(text: &str) -> Result<Schema, String> {
        if text.trim().is_empty() {
            return Ok(Schema::default());
        }
        let root: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        read(&root, &root, 0)
    }

    /// Whether a value keeps to it.
    pub(crate) fn accepts(&self, value: &Value) -> bool {
        if !self.types.is_empty() && !self.types.iter().any(|name| is_of_type(value, name)) {
            return false;
        }
        if self.values.as_ref().is_some_and(|values| !values.contains(value)) {
            return false;
        }
        let fits = match value {
            Value::Object(members) => self.accepts_members(members),
            Value::Array(items) => {
                within(self.lengths[1], items.len())
                    && self.items.as_ref().is_none_or(|schema| items.iter().all(|item| schema.accepts(item)))
            }
            Value::String(text) => {
                within(self.lengths[0], text.chars().count())
                    && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
            }
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                let above = |(limit, exclusive): (f64, bool)| number > limit || !exclusive && number >= limit;
                let below = |(limit, exclusive): (f64, bool)| number < limit || !exclusive && number <= limit;
                self.minimum.is_none_or(above) && self.maximum.is_none_or(below)
            }
            _ => true,
        };
        fits && self.all.iter().all(|schema| schema.accepts(value))
            && (self.any.is_empty() || self.any.iter().any(|schema| schema.accepts(value)))
            && (self.one.is_empty() || self.one.iter().filter(|schema| schema.accepts(value)).count() == 1)
            && self.not.as_ref().is_none_or(|schema| !schema.accepts(value))
    }

    fn accepts_members(&self, members: &Map<String, Value>) -> bool {
        within(self.lengths[2], members.len())
            && self.required.iter().all(|name| members.contains_key(name))
            && members.iter().all(|(name, value)| match (self.properties.get(name), &self.additional) {
                (Some(schema), _) => schema.accepts(value),
                (None, Additional::Any) => true,
                (None, Additional::None) => false,
                (None, Additional::Of(schema)) => schema.accepts(value),
            })
    }
}

fn read(value: &Value, root: &Value, depth: usize) -> Result<Schema, String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is nested, or refers to itself, deeper than {MAX_DEPTH} levels"));
    }
    let members = value.as_object().ok_or("a schema is not an object")?;
    if let Some(reference) = members.get("$ref") {
        let reference = reference.as_str().ok_or("`$ref` is not a text")?;
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        let target = target
            .ok_or_else(|| format!("`$ref` to `{reference}`, and only places in the schema itself can be followed"))?;
        return read(target, root, depth + 1);
    }
    let mut schema = Schema::default();
    let exclusive = |name: &str| members.get(name).and_then(Value::as_bool).unwrap_or(false);
    let nested = |value: &Value| read(value, root, depth + 1);
    let list = |name: &str, value: &Value| -> Result<Vec<Schema>, String> {
        value.as_array().ok_or_else(|| format!("`{name}` is not a list"))?.iter().map(nested).collect()
    };
    for (name, value) in members {
        match name.as_str() {
            "type" => schema.types = types(value)?,
            "required" => schema.required = texts(name, value)?,
            "properties" => {
                for (property, value) in value.as_object().ok_or("`properties` is not an object")? {
                    schema.properties.insert(property.clone(), nested(value)?);
                }
            }
            "additionalProperties" => {
                schema.additional = match value {
                    Value::Bool(true) => Additional::Any,
                    Value::Bool(false) => Additional::None,
                    value => Additional::Of(Box::new(nested(value)?)),
                }
            }
            "items" => schema.items = Some(Box::new(nested(value)?)),
            "enum" => schema.values = Some(value.as_array().ok_or("`enum` is not a list")?.clone()),
            "pattern" => {
                let pattern = value.as_str().ok_or("`pattern` is not a text")?;
                schema.pattern =
                    Some(Regex::new(pattern).map_err(|_| format!("`pattern` `{pattern}` cannot be read"))?);
            }
            "minimum" => schema.minimum = Some((number(name, value)?, exclusive("exclusiveMinimum"))),
            "maximum" => schema.maximum = Some((number(name, value)?, exclusive("exclusiveMaximum"))),
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => {}
            "minLength" => schema.lengths[0].0 = Some(count(name, value)?),
            "maxLength" => schema.lengths[0].1 = Some(count(name, value)?),
            "minItems" => schema.lengths[1].0 = Some(count(name, value)?),
            "maxItems" => schema.lengths[1].1 = Some(count(name, value)?),
            "minProperties" => schema.lengths[2].0 = Some(count(name, value)?),
            "maxProperties" => schema.lengths[2].1 = Some(count(name, value)?),
            "allOf" => schema.all = list(name, value)?,
            "anyOf" => schema.any = list(name, value)?,
            "oneOf" => schema.one = list(name, value)?,
            "not" => schema.not = Some(Box::new(nested(value)?)),
            note if NOTES.contains(&note) => {}
            unknown => return Err(format!("the local cloud does not know the keyword `{unknown}`")),
        }
    }
    Ok(schema)
}

fn types(value: &Value) -> Result<Vec<String>, String> {
    let names = match value {
        Value::String(name) => vec![name.clone()],
        value => texts("type", value)?,
    };
    let known = ["array", "boolean", "integer", "null", "number", "object", "string"];
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("`{unknown}` is not a type")),
        None => Ok(names),
    }
}

fn texts(name: &str, value: &Value) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or_else(|| format!("`{name}` is not a list"))?;
    let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(|| format!("`{name}` has more than texts in it"))
}

fn number(name: &str, value: &Value) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| format!("`{name}` is not a number"))
}

fn count(name: &str, value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("`{name}` is not a count"))
}

fn within((from, to): (Option<u64>, Option<u64>), length: usize) -> bool {
    let length = length as u64;
    from.is_none_or(|from| length >= from) && to.is_none_or(|to| length <= to)
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        // What is beyond 64 bits has been read as a float.
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.abs() >= 2f64.powi(63))
        }
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        _ => value.is_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values() {
        let record = json!({"$schema": "http://json-schema.org/draft-04/schema#", "type": "object",
            "required": ["Data", "PartitionKey"], "properties": {
                "Data": {"type": ["object", "string"]},
                "PartitionKey": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$"}}});
        for (schema, good, bad) in [
            (
                record,
                vec![
                    json!({"Data": {}, "PartitionKey": "a", "more": 1}),
                    json!({"Data": "x", "PartitionKey": "éab".replace('é', "e")}),
                ],
                vec![
                    json!({"Data": {}}),
                    json!({"Data": 1, "PartitionKey": "a"}),
                    json!({"Data": {}, "PartitionKey": ""}),
                    json!({"Data": {}, "PartitionKey": "abcd"}),
                    json!({"Data": {}, "PartitionKey": "A"}),
                    json!([]),
                    json!(null),
                ],
            ),
            (
                json!({"type": "integer", "minimum": 1, "maximum": 5, "exclusiveMaximum": true}),
                vec![json!(1), json!(4)],
                vec![json!(0), json!(5), json!(2.5), json!("2")],
            ),
            (
                json!({"type": "array", "items": {"enum": [1, "a", null]}, "minItems": 1}),
                vec![json!([1, "a", null])],
                vec![json!([]), json!([2])],
            ),
            (
                json!({"additionalProperties": false, "properties": {"a": {}}}),
                vec![json!({"a": 1}), json!(1)],
                vec![json!({"b": 1})],
            ),
            (
                json!({"anyOf": [{"type": "string"}, {"$ref": "#/definitions/n"}], "definitions": {"n": {"type": "null"}}}),
                vec![json!("x"), json!(null)],
                vec![json!(1)],
            ),
            (json!({"not": {"type": "object"}}), vec![json!(1)], vec![json!({})]),
        ] {
            let parsed = Schema::parse(&schema.to_string()).unwrap();
            for value in good {
                assert!(parsed.accepts(&value), "{schema} {value}");
            }
            for value in bad {
                assert!(!parsed.accepts(&value), "{schema} {value}");
            }
        }
        assert!(Schema::parse("").unwrap().accepts(&json!(1)));
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        for schema in [
            json!({"format": "date-time"}),
            json!({"type": "text"}),
            json!({"$ref": "https://example.com/model"}),
            json!({"$ref": "#"}),
            json!({"pattern": "(?=x)"}),
            json!({"properties": {"a": {"multipleOf": 2}}}),
            json!([]),
        ] {
            Schema::parse(&schema.to_string()).expect_err(&schema.to_string());
        }
    }
}
