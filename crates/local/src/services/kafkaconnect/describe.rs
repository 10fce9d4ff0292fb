//! What several answers share: times, names, troubles, and the members of a connector.

use serde_json::{Map, Value, json};

use super::book::{Connector, Setting, Trouble};
use super::errors;
use crate::wire::error::ApiError;

/// A time as the wire takes it: seconds since the epoch.
pub(super) fn timestamp(millis: i64) -> Value {
    json!(millis as f64 / 1_000.0)
}

pub(super) fn trouble(trouble: &Trouble) -> Value {
    json!({"code": trouble.code, "message": trouble.message})
}

/// A name as MSK Connect takes it: letters, digits, hyphens and underscores.
pub(super) fn name<'a>(value: &'a Value, parameter: &str) -> Result<&'a str, ApiError> {
    let name = value.as_str().unwrap_or_default();
    let good =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if good {
        Ok(name)
    } else {
        Err(errors::invalid(parameter, "Letters, digits, hyphens and underscores are allowed."))
    }
}

/// The members that DescribeConnector and ListConnectors share.
pub(super) fn connector(connector: &Connector) -> Value {
    let mut shown = Map::new();
    for (member, value) in connector.fixed.as_object().into_iter().flatten() {
        shown.insert(member.clone(), value.clone());
    }
    shown.insert("connectorArn".to_owned(), json!(connector.arn));
    shown.insert("connectorName".to_owned(), json!(connector.name));
    shown.insert("connectorState".to_owned(), json!(connector.state.name()));
    shown.insert("creationTime".to_owned(), timestamp(connector.created));
    shown.insert("currentVersion".to_owned(), json!(connector.version));
    for (member, value) in worker_setting(&connector.setting).as_object().into_iter().flatten() {
        shown.insert(member.clone(), value.clone());
    }
    Value::Object(shown)
}

/// `WorkerSetting`.
pub(super) fn worker_setting(setting: &Setting) -> Value {
    let mut shown = json!({"capacity": setting.capacity, "plugins": setting.plugins});
    if !setting.worker_configuration.is_null() {
        shown["workerConfiguration"] = setting.worker_configuration.clone();
    }
    shown
}
