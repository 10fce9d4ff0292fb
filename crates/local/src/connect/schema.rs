//! `JsonConverter` with `schemas.enable`: a record is an envelope of `schema` and `payload`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::java;
use super::value::Data;

const ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain \
    additional fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter \
    configuration.";

/// The payload of an envelope, by its schema. The text says what is wrong with it.
pub(super) fn unwrapped(envelope: Value) -> Result<Data, String> {
    let Value::Object(mut members) = envelope else { return Err(ENVELOPE.to_owned()) };
    let (Some(schema), Some(payload), true) = (members.remove("schema"), members.remove("payload"), members.is_empty())
    else {
        return Err(ENVELOPE.to_owned());
    };
    if schema.is_null() {
        return Ok(super::converter::schemaless(&payload));
    }
    by_schema(&schema, &payload)
}

fn by_schema(schema: &Value, value: &Value) -> Result<Data, String> {
    let kind = schema["type"].as_str().ok_or("Schema must contain 'type' field")?;
    if value.is_null() {
        return match &schema["default"] {
            // A default that is null, or none.
            Value::Null if schema["optional"].as_bool() == Some(true) => Ok(Data::Null),
            Value::Null => Err(format!("Invalid null value for required {} field", kind.to_uppercase())),
            default => by_schema(schema, default),
        };
    }
    let wrong = || format!("Invalid type for {}: {}", kind.to_uppercase(), named(value));
    match kind {
        "boolean" => value.as_bool().map(Data::Bool).ok_or_else(wrong),
        "int8" | "int16" | "int32" | "int64" => value.as_i64().map(Data::Int).ok_or_else(wrong),
        "float" | "float32" => value.as_f64().map(|number| Data::Float(number as f32)).ok_or_else(wrong),
        "double" | "float64" => value.as_f64().map(Data::Double).ok_or_else(wrong),
        "string" => value.as_str().map(|text| Data::Text(text.to_owned())).ok_or_else(wrong),
        "bytes" => {
            let decoded = value.as_str().and_then(|text| STANDARD.decode(text).ok());
            decoded.map(Data::Bytes).ok_or_else(wrong)
        }
        "array" => {
            let items = value.as_array().ok_or_else(wrong)?;
            let items = items.iter().map(|item| by_schema(&schema["items"], item));
            Ok(Data::List(items.collect::<Result<_, _>>()?))
        }
        "map" => map(schema, value),
        "struct" => {
            let members = value.as_object().ok_or_else(wrong)?;
            let mut fields = Vec::new();
            for field in schema["fields"].as_array().ok_or("Struct schema's \"fields\" argument is not an array.")? {
                let name = field["field"].as_str().ok_or("Struct schema's field name not specified properly")?;
                let member = by_schema(field, members.get(name).unwrap_or(&Value::Null));
                fields.push((name.to_owned(), member.map_err(|why| format!("{why}, at the field \"{name}\""))?));
            }
            Ok(Data::Struct(fields))
        }
        other => Err(format!("Unknown schema type: {other}")),
    }
}

fn map(schema: &Value, value: &Value) -> Result<Data, String> {
    if schema["keys"]["type"] != "string" {
        return Err(
            "maps with keys that are no strings are not supported by the local cloud's JsonConverter".to_owned()
        );
    }
    let Value::Object(members) = value else {
        return Err(format!("Maps with string fields should be encoded as JSON objects, but found {}", named(value)));
    };
    let members: Vec<(&String, &Value)> = members.iter().collect();
    let order = java::hash_map_order(members.iter().map(|(name, _)| name.as_str()));
    let mut listed = Vec::new();
    for index in order {
        let (name, member) = members[index];
        listed.push((name.clone(), by_schema(&schema["values"], member)?));
    }
    Ok(Data::Map(listed))
}

/// Jackson's name of a node's type.
fn named(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Bool(_) => "BOOLEAN",
        Value::Number(_) => "NUMBER",
        Value::String(_) => "STRING",
        Value::Array(_) => "ARRAY",
        Value::Object(_) => "OBJECT",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::json as writing;
    use super::*;

    #[test]
    fn a_struct_is_written_in_the_order_of_its_schema() {
        let schema = json!({"type": "struct", "fields": [
            {"field": "z", "type": "int32"},
            {"field": "a", "type": "string", "optional": true},
            {"field": "d", "type": "double", "optional": true, "default": 1.5},
            {"field": "f", "type": "float"},
            {"field": "l", "type": "array", "items": {"type": "boolean"}},
            {"field": "m", "type": "map", "keys": {"type": "string"}, "values": {"type": "int64"}},
            {"field": "b", "type": "bytes"}]});
        let payload = json!({"a": null, "z": 1, "f": 0.1, "l": [true], "m": {"k": 2}, "b": "AQ=="});
        let value = unwrapped(json!({"schema": schema, "payload": payload})).unwrap();
        let mut out = Vec::new();
        writing::write(&value, &mut out);
        let expected = r#"{"z":1,"a":null,"d":1.5,"f":0.1,"l":[true],"m":{"k":2},"b":"AQ=="}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_no_envelope_is_refused_in_kafkas_words() {
        let refused = unwrapped(json!({"index": 1})).unwrap_err();
        assert!(refused.contains("set schemas.enable=false"), "{refused}");
        let required =
            json!({"schema": {"type": "struct", "fields": [{"field": "a", "type": "int32"}]}, "payload": {}});
        assert_eq!(unwrapped(required).unwrap_err(), "Invalid null value for required INT32 field, at the field \"a\"");
    }
}
