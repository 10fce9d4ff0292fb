//! `Action=…` forms of the query and ec2 protocols: dotted keys become a tree, and the shape says what it means.
//!
//! Query lists are `Name.member.1`, or `Name.1` where the model flattens them; maps are `Name.entry.1.key` and
//! `.value`. EC2's lists are always flat. An empty list may arrive as `Name=`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::model::{Kind, Model, Protocol, ShapeId, TimestampFormat};
use super::scalar;

/// Far beyond the nesting of any model; a key with more dots is noise.
const MAX_DEPTH: usize = 32;

/// The decoded pairs of a query string or a form, in order.
pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (key, value) = equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &[u8]) -> String {
    let spaced: Cow<'_, [u8]> = if text.contains(&b'+') {
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect()
    } else {
        text.into()
    };
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// A form as a tree of its dotted keys.
#[derive(Debug, Default)]
pub(crate) struct Form {
    value: Option<String>,
    children: BTreeMap<String, Form>,
}

impl Form {
    pub(crate) fn new(pairs: &[(String, String)]) -> Form {
        let mut root = Form::default();
        for (key, value) in pairs {
            let mut node = &mut root;
            for part in key.split('.').take(MAX_DEPTH) {
                node = node.children.entry(part.to_owned()).or_default();
            }
            node.value = Some(value.clone());
        }
        root
    }

    /// The value of a key without dots.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.children.get(key)?.value.as_deref()
    }

    /// The first parts of all keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.children.keys().map(String::as_str)
    }

    /// The children whose names are numbers, in the order of those.
    fn numbered(&self) -> impl Iterator<Item = (&str, &Form)> {
        let mut items: Vec<_> = self
            .children
            .iter()
            .filter_map(|(key, node)| Some((key.parse::<u32>().ok()?, (key.as_str(), node))))
            .collect();
        items.sort_by_key(|(index, _)| *index);
        items.into_iter().map(|(_, item)| item)
    }
}

/// Reads the input of an operation.
pub(crate) fn read(model: &Model, shape: ShapeId, form: &Form) -> Result<Value, ApiError> {
    read_node(model, shape, form, "")
}

fn read_node(model: &Model, shape_id: ShapeId, node: &Form, path: &str) -> Result<Value, ApiError> {
    let shape = model.shape(shape_id);
    match &shape.kind {
        Kind::Structure(structure) => {
            let mut object = Map::new();
            for member in &structure.members {
                // A flat list that names its items stands under their name instead of its own.
                let name = match &model.shape(member.shape).kind {
                    Kind::List { wire_name: Some(name), flattened: true, .. } => name,
                    _ => &member.form_name,
                };
                if let Some(child) = node.children.get(name) {
                    let value = read_node(model, member.shape, child, &join(path, name))?;
                    object.insert(member.name.clone(), value);
                }
            }
            Ok(Value::Object(object))
        }
        Kind::List { member, wire_name, flattened } => {
            let flat = *flattened || model.protocol == Protocol::Ec2;
            let item_name = wire_name.as_deref().unwrap_or("member");
            let Some(items) = (if flat { Some(node) } else { node.children.get(item_name) }) else {
                return Ok(Value::Array(Vec::new()));
            };
            let read = |(index, item)| read_node(model, *member, item, &join(path, index));
            items.numbered().map(read).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Kind::Map { key, value, key_name, value_name, flattened } => {
            let Some(entries) = (if *flattened { Some(node) } else { node.children.get("entry") }) else {
                return Ok(Value::Object(Map::new()));
            };
            let mut object = Map::new();
            for (index, entry) in entries.numbered() {
                let Some(name) = entry.get(key_name) else { continue };
                let content = match entry.children.get(value_name) {
                    Some(node) => read_node(model, *value, node, &join(path, index))?,
                    None => Value::Null,
                };
                debug_assert!(matches!(model.shape(*key).kind, Kind::String), "keys of maps are strings");
                object.insert(name.to_owned(), content);
            }
            Ok(Value::Object(object))
        }
        _ => {
            let text = node.value.as_deref().unwrap_or_default();
            scalar::parse_text(shape, text, TimestampFormat::Iso8601).map_err(|expected| {
                let message = format!("Value ({text}) for parameter {path} is invalid. It must be {expected}.");
                ApiError::new(
                    if model.protocol == Protocol::Ec2 { "InvalidParameterValue" } else { "MalformedInput" },
                    message,
                )
            })
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::catalogue;

    fn read_form(service: &str, operation: &str, text: &str) -> Result<Value, ApiError> {
        let model = catalogue::service(service).unwrap().1;
        let input = model.operation(operation).unwrap().input.unwrap();
        read(model, input, &Form::new(&pairs(text.as_bytes())))
    }

    #[test]
    fn query_lists_have_a_member_and_an_order() {
        let text = "Action=CreateRole&RoleName=r&Tags.member.10.Key=j&Tags.member.10.Value=&Tags.member.2.Key=b&\
            Tags.member.2.Value=two+words%2B&MaxSessionDuration=3600&AssumeRolePolicyDocument=%7B%7D";
        let expected = json!({
            "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 3600, "RoleName": "r",
            "Tags": [{"Key": "b", "Value": "two words+"}, {"Key": "j", "Value": ""}],
        });
        assert_eq!(read_form("iam", "CreateRole", text).unwrap(), expected);
    }

    #[test]
    fn a_list_may_be_empty() {
        let expected = json!({"RoleName": "r", "TagKeys": []});
        assert_eq!(read_form("iam", "UntagRole", "RoleName=r&TagKeys=").unwrap(), expected);
    }

    #[test]
    fn ec2_lists_are_flat_and_names_are_capitalised() {
        let text = "GroupName=g&GroupDescription=d&VpcId=vpc-1&TagSpecification.1.ResourceType=security-group&\
            TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v&DryRun=false";
        let expected = json!({
            "Description": "d", "DryRun": false, "GroupName": "g", "VpcId": "vpc-1",
            "TagSpecifications": [{"ResourceType": "security-group", "Tags": [{"Key": "k", "Value": "v"}]}],
        });
        assert_eq!(read_form("ec2", "CreateSecurityGroup", text).unwrap(), expected);
    }

    #[test]
    fn a_number_that_is_none_is_named() {
        let error = read_form("ec2", "RunInstances", "MinCount=one&MaxCount=1").unwrap_err();
        let message = "Value (one) for parameter MinCount is invalid. It must be an integer.";
        assert_eq!(error, ApiError::new("InvalidParameterValue", message));
    }
}
