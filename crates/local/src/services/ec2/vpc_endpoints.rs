//! Gateway endpoints: the way from the VPC to S3 and DynamoDB that costs nothing and needs no internet. One is a route
//! in each of its route tables, to the prefix list of the service. Nothing is routed here, so a policy is kept and not
//! evaluated.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::filters::{Listing, describe, texts};
use super::region::Region;
use super::{Request, errors, ids, tags};
use crate::credentials::ACCOUNT;
use crate::wire::error::ApiError;

/// The services that have gateway endpoints.
pub(super) const SERVICES: [&str; 2] = ["dynamodb", "s3"];

/// What an endpoint lets through unless it is told otherwise ("Control access to VPC endpoints using endpoint policies",
/// AWS PrivateLink guide).
const FULL_ACCESS: &str =
    r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;

/// A gateway endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct VpcEndpoint {
    pub(super) id: String,
    /// `s3` or `dynamodb`.
    pub(super) service: String,
    pub(super) route_tables: Vec<String>,
    policy: String,
    /// Seconds since the epoch.
    created: i64,
    client_token: Option<String>,
}

/// The id of the prefix list of a service.
pub(super) fn prefix_list(region: &str, service: &str) -> String {
    ids::PREFIX_LIST.fixed_id(region, service)
}

/// The routes that endpoints put into a route table.
pub(super) fn routes(region: &Region, table: &str) -> Vec<Value> {
    let through = region.endpoints.values().filter(|endpoint| endpoint.route_tables.iter().any(|one| one == table));
    let route = |endpoint: &VpcEndpoint| {
        json!({
            "DestinationPrefixListId": prefix_list(&region.name, &endpoint.service), "GatewayId": endpoint.id,
            "Origin": "CreateRoute", "State": "active",
        })
    };
    through.map(route).collect()
}

/// `CreateVpcEndpoint`.
pub(super) fn create(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let input = request.input;
    let kind = input["VpcEndpointType"].as_str().unwrap_or("Gateway");
    if kind != "Gateway" {
        return Err(errors::unsupported(&format!("VPC endpoints of the type {kind}")));
    }
    for member in [
        "DnsOptions",
        "PrivateDnsEnabled",
        "ResourceConfigurationArn",
        "SecurityGroupIds",
        "ServiceNetworkArn",
        "SubnetConfigurations",
        "SubnetIds",
    ] {
        let absent = input[member].is_null() || input[member] == false || input[member] == json!([]);
        if !absent {
            let message = format!("The parameter {member} is not valid for endpoints of the type Gateway");
            return Err(errors::invalid_value(message));
        }
    }
    let vpc = request.text("VpcId");
    ids::VPC.check(vpc)?;
    if vpc != region.network().vpc_id() {
        return Err(ids::VPC.not_found(vpc));
    }
    let token = input["ClientToken"].as_str().filter(|token| !token.is_empty());
    let name = request.text("ServiceName");
    if name.is_empty() {
        return Err(errors::missing("ServiceName"));
    }
    let service = service_of(region, name)?.to_owned();
    if let Some(there) = region.endpoints.values().find(|one| token.is_some() && one.client_token.as_deref() == token) {
        if there.service != service {
            let message = "The client token was used before, for a request with other parameters.";
            return Err(ApiError::new("IdempotentParameterMismatch", message));
        }
        return Ok(json!({"VpcEndpoint": there.view(region), "ClientToken": token}));
    }
    let endpoint = VpcEndpoint {
        id: ids::VPC_ENDPOINT.new_id(),
        route_tables: free_tables(region, &texts(&input["RouteTableIds"]), &service)?,
        service,
        policy: policy(input)?.unwrap_or_else(|| FULL_ACCESS.to_owned()),
        created: request.now,
        client_token: token.map(str::to_owned),
    };
    let tags = tags::specified(input, ids::VPC_ENDPOINT, &[])?;
    region.tag(&endpoint.id, tags);
    let answer = json!({"VpcEndpoint": endpoint.view(region), "ClientToken": token});
    region.endpoints.insert(endpoint.id.clone(), endpoint);
    Ok(answer)
}

/// `ModifyVpcEndpoint`: route tables and policy.
pub(super) fn modify(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let input = request.input;
    for member in ["AddSecurityGroupIds", "AddSubnetIds", "DnsOptions", "PrivateDnsEnabled", "SubnetConfigurations"] {
        if !input[member].is_null() {
            let message = format!("The parameter {member} is not valid for endpoints of the type Gateway");
            return Err(errors::invalid_value(message));
        }
    }
    let id = request.text("VpcEndpointId");
    ids::VPC_ENDPOINT.check(id)?;
    let mut endpoint = region.endpoints.get(id).cloned().ok_or_else(|| ids::VPC_ENDPOINT.not_found(id))?;
    let gone = texts(&input["RemoveRouteTableIds"]);
    if let Some(unknown) = gone.iter().find(|gone| !endpoint.route_tables.iter().any(|table| table == *gone)) {
        return Err(ids::ROUTE_TABLE.not_found(unknown));
    }
    let added = free_tables(region, &texts(&input["AddRouteTableIds"]), &endpoint.service)?;
    endpoint.route_tables.retain(|table| !gone.contains(&table.as_str()));
    endpoint.route_tables.extend(added);
    if let Some(policy) = policy(input)? {
        endpoint.policy = policy;
    }
    if input["ResetPolicy"] == true {
        FULL_ACCESS.clone_into(&mut endpoint.policy);
    }
    region.endpoints.insert(id.to_owned(), endpoint);
    Ok(json!({"Return": true}))
}

/// `DeleteVpcEndpoints`: those that are not there are told of, and the others go.
pub(super) fn delete(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let mut unsuccessful = Vec::new();
    for id in texts(&request.input["VpcEndpointIds"]) {
        if region.endpoints.remove(id).is_some() {
            region.tags.remove(id);
            continue;
        }
        // Here the code lacks the `Id` that `DescribeVpcEndpoints` has.
        let message = format!("The Vpc Endpoint Id '{id}' does not exist");
        unsuccessful.push(json!({
            "ResourceId": id, "Error": {"Code": "InvalidVpcEndpoint.NotFound", "Message": message},
        }));
    }
    Ok(json!({ "Unsuccessful": unsuccessful }))
}

/// `DescribeVpcEndpoints`.
pub(super) fn list(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "VpcEndpointIds",
        id: "VpcEndpointId",
        noun: ids::VPC_ENDPOINT,
        filters: &[
            ("ip-address-type", "IpAddressType"),
            ("service-name", "ServiceName"),
            ("service-region", "ServiceRegion"),
            ("vpc-endpoint-id", "VpcEndpointId"),
            ("vpc-endpoint-state", "State"),
            ("vpc-endpoint-type", "VpcEndpointType"),
            ("vpc-id", "VpcId"),
        ],
    };
    let views = region.endpoints.values().map(|endpoint| endpoint.view(region)).collect();
    Ok(describe(views, request.input, &LISTING)?.answer("VpcEndpoints"))
}

impl VpcEndpoint {
    fn view(&self, region: &Region) -> Value {
        json!({
            "VpcEndpointId": self.id, "VpcEndpointType": "Gateway", "VpcId": region.network().vpc_id(),
            "ServiceName": format!("com.amazonaws.{}.{}", region.name, self.service), "ServiceRegion": region.name,
            "State": "available", "PolicyDocument": self.policy, "RouteTableIds": self.route_tables, "SubnetIds": [],
            "Groups": [], "NetworkInterfaceIds": [], "DnsEntries": [], "PrivateDnsEnabled": false,
            "RequesterManaged": false, "CreationTimestamp": self.created, "OwnerId": ACCOUNT,
            "Tags": region.tags_of(&self.id),
        })
    }
}

fn service_of<'a>(region: &Region, name: &'a str) -> Result<&'a str, ApiError> {
    let service = name.strip_prefix("com.amazonaws.").and_then(|rest| rest.strip_prefix(region.name.as_str()));
    let service = service.and_then(|rest| rest.strip_prefix('.')).filter(|service| SERVICES.contains(service));
    service.ok_or_else(|| {
        let message = format!("The Vpc Endpoint Service '{name}' does not exist");
        ApiError::new("InvalidServiceName", message)
    })
}

/// Route tables that exist and have no route to the service yet.
fn free_tables(region: &Region, wanted: &[&str], service: &str) -> Result<Vec<String>, ApiError> {
    for table in wanted {
        ids::ROUTE_TABLE.check(table)?;
        if region.network().fixed(ids::ROUTE_TABLE) != *table {
            return Err(ids::ROUTE_TABLE.not_found(table));
        }
        let list = prefix_list(&region.name, service);
        if routes(region, table).iter().any(|route| route["DestinationPrefixListId"] == list.as_str()) {
            let message = format!("route table {table} already has a route with destination-prefix-list-id {list}");
            return Err(ApiError::new("RouteAlreadyExists", message));
        }
    }
    Ok(wanted.iter().map(|table| (*table).to_owned()).collect())
}

fn policy(input: &Value) -> Result<Option<String>, ApiError> {
    let Some(text) = input["PolicyDocument"].as_str().filter(|text| !text.is_empty()) else { return Ok(None) };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => Ok(Some(text.to_owned())),
        _ => Err(ApiError::new("InvalidPolicyDocument", "The policy document is not a JSON object")),
    }
}
