//! Connectors: created, shown, listed and deleted. What changes one is in `updates`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::book::{Connector, Setting, State, Trouble};
use super::desk::{Book, Desk};
use super::{Office, capacity, describe, errors, paging, tags};
use crate::connect::{CONNECTOR_CLASS, TASKS_MAX};
use crate::services::Call;
use crate::wire::error::ApiError;

/// "Apache Kafka Connect versions" of the MSK developer guide.
const VERSIONS: [&str; 2] = ["2.7.1", "3.7.x"];

/// The code of a connector that a rule lets fail; Kafka Connect's own words begin with others.
const FAILING: &str = "UnknownError.Unknown";

/// The service that roles of connectors have to trust.
const MSK_CONNECT: &str = "kafkaconnect.amazonaws.com";

pub(super) fn create(office: &Office, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let name = describe::name(&input["connectorName"], "connectorName")?;
    let role = input["serviceExecutionRoleArn"].as_str().unwrap_or_default();
    office.ground.iam.assume_as_service(role, MSK_CONNECT).map_err(|error| {
        errors::invalid("serviceExecutionRoleArn", format!("MSK Connect cannot assume the role. {}", error.message))
    })?;
    let setting = Setting {
        capacity: capacity::checked(&input["capacity"])?,
        plugins: plugins(&input["plugins"])?,
        worker_configuration: input["workerConfiguration"].clone(),
        configuration: configuration(&input["connectorConfiguration"])?,
    };
    let desk = office.desk.as_ref();
    let uuid = format!("{}-2", uuid::Uuid::new_v4());
    let connector = Connector {
        arn: format!("arn:aws:kafkaconnect:{}:{}:connector/{name}/{uuid}", call.region, call.account),
        uuid,
        region: call.region.clone(),
        name: name.to_owned(),
        created: desk.now(),
        version: version(),
        state: State::Creating,
        trouble: call.fails.clone().map(|message| Trouble { code: FAILING.to_owned(), message }),
        fixed: fixed(input)?,
        setting,
        cluster_arn: None,
        operation: None,
        tags: tags::given(&input["tags"])?,
    };
    let arn = connector.arn.clone();
    let wanted = connector.setting.clone();
    let now = desk.now();
    desk.add_connector(connector, |book| {
        if book.connectors.values().any(|other| other.region == call.region && other.name == name) {
            return Err(errors::conflict(format!("A connector with the name '{name}' already exists.")));
        }
        check_references(book, &call.region, &wanted, now)
    })?;
    office.crew.engage(&office.desk, &office.ground, &arn);
    Ok(json!({"connectorArn": arn, "connectorName": name, "connectorState": "CREATING"}))
}

/// A version as MSK writes them: `K` and capitals.
pub(super) fn version() -> String {
    format!("K{:013X}", rand::random::<u64>() >> 12)
}

/// The list of exactly one plugin.
pub(super) fn plugins(asked: &Value) -> Result<Value, ApiError> {
    match asked.as_array().map(Vec::as_slice) {
        Some([_]) => Ok(asked.clone()),
        _ => Err(errors::invalid("plugins", "Exactly one plugin has to be given.")),
    }
}

/// The keys that MSK Connect looks for itself; all else is judged by the connector when it starts.
pub(super) fn configuration(asked: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    let mut configuration = BTreeMap::new();
    for (key, value) in asked.as_object().into_iter().flatten() {
        configuration.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    for key in [CONNECTOR_CLASS, TASKS_MAX] {
        if configuration.get(key).is_none_or(|value| value.trim().is_empty()) {
            return Err(errors::invalid("connectorConfiguration", format!("The required key '{key}' is missing.")));
        }
    }
    Ok(configuration)
}

/// Refuses plugins and worker configurations that are not there, or not usable.
pub(super) fn check_references(book: &Book, region: &str, setting: &Setting, now: i64) -> Result<(), ApiError> {
    let plugin = &setting.plugins[0]["customPlugin"];
    let arn = plugin["customPluginArn"].as_str().unwrap_or_default();
    let found = book.plugins.get(arn).filter(|found| found.region == region);
    let state = found.and_then(|found| found.state(now)).ok_or_else(|| errors::not_found("custom plugin", arn))?;
    if state != "ACTIVE" {
        return Err(errors::invalid("plugins", format!("The custom plugin '{arn}' is {state} and not ACTIVE.")));
    }
    check_revision(plugin, "custom plugin")?;

    let worker = &setting.worker_configuration;
    let Some(arn) = worker["workerConfigurationArn"].as_str() else { return Ok(()) };
    let found = book.worker_configurations.get(arn).filter(|found| found.region == region);
    let state =
        found.and_then(|found| found.state(now)).ok_or_else(|| errors::not_found("worker configuration", arn))?;
    if state != "ACTIVE" {
        return Err(errors::invalid("workerConfiguration", format!("The worker configuration '{arn}' is {state}.")));
    }
    check_revision(worker, "worker configuration")
}

fn check_revision(of: &Value, what: &str) -> Result<(), ApiError> {
    match of["revision"].as_i64() {
        Some(1) => Ok(()),
        other => Err(errors::invalid("revision", format!("The {what} has no revision {}.", other.unwrap_or_default()))),
    }
}

/// What no update changes, in the words of the description.
fn fixed(input: &Value) -> Result<Value, ApiError> {
    let cluster = &input["kafkaCluster"]["apacheKafkaCluster"];
    if cluster["bootstrapServers"].as_str().is_none_or(|servers| servers.trim().is_empty()) {
        return Err(errors::invalid("bootstrapServers", "At least one address has to be given."));
    }
    if cluster["vpc"]["subnets"].as_array().is_none_or(Vec::is_empty) {
        return Err(errors::invalid("subnets", "At least one subnet has to be given."));
    }
    let authentication = &input["kafkaClusterClientAuthentication"]["authenticationType"];
    let encryption = &input["kafkaClusterEncryptionInTransit"]["encryptionType"];
    if authentication == "IAM" && encryption != "TLS" {
        return Err(errors::invalid("kafkaClusterEncryptionInTransit", "IAM authentication requires TLS."));
    }
    let version = input["kafkaConnectVersion"].as_str().unwrap_or_default();
    if !VERSIONS.contains(&version) {
        let versions = VERSIONS.join(" and ");
        return Err(errors::invalid("kafkaConnectVersion", format!("Valid versions are {versions}.")));
    }
    let mut fixed = Map::new();
    let description = input["connectorDescription"].as_str().unwrap_or_default();
    fixed.insert("connectorDescription".to_owned(), json!(description));
    for member in [
        "kafkaCluster",
        "kafkaClusterClientAuthentication",
        "kafkaClusterEncryptionInTransit",
        "kafkaConnectVersion",
        "logDelivery",
        "serviceExecutionRoleArn",
    ] {
        if !input[member].is_null() {
            fixed.insert(member.to_owned(), input[member].clone());
        }
    }
    let network = input["networkType"].as_str().unwrap_or("IPV4");
    fixed.insert("networkType".to_owned(), json!(network));
    Ok(Value::Object(fixed))
}

pub(super) fn describe(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["connectorArn"].as_str().unwrap_or_default();
    let book = desk.book();
    let connector = here(&book, call, arn)?;
    let mut shown = describe::connector(connector);
    if let Some(shown) = shown.as_object_mut() {
        // Only lists have it.
        shown.shift_remove("networkType");
    }
    shown["connectorConfiguration"] = json!(connector.setting.configuration);
    if let Some(trouble) = &connector.trouble {
        shown["stateDescription"] = describe::trouble(trouble);
    }
    Ok(shown)
}

/// A connector of the call's region.
pub(super) fn here<'a>(book: &'a Book, call: &Call, arn: &str) -> Result<&'a Connector, ApiError> {
    let found = book.connectors.get(arn).filter(|connector| connector.region == call.region);
    found.ok_or_else(|| errors::not_found("connector", arn))
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let prefix = input["connectorNamePrefix"].as_str().unwrap_or_default();
    let book = desk.book();
    let found = book.connectors.values().filter(|connector| connector.region == call.region);
    let found = found.filter(|connector| connector.name.starts_with(prefix));
    let items = found.map(|connector| (connector.arn.clone(), describe::connector(connector)));
    paging::page(items.collect(), input, "connectors")
}

pub(super) fn delete(office: &Office, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = input["connectorArn"].as_str().unwrap_or_default();
    here(&office.desk.book(), call, arn)?;
    let version = input["currentVersion"].as_str();
    office.desk.change_connector(arn, |connector, _| {
        if version.is_some_and(|version| version != connector.version) {
            return Err(errors::invalid("currentVersion", "The specified version is not the current version."));
        }
        connector.state = State::Deleting;
        Ok(((), None))
    })?;
    office.crew.nudge(arn);
    Ok(json!({"connectorArn": arn, "connectorState": "DELETING"}))
}
