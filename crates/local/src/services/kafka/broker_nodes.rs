//! `ListNodes`: the brokers of a cluster.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::book::{Broker, Cluster};
use super::clusters::named;
use super::desk::Desk;
use super::pages::page;
use super::views::software;
use crate::services::Call;
use crate::wire::error::ApiError;

/// Brokers by their ids. Their endpoints are the host that the local brokers listen on.
pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let cluster = named(desk, call, input)?;
    let numbered = (1u32..).zip(&cluster.brokers);
    let items = numbered.map(|(id, broker)| (format!("{id:06}"), view(&cluster, id, broker))).collect();
    page(items, input, "NodeInfoList")
}

fn view(cluster: &Cluster, id: u32, broker: &Broker) -> Value {
    let added = OffsetDateTime::from_unix_timestamp(broker.added / 1_000).ok();
    let added = added.and_then(|added| added.format(&Rfc3339).ok()).unwrap_or_default();
    let kind = cluster.instance_type();
    json!({
        "NodeType": "BROKER", "NodeARN": cluster.arn_of("broker", &broker.uuid), "AddedToClusterTime": added,
        "InstanceType": kind.strip_prefix("kafka.").unwrap_or(kind),
        "BrokerNodeInfo": {
            "BrokerId": f64::from(id), "ClientSubnet": broker.subnet, "AttachedENIId": broker.interface,
            "ClientVpcIpAddress": broker.private_ip, "CurrentBrokerSoftwareInfo": software(cluster),
            "Endpoints": ["127.0.0.1"],
        },
    })
}
