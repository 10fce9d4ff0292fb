//! Configurations of brokers, in revisions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::book::{Configuration, Revision, texts, timestamp};
use super::desk::Desk;
use super::errors::{bad_request, check_arn, conflict, invalid, no_configuration};
use super::pages::page;
use super::{lifecycle, properties, versions};
use crate::services::Call;
use crate::wire::error::ApiError;

/// `CreateConfiguration`.
pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let name = input["Name"].as_str().unwrap_or_default();
    check_name(name)?;
    let kafka_versions = texts(&input["KafkaVersions"]);
    if let Some(unknown) = kafka_versions.iter().find(|version| !versions::is_known(version)) {
        return Err(invalid("kafkaVersions", format!("Unsupported KafkaVersion [{unknown}].")));
    }
    let revision = revision(desk, input)?;
    let arn = format!(
        "arn:aws:kafka:{}:{}:configuration/{name}/{}-{}",
        call.region,
        call.account,
        uuid::Uuid::new_v4(),
        rand::random::<u8>() % 25 + 1
    );
    desk.change_configuration(&arn, |place, book| {
        let mut here = book.configurations.values().filter(|one| one.region == call.region);
        if here.any(|one| one.name == name) {
            return Err(conflict("name", "A resource with this name already exists."));
        }
        let configuration = Configuration {
            arn: arn.clone(),
            name: name.to_owned(),
            region: call.region.clone(),
            kafka_versions,
            created: revision.created,
            revisions: vec![revision],
            deleting: false,
        };
        let answer = json!({
            "Arn": arn, "Name": name, "CreationTime": timestamp(configuration.created), "State": "ACTIVE",
            "LatestRevision": latest(&configuration),
        });
        *place = Some(configuration);
        Ok(answer)
    })
}

/// `UpdateConfiguration`: makes a revision.
pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let revision = revision(desk, input)?;
    let arn = named(input)?;
    desk.change_configuration(arn, |place, _| {
        let configuration = here(place.as_mut(), call)?;
        configuration.revisions.push(revision);
        Ok(json!({"Arn": arn, "LatestRevision": latest(configuration)}))
    })
}

/// `DeleteConfiguration`: not while a cluster uses it.
pub(super) fn delete(desk: &Arc<Desk>, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let arn = named(input)?;
    let answer = desk.change_configuration(arn, |place, book| {
        let configuration = here(place.as_mut(), call)?;
        let uses = |one: &&super::book::Cluster| one.configuration.as_ref().is_some_and(|used| used.arn == arn);
        if let Some(cluster) = book.clusters.values().find(uses) {
            let message = format!("Configuration is in use by the cluster {}; delete the cluster first.", cluster.name);
            return Err(invalid("arn", message));
        }
        configuration.deleting = true;
        Ok(json!({"Arn": arn, "State": "DELETING"}))
    })?;
    lifecycle::follow_configuration(desk, arn);
    Ok(answer)
}

/// `DescribeConfiguration`.
pub(super) fn describe(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    read(desk, call, input, |configuration| Ok(view(configuration)))
}

/// `DescribeConfigurationRevision`.
pub(super) fn describe_revision(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    read(desk, call, input, |configuration| {
        let number = input["Revision"].as_i64().unwrap_or_default();
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let revision = place.and_then(|place| configuration.revisions.get(place));
        let revision = revision.ok_or_else(|| invalid("revision", "Configuration revision does not exist."))?;
        Ok(json!({
            "Arn": configuration.arn, "Revision": number, "CreationTime": timestamp(revision.created),
            "Description": revision.description, "ServerProperties": revision.properties,
        }))
    })
}

/// `ListConfigurations`.
pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let book = desk.book();
    let here = book.configurations.values().filter(|configuration| configuration.region == call.region);
    let mut items: Vec<(String, Value)> =
        here.map(|configuration| (configuration.name.clone(), view(configuration))).collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    page(items, input, "Configurations")
}

/// `ListConfigurationRevisions`, the latest first.
pub(super) fn list_revisions(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    read(desk, call, input, |configuration| {
        let numbered = (1i64..).zip(&configuration.revisions);
        let item = |(number, revision)| (format!("{:019}", i64::MAX - number), revision_view(number, revision));
        let mut items: Vec<(String, Value)> = numbered.map(item).collect();
        items.reverse();
        page(items, input, "Revisions")
    })
}

fn read(
    desk: &Desk,
    call: &Call,
    input: &Value,
    read: impl FnOnce(&Configuration) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let arn = named(input)?;
    let book = desk.book();
    let found = book.configurations.get(arn).filter(|configuration| configuration.region == call.region);
    read(found.ok_or_else(no_configuration)?)
}

fn named(input: &Value) -> Result<&str, ApiError> {
    let arn = input["Arn"].as_str().unwrap_or_default();
    check_arn(arn, "configuration").map(|()| arn)
}

/// The configuration of a change, which must not be going already.
fn here<'a>(place: Option<&'a mut Configuration>, call: &Call) -> Result<&'a mut Configuration, ApiError> {
    let configuration = place.filter(|configuration| configuration.region == call.region);
    let configuration = configuration.ok_or_else(no_configuration)?;
    if configuration.deleting {
        return Err(bad_request("Configuration is in the DELETING state."));
    }
    Ok(configuration)
}

fn revision(desk: &Desk, input: &Value) -> Result<Revision, ApiError> {
    let blob = input["ServerProperties"].as_str().unwrap_or_default();
    properties::checked(blob)?;
    Ok(Revision {
        created: desk.clock.now_millis(),
        description: input["Description"].as_str().unwrap_or_default().to_owned(),
        properties: blob.to_owned(),
    })
}

/// "The name that you choose for your configuration must match the following regex: `^[0-9A-Za-z][0-9A-Za-z-]{0,}$`."
fn check_name(name: &str) -> Result<(), ApiError> {
    let good = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') && !name.starts_with('-');
    if good && !name.is_empty() && name.len() <= 256 {
        return Ok(());
    }
    Err(invalid("name", "Configuration name must match the regex ^[0-9A-Za-z][0-9A-Za-z-]{0,}$"))
}

fn view(configuration: &Configuration) -> Value {
    // Its own description is that of its beginning; later ones are those of revisions.
    let first = configuration.revisions.first().map(|revision| revision.description.as_str());
    json!({
        "Arn": configuration.arn, "Name": configuration.name, "CreationTime": timestamp(configuration.created),
        "Description": first.unwrap_or_default(), "KafkaVersions": configuration.kafka_versions,
        "LatestRevision": latest(configuration), "State": if configuration.deleting { "DELETING" } else { "ACTIVE" },
    })
}

fn latest(configuration: &Configuration) -> Value {
    configuration.revisions.last().map_or(Value::Null, |revision| revision_view(configuration.latest(), revision))
}

fn revision_view(number: i64, revision: &Revision) -> Value {
    json!({"Revision": number, "CreationTime": timestamp(revision.created), "Description": revision.description})
}
