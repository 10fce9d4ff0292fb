//! Reads a `service-2.json` file into a [`Model`].

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::model::{
    ErrorTrait, Kind, Location, Member, Model, Operation, Pattern, Protocol, Shape, ShapeId, Structure, TimestampFormat,
};
use super::path::PathPattern;

/// A model file that does not say what this module needs; the models are compiled in, so a test finds it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("an API model could not be unpacked")]
    Unpack(#[source] std::io::Error),
    #[error("an API model is not in the form of `service-2.json`")]
    Parse(#[source] serde_json::Error),
    #[error("an API model refers to `{name}`, which it does not have or which is of an unknown kind")]
    Reference { name: String },
}

#[derive(Deserialize)]
struct RawModel {
    metadata: RawMetadata,
    operations: BTreeMap<String, RawOperation>,
    shapes: BTreeMap<String, RawShape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetadata {
    protocol: String,
    #[serde(default)]
    protocols: Vec<String>,
    json_version: Option<String>,
    #[serde(default)]
    target_prefix: String,
    #[serde(default)]
    xml_namespace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOperation {
    http: RawHttp,
    input: Option<RawReference>,
    output: Option<RawReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHttp {
    method: String,
    request_uri: String,
    response_code: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReference {
    shape: String,
    location: Option<String>,
    location_name: Option<String>,
    query_name: Option<String>,
    result_wrapper: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawShape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    members: BTreeMap<String, RawReference>,
    #[serde(default)]
    required: Vec<String>,
    payload: Option<String>,
    member: Option<RawReference>,
    key: Option<RawReference>,
    value: Option<RawReference>,
    min: Option<f64>,
    max: Option<f64>,
    pattern: Option<String>,
    #[serde(default, rename = "enum")]
    values: Vec<String>,
    #[serde(default)]
    sensitive: bool,
    #[serde(default)]
    flattened: bool,
    timestamp_format: Option<String>,
    #[serde(default)]
    exception: bool,
    #[serde(default)]
    fault: bool,
    error: Option<RawError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawError {
    code: Option<String>,
    http_status_code: Option<u16>,
}

type Names = HashMap<String, ShapeId>;

/// Unpacks and reads a model.
pub(crate) fn load(packed: &[u8]) -> Result<Model, LoadError> {
    let mut text = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut text).map_err(LoadError::Unpack)?;
    let raw: RawModel = serde_json::from_slice(&text).map_err(LoadError::Parse)?;

    let protocol = protocol(&raw.metadata)?;
    let names: Names = raw.shapes.keys().enumerate().map(|(index, name)| (name.clone(), index)).collect();
    let shapes: Vec<Shape> = raw
        .shapes
        .into_iter()
        .map(|(name, shape)| build_shape(name, shape, &names, protocol))
        .collect::<Result<_, _>>()?;
    let operations: Vec<Operation> = raw
        .operations
        .into_iter()
        .map(|(name, operation)| build_operation(name, operation, &names))
        .collect::<Result<_, _>>()?;
    let operations_by_name = operations.iter().enumerate().map(|(index, op)| (op.name.clone(), index)).collect();
    Ok(Model {
        protocol,
        target_prefix: raw.metadata.target_prefix,
        xml_namespace: raw.metadata.xml_namespace,
        operations,
        operations_by_name,
        shapes,
        shapes_by_name: names,
    })
}

fn protocol(metadata: &RawMetadata) -> Result<Protocol, LoadError> {
    // A service may prefer a protocol that this layer does not speak and still take JSON.
    let json = metadata.protocol == "json" || metadata.protocols.iter().any(|name| name == "json");
    match metadata.protocol.as_str() {
        "rest-json" => Ok(Protocol::RestJson),
        "query" => Ok(Protocol::Query),
        "ec2" => Ok(Protocol::Ec2),
        _ if json && metadata.json_version.as_deref() == Some("1.0") => Ok(Protocol::Json("1.0")),
        _ if json => Ok(Protocol::Json("1.1")),
        other => Err(LoadError::Reference { name: other.to_owned() }),
    }
}

fn build_operation(name: String, raw: RawOperation, names: &Names) -> Result<Operation, LoadError> {
    let input = raw.input.map(|reference| resolve(&reference.shape, names)).transpose()?;
    let (output, result_wrapper) = match raw.output {
        Some(reference) => (Some(resolve(&reference.shape, names)?), reference.result_wrapper),
        None => (None, None),
    };
    Ok(Operation {
        mutating: !is_read(&name),
        method: raw.http.method,
        path: PathPattern::parse(&raw.http.request_uri),
        status: raw.http.response_code.unwrap_or(200),
        input,
        output,
        result_wrapper,
        name,
    })
}

/// Few models mark reading operations, but all services name them alike.
fn is_read(operation: &str) -> bool {
    const READS: [&str; 8] = ["AssumeRole", "Describe", "Get", "List", "Head", "Search", "Simulate", "SubscribeTo"];
    READS.iter().any(|prefix| operation.starts_with(prefix))
}

fn build_shape(name: String, raw: RawShape, names: &Names, protocol: Protocol) -> Result<Shape, LoadError> {
    let kind = match raw.kind.as_str() {
        "structure" => Kind::Structure(build_structure(&raw, names, protocol)?),
        "list" => {
            let member = raw.member.as_ref().ok_or_else(|| LoadError::Reference { name: name.clone() })?;
            let wire_name = member.location_name.clone();
            Kind::List { member: resolve(&member.shape, names)?, wire_name, flattened: raw.flattened }
        }
        "map" => {
            let (Some(key), Some(value)) = (&raw.key, &raw.value) else {
                return Err(LoadError::Reference { name });
            };
            Kind::Map {
                key: resolve(&key.shape, names)?,
                value: resolve(&value.shape, names)?,
                key_name: key.location_name.clone().unwrap_or_else(|| "key".to_owned()),
                value_name: value.location_name.clone().unwrap_or_else(|| "value".to_owned()),
                flattened: raw.flattened,
            }
        }
        "string" | "character" => Kind::String,
        "blob" => Kind::Blob,
        "boolean" => Kind::Boolean,
        "integer" => Kind::Integer,
        "long" => Kind::Long,
        "double" | "float" => Kind::Double,
        "timestamp" => Kind::Timestamp(raw.timestamp_format.as_deref().map(timestamp_format)),
        other => return Err(LoadError::Reference { name: other.to_owned() }),
    };
    Ok(Shape {
        name,
        kind,
        min: raw.min,
        max: raw.max,
        pattern: raw.pattern.map(Pattern::new),
        values: raw.values,
        sensitive: raw.sensitive,
    })
}

fn build_structure(raw: &RawShape, names: &Names, protocol: Protocol) -> Result<Structure, LoadError> {
    let mut members = Vec::with_capacity(raw.members.len());
    for (name, reference) in &raw.members {
        let wire_name = reference.location_name.clone().unwrap_or_else(|| name.clone());
        members.push(Member {
            form_name: form_name(reference, &wire_name, protocol),
            wire_name,
            location: location(reference.location.as_deref()),
            shape: resolve(&reference.shape, names)?,
            required: raw.required.contains(name),
            name: name.clone(),
        });
    }
    let index =
        |of: fn(&Member) -> &String| members.iter().enumerate().map(move |(at, member)| (of(member).clone(), at));
    let by_name = index(|member| &member.name).collect();
    let by_wire_name =
        index(|member| &member.wire_name).filter(|(_, at)| members[*at].location == Location::Body).collect();
    let payload = raw.payload.as_ref().and_then(|name| members.iter().position(|member| member.name == *name));
    let error = raw.exception.then(|| ErrorTrait {
        code: raw.error.as_ref().and_then(|error| error.code.clone()),
        status: raw.error.as_ref().and_then(|error| error.http_status_code),
        fault: raw.fault,
    });
    Ok(Structure { members, by_name, by_wire_name, payload, error })
}

/// EC2 writes `queryName`, else `locationName` with a capital, else the name of the member; the query protocol
/// writes `locationName` as it is.
fn form_name(reference: &RawReference, wire_name: &str, protocol: Protocol) -> String {
    if protocol != Protocol::Ec2 {
        return wire_name.to_owned();
    }
    if let Some(name) = &reference.query_name {
        return name.clone();
    }
    let mut letters = wire_name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn location(text: Option<&str>) -> Location {
    match text {
        Some("uri") => Location::Uri,
        Some("querystring") => Location::Query,
        Some("header") => Location::Header,
        Some("headers") => Location::Headers,
        Some("statusCode") => Location::StatusCode,
        _ => Location::Body,
    }
}

fn timestamp_format(text: &str) -> TimestampFormat {
    match text {
        "iso8601" => TimestampFormat::Iso8601,
        "rfc822" => TimestampFormat::HttpDate,
        _ => TimestampFormat::Epoch,
    }
}

fn resolve(shape: &str, names: &Names) -> Result<ShapeId, LoadError> {
    names.get(shape).copied().ok_or_else(|| LoadError::Reference { name: shape.to_owned() })
}
