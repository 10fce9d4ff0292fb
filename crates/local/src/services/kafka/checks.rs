//! What a new cluster may be made of, with the defaults that AWS fills in.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::book::{Book, Revised, texts};
use super::desk::Desk;
use super::errors::{invalid, unsupported};
use super::{instance_types, versions};
use crate::services::Call;
use crate::wire::error::ApiError;

/// GiB a broker where the request has none.
const DEFAULT_STORAGE: u64 = 100;

/// A name begins with a letter or digit ("Create a provisioned MSK cluster", MSK developer guide).
pub(super) fn name(name: &str) -> Result<(), ApiError> {
    let good = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') && !name.starts_with('-');
    if good && (1..=64).contains(&name.len()) {
        return Ok(());
    }
    Err(invalid(
        "clusterName",
        "A cluster name has 1 to 64 letters, digits and hyphens, and does not begin with a hyphen.",
    ))
}

/// The settings of a request for a provisioned cluster, complete.
pub(super) fn settings(desk: &Desk, call: &Call, asked: &Value) -> Result<Map<String, Value>, ApiError> {
    let given = &asked["BrokerNodeGroupInfo"];
    let kind = given["InstanceType"].as_str().unwrap_or_default();
    instance_types::check(kind, "instanceType")?;
    let express = instance_types::is_express(kind);
    let subnets = texts(&given["ClientSubnets"]);
    let zones = zones(desk, call, &subnets)?;
    let brokers = asked["NumberOfBrokerNodes"].as_u64().unwrap_or_default();
    broker_count(brokers, subnets.len())?;
    if express && subnets.len() != 3 {
        return Err(invalid("clientSubnets", "Express brokers need three client subnets."));
    }
    let mut group = json!({
        "BrokerAZDistribution": "DEFAULT", "ClientSubnets": subnets, "InstanceType": kind, "ZoneIds": zones,
        "SecurityGroups": groups(desk, call, &texts(&given["SecurityGroups"]))?,
        "ConnectivityInfo": connectivity(&given["ConnectivityInfo"])?,
    });
    if express {
        if !given["StorageInfo"].is_null() {
            return Err(invalid(
                "storageInfo",
                "Express brokers keep their storage themselves: leave StorageInfo out.",
            ));
        }
    } else {
        let mut volume = given["StorageInfo"]["EbsStorageInfo"].clone();
        if volume["VolumeSize"].is_null() {
            volume["VolumeSize"] = json!(DEFAULT_STORAGE);
        }
        group["StorageInfo"] = json!({ "EbsStorageInfo": volume });
    }
    let encryption = encryption(&call.region, &call.account, &asked["EncryptionInfo"]);
    authentication(&asked["ClientAuthentication"], &encryption)?;

    let mut settings = Map::new();
    settings.insert("BrokerNodeGroupInfo".to_owned(), group);
    settings.insert("NumberOfBrokerNodes".to_owned(), json!(brokers));
    settings.insert("EncryptionInfo".to_owned(), encryption);
    let off =
        json!({"Prometheus": {"JmxExporter": {"EnabledInBroker": false}, "NodeExporter": {"EnabledInBroker": false}}});
    for (member, default) in [
        ("ClientAuthentication", None),
        ("EnhancedMonitoring", Some(json!("DEFAULT"))),
        ("LoggingInfo", None),
        ("OpenMonitoring", Some(off)),
        ("Rebalancing", express.then(|| json!({"Status": "ACTIVE"}))),
        ("StorageMode", Some(json!("LOCAL"))),
    ] {
        let value = Some(&asked[member]).filter(|value| !value.is_null()).cloned().or(default);
        if let Some(value) = value {
            settings.insert(member.to_owned(), value);
        }
    }
    Ok(settings)
}

/// As many brokers in each zone.
pub(super) fn broker_count(brokers: u64, zones: usize) -> Result<(), ApiError> {
    let zones = zones as u64;
    if zones > 0 && brokers > 0 && brokers.is_multiple_of(zones) {
        return Ok(());
    }
    let message =
        "The number of broker nodes must be a multiple of Availability Zones in the Client Subnets parameter.";
    Err(invalid("numberOfBrokerNodes", message))
}

/// Refuses ways of authentication that are not there, and those that need encryption without it.
pub(super) fn authentication(asked: &Value, encryption: &Value) -> Result<(), ApiError> {
    if asked["Sasl"]["Scram"]["Enabled"] == true {
        return Err(unsupported("clientAuthentication", "SASL/SCRAM (`Sasl.Scram`)"));
    }
    if asked["Tls"]["Enabled"] == true || !texts(&asked["Tls"]["CertificateAuthorityArnList"]).is_empty() {
        return Err(unsupported("clientAuthentication", "mutual TLS (`Tls`)"));
    }
    let iam = asked["Sasl"]["Iam"]["Enabled"] == true;
    if iam && encryption["EncryptionInTransit"]["ClientBroker"] == "PLAINTEXT" {
        let message = "SASL authentication needs encryption in transit: ClientBroker must be TLS or TLS_PLAINTEXT.";
        return Err(invalid("clientBroker", message));
    }
    Ok(())
}

/// Connectivity inside of the VPC alone.
pub(super) fn connectivity(asked: &Value) -> Result<Value, ApiError> {
    if asked["PublicAccess"]["Type"].as_str().is_some_and(|kind| kind != "DISABLED") {
        return Err(unsupported("connectivityInfo", "public access to brokers (`PublicAccess`)"));
    }
    let clients = &asked["VpcConnectivity"]["ClientAuthentication"];
    let enabled = [&clients["Sasl"]["Iam"], &clients["Sasl"]["Scram"], &clients["Tls"]];
    if enabled.iter().any(|way| way["Enabled"] == true) {
        return Err(unsupported("connectivityInfo", "multi-VPC connectivity (`VpcConnectivity`)"));
    }
    if asked["NetworkType"] == "DUAL" {
        return Err(unsupported("connectivityInfo", "IPv6 (`NetworkType` DUAL)"));
    }
    Ok(json!({"PublicAccess": {"Type": "DISABLED"}, "NetworkType": "IPV4"}))
}

/// The revision of a configuration that a cluster of this version asks for.
pub(super) fn configuration(
    book: &Book,
    region: &str,
    asked: &Value,
    kafka_version: &str,
) -> Result<Option<Revised>, ApiError> {
    if asked.is_null() {
        return Ok(None);
    }
    let revised = Revised {
        arn: asked["Arn"].as_str().unwrap_or_default().to_owned(),
        revision: asked["Revision"].as_i64().unwrap_or_default(),
    };
    let found = book.configurations.get(&revised.arn).filter(|one| one.region == region && !one.deleting);
    let found = found.ok_or_else(super::errors::no_configuration)?;
    if book.revision(&revised).is_none() {
        let message = format!("Configuration revision {} does not exist.", revised.revision);
        return Err(invalid("configurationInfo", message));
    }
    if !found.kafka_versions.is_empty() && !found.kafka_versions.iter().any(|version| version == kafka_version) {
        let message = format!("Configuration {} is not for the Kafka version {kafka_version}.", found.name);
        return Err(invalid("configurationInfo", message));
    }
    Ok(Some(revised))
}

/// The version of a new cluster.
pub(super) fn kafka_version(asked: &Value, settings: &Map<String, Value>) -> Result<String, ApiError> {
    let version = asked["KafkaVersion"].as_str().unwrap_or_default();
    versions::check(version)?;
    let kind = settings["BrokerNodeGroupInfo"]["InstanceType"].as_str().unwrap_or_default();
    // "Express brokers: 3.6, 3.8 and later" ("Amazon MSK broker types", MSK developer guide).
    let old = ["1.", "2.", "3.1", "3.2", "3.3", "3.4", "3.5", "3.7"].iter().any(|start| version.starts_with(start));
    if instance_types::is_express(kind) && old {
        return Err(invalid("kafkaVersion", format!("Express brokers do not support the Kafka version {version}.")));
    }
    Ok(version.to_owned())
}

/// The zones of the subnets: two or three, all different.
fn zones(desk: &Desk, call: &Call, subnets: &[String]) -> Result<Vec<String>, ApiError> {
    if !(2..=3).contains(&subnets.len()) {
        return Err(invalid("clientSubnets", "Specify either two or three client subnets."));
    }
    let found = desk.network.subnets(&call.region, subnets);
    let found = found.map_err(|error| invalid("clientSubnets", error.message))?;
    let zones: Vec<String> = found.into_iter().map(|subnet| subnet.zone_id).collect();
    let different: BTreeSet<&String> = zones.iter().collect();
    if different.len() != zones.len() {
        return Err(invalid("clientSubnets", "The client subnets must be in different Availability Zones."));
    }
    Ok(zones)
}

fn groups(desk: &Desk, call: &Call, asked: &[String]) -> Result<Vec<String>, ApiError> {
    if asked.is_empty() {
        return Ok(vec![desk.network.default_group(&call.region)]);
    }
    let checked = desk.network.check_groups(&call.region, asked);
    checked.map_err(|error| invalid("securityGroups", error.message))?;
    Ok(asked.to_vec())
}

fn encryption(region: &str, account: &str, asked: &Value) -> Value {
    let transit = &asked["EncryptionInTransit"];
    let key = asked["EncryptionAtRest"]["DataVolumeKMSKeyId"].as_str().map(str::to_owned);
    // The AWS-managed key `aws/kafka`, which every account has.
    let key = key.unwrap_or_else(|| format!("arn:aws:kms:{region}:{account}:key/00000000-0000-4000-8000-6b61666b6100"));
    json!({
        "EncryptionAtRest": {"DataVolumeKMSKeyId": key},
        "EncryptionInTransit": {
            "ClientBroker": transit["ClientBroker"].as_str().unwrap_or("TLS"),
            "InCluster": transit["InCluster"].as_bool().unwrap_or(true),
        },
    })
}
