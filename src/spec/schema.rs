//! The JSON Schema of the stack file, from the types that read it.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value as Json, json};

use super::lists;
use super::stack::Stack;
use super::value::ENV_PATTERN;

/// The JSON Schema (draft 2020-12) of a stack file, for editors and other programs.
pub fn schema() -> Json {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Stack>().to_value();
    tidy(&mut schema);
    schema["title"] = json!("pinfra stack file");
    schema
}

/// What the derive says too much: `null` for what may be left out (the reader wants it left out, not empty), `required` for
/// what has a default, and number formats that are Rust's.
fn tidy(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(tidy),
        Json::Object(object) => {
            if matches!(object.get("format").and_then(Json::as_str), Some("uint32" | "int32" | "uint16")) {
                object.remove("format");
            }
            if let Some(Json::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Json::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice != &json!({ "type": "null" }));
                if let [Json::Object(only)] = choices.as_mut_slice() {
                    let only = std::mem::take(only);
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            let with_default: Vec<String> = match object.get("properties") {
                Some(Json::Object(properties)) => properties
                    .iter()
                    .filter(|(_, rule)| rule.get("default").is_some())
                    .map(|(key, _)| key.clone())
                    .collect(),
                _ => Vec::new(),
            };
            if let Some(Json::Array(required)) = object.get_mut("required") {
                required.retain(|key| !with_default.iter().any(|name| key == name));
                if required.is_empty() {
                    object.remove("required");
                }
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

pub(super) fn region(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": lists::REGIONS })
}

pub(super) fn kafka_version(_: &mut SchemaGenerator) -> Schema {
    words(lists::KAFKA_VERSIONS)
}

pub(super) fn broker_type(_: &mut SchemaGenerator) -> Schema {
    words(lists::BROKER_TYPES)
}

pub(super) fn instance_type(_: &mut SchemaGenerator) -> Schema {
    words(&lists::instance_types())
}

pub(super) fn mcu(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "enum": [1, 2, 4, 8] }, { "type": "string", "pattern": ENV_PATTERN }] })
}

pub(super) fn protect(generator: &mut SchemaGenerator) -> Schema {
    let both = kinds_and_addresses(generator);
    json_schema!({ "anyOf": [both, super::lifetime::Protect::json_schema(generator)] })
}

pub(super) fn kinds_and_addresses(_: &mut SchemaGenerator) -> Schema {
    let kinds = lists::KINDS.join("|");
    json_schema!({ "type": "array", "items": { "type": "string", "pattern": format!(r"^({kinds})(\..+)?$") } })
}

/// Tables by name, in a mapping whose keys are checked too.
pub(super) fn tables(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": super::tables::NAME_PATTERN },
        "additionalProperties": super::tables::Table::json_schema(generator),
    })
}

fn words<S: AsRef<str>>(words: &[S]) -> Schema {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    json_schema!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": ENV_PATTERN }] })
}
