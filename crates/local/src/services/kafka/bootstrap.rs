//! `GetBootstrapBrokers`: where clients begin.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::clusters::named;
use super::desk::Desk;
use super::errors::bad_request;
use crate::kafka::Node;
use crate::services::Call;
use crate::wire::error::ApiError;

/// The plaintext listeners are always there; those of IAM are told where the cluster has IAM on.
pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let cluster = named(desk, call, input)?;
    if !cluster.state.is_up() {
        let state = cluster.state.name();
        return Err(bad_request(format!("You can't get bootstrap broker nodes for a cluster in {state} state.")));
    }
    let nodes = desk.open_brokers(&cluster)?.nodes();
    let list = |address: fn(&Node) -> SocketAddr| {
        nodes.iter().map(|node| address(node).to_string()).collect::<Vec<String>>().join(",")
    };
    let mut answer = json!({"BootstrapBrokerString": list(|node| node.plaintext)});
    let authentication = cluster.settings.get("ClientAuthentication").unwrap_or(&Value::Null);
    if authentication["Sasl"]["Iam"]["Enabled"] == true {
        answer["BootstrapBrokerStringSaslIam"] = json!(list(|node| node.iam));
    }
    Ok(answer)
}
