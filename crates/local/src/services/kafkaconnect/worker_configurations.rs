//! Worker configurations: the properties of the workers that connectors run in. They never change.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::book::WorkerConfiguration;
use super::desk::Desk;
use super::{describe, errors, paging, tags};
use crate::connect::parse_properties;
use crate::services::Call;
use crate::wire::error::ApiError;

/// What MSK Connect sets itself ("Supported worker configuration properties", MSK developer guide: all others are).
const RESERVED: [&str; 14] = [
    "access.control.",
    "admin.listeners",
    "bootstrap.servers",
    "client.dns.lookup",
    "connector.client.config.override.policy",
    "config.storage.",
    "group.id",
    "listeners",
    "metric",
    "plugin.path",
    "rest.",
    "sasl.",
    "security.",
    "status.storage.",
];

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let name = describe::name(&input["name"], "name")?;
    let content = input["propertiesFileContent"].as_str().unwrap_or_default();
    let wrong = |why: String| errors::invalid("propertiesFileContent", why);
    let text = STANDARD.decode(content).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| wrong("The content has to be base64 of UTF-8 text.".to_owned()))?;
    let properties = parse_properties(&text).map_err(wrong)?;
    if let Some(key) = properties.keys().find(|key| is_reserved(key)) {
        return Err(wrong(format!("The property '{key}' is set by MSK Connect and cannot be set.")));
    }
    for converter in ["key.converter", "value.converter"] {
        if !properties.contains_key(converter) {
            return Err(wrong(format!("The required property '{converter}' is missing.")));
        }
    }
    let uuid = uuid::Uuid::new_v4();
    let added = WorkerConfiguration {
        arn: format!("arn:aws:kafkaconnect:{}:{}:worker-configuration/{name}/{uuid}-2", call.region, call.account),
        region: call.region.clone(),
        name: name.to_owned(),
        description: input["description"].as_str().unwrap_or_default().to_owned(),
        created: desk.now(),
        content: content.to_owned(),
        properties,
        gone_at: None,
        tags: tags::given(&input["tags"])?,
    };
    let answer = json!({
        "creationTime": describe::timestamp(added.created),
        "latestRevision": revision(&added),
        "name": added.name,
        "workerConfigurationArn": added.arn,
        "workerConfigurationState": "ACTIVE",
    });
    let now = desk.now();
    desk.add_worker_configuration(added, |book| {
        let mut here = book.worker_configurations.values().filter(|other| other.region == call.region);
        match here.find(|other| other.name == name && other.state(now).is_some()) {
            Some(_) => Err(errors::conflict(format!("A worker configuration with the name '{name}' already exists."))),
            None => Ok(()),
        }
    })?;
    Ok(answer)
}

fn is_reserved(key: &str) -> bool {
    RESERVED.iter().any(|reserved| key == *reserved || (reserved.ends_with('.') && key.starts_with(reserved)))
}

pub(super) fn describe(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["workerConfigurationArn"].as_str().unwrap_or_default();
    let book = desk.book();
    let found = book.worker_configurations.get(arn).filter(|found| found.region == call.region);
    let found = found.and_then(|found| Some((found, found.state(desk.now())?)));
    let (found, state) = found.ok_or_else(|| errors::not_found("worker configuration", arn))?;
    let mut shown = summary(found, state);
    shown["latestRevision"]["propertiesFileContent"] = json!(found.content);
    Ok(shown)
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let prefix = input["namePrefix"].as_str().unwrap_or_default();
    let (book, now) = (desk.book(), desk.now());
    let here = book.worker_configurations.values().filter(|found| found.region == call.region);
    let here = here.filter(|found| found.name.starts_with(prefix));
    let items = here.filter_map(|found| Some((found.arn.clone(), summary(found, found.state(now)?))));
    paging::page(items.collect(), input, "workerConfigurations")
}

pub(super) fn delete(desk: &Desk, _call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["workerConfigurationArn"].as_str().unwrap_or_default();
    let gone_at = desk.settled();
    desk.change_worker_configuration(arn, |found, book| {
        let user = book.connectors.values().find(|connector| {
            connector.setting.worker_configuration["workerConfigurationArn"] == arn
        });
        if let Some(connector) = user {
            let name = &connector.name;
            return Err(errors::bad_request(format!(
                "The worker configuration is in use by the connector '{name}'. Delete the connector, or update it, before \
                 you delete the worker configuration."
            )));
        }
        found.gone_at.get_or_insert(gone_at);
        Ok(json!({"workerConfigurationArn": arn, "workerConfigurationState": "DELETING"}))
    })
}

fn summary(found: &WorkerConfiguration, state: &str) -> Value {
    json!({
        "creationTime": describe::timestamp(found.created),
        "description": found.description,
        "latestRevision": revision(found),
        "name": found.name,
        "workerConfigurationArn": found.arn,
        "workerConfigurationState": state,
    })
}

fn revision(found: &WorkerConfiguration) -> Value {
    json!({
        "creationTime": describe::timestamp(found.created), "description": found.description, "revision": 1,
    })
}
