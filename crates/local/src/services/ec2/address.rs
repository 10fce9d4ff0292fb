//! Elastic IPs. Their addresses are from the ranges of RFC 5737: nobody has them, so nothing is reached by mistake.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::filters::{Listing, describe, paged, texts};
use super::instance::State;
use super::region::Region;
use super::{Request, errors, ids, tags};
use crate::credentials::ACCOUNT;
use crate::wire::error::ApiError;

/// An Elastic IP.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Address {
    pub(super) allocation_id: String,
    pub(super) public_ip: String,
    association: Option<Association>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Association {
    id: String,
    instance: String,
}

impl Address {
    /// Whether it is associated with this instance.
    pub(super) fn is_of(&self, instance: &str) -> bool {
        self.association.as_ref().is_some_and(|association| association.instance == instance)
    }

    /// Lets its instance go, as happens when that is terminated.
    pub(super) fn release_from(&mut self, instance: &str) {
        if self.is_of(instance) {
            self.association = None;
        }
    }

    /// The id of its association.
    pub(super) fn association_id(&self) -> Option<&str> {
        self.association.as_ref().map(|association| association.id.as_str())
    }

    fn view(&self, region: &Region) -> Value {
        let mut view = json!({
            "AllocationId": self.allocation_id, "PublicIp": self.public_ip, "Domain": "vpc",
            "PublicIpv4Pool": "amazon", "NetworkBorderGroup": region.name, "Tags": region.tags_of(&self.allocation_id),
        });
        let Some(association) = &self.association else { return view };
        view["AssociationId"] = json!(association.id);
        if let Some(instance) = region.instances.get(&association.instance) {
            view["InstanceId"] = json!(instance.id);
            view["NetworkInterfaceId"] = json!(instance.interface_id);
            view["NetworkInterfaceOwnerId"] = json!(ACCOUNT);
            view["PrivateIpAddress"] = json!(instance.private_ip);
        }
        view
    }
}

/// `AllocateAddress`.
pub(super) fn allocate(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    for member in ["Address", "CustomerOwnedIpv4Pool", "IpamPoolId"] {
        if !request.input[member].is_null() {
            return Err(errors::unsupported(&format!("`{member}` of AllocateAddress")));
        }
    }
    if request.input["Domain"] == "standard" {
        return Err(errors::invalid_value("Invalid value 'standard' for domain: there is no EC2-Classic any more"));
    }
    let tags = tags::specified(request.input, ids::ALLOCATION, &[])?;
    let address =
        Address { allocation_id: ids::ALLOCATION.new_id(), public_ip: region.free_public_ip()?, association: None };
    let answer = json!({
        "AllocationId": address.allocation_id, "PublicIp": address.public_ip, "Domain": "vpc",
        "PublicIpv4Pool": "amazon", "NetworkBorderGroup": region.name,
    });
    region.tag(&address.allocation_id, tags);
    region.addresses.insert(address.allocation_id.clone(), address);
    Ok(answer)
}

/// `AssociateAddress`: an address that is elsewhere moves, unless `AllowReassociation` forbids it.
pub(super) fn associate(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let input = request.input;
    let allocation = named(region, input)?;
    let instance = match (input["InstanceId"].as_str(), input["NetworkInterfaceId"].as_str()) {
        (Some(id), _) => region.instance(id)?,
        (None, Some(id)) => {
            ids::INTERFACE.check(id)?;
            let found = region.instances.values().find(|instance| instance.interface_id == id);
            found.ok_or_else(|| ids::INTERFACE.not_found(id))?
        }
        (None, None) => return Err(errors::missing("InstanceId or NetworkInterfaceId")),
    };
    if !matches!(instance.state, State::Running | State::Stopping | State::Stopped) {
        let message = format!(
            "The {} instance '{}' is not in a valid state for this operation.",
            instance.state.name(),
            instance.id
        );
        return Err(ApiError::new("InvalidInstanceID", message));
    }
    if input["PrivateIpAddress"].as_str().is_some_and(|ip| ip != instance.private_ip) {
        return Err(errors::invalid_value("the instance does not have this private address"));
    }
    let instance = instance.id.clone();
    let address = &region.addresses[&allocation];
    if address.is_of(&instance) {
        return Ok(json!({"AssociationId": address.association_id()}));
    }
    if address.association.is_some() && input["AllowReassociation"] == false {
        let message = format!(
            "resource {allocation} is already associated with associate-id {}",
            address.association_id().unwrap_or_default()
        );
        return Err(ApiError::new("Resource.AlreadyAssociated", message));
    }
    // An interface has one: the one it had is free again.
    for address in region.addresses.values_mut() {
        address.release_from(&instance);
    }
    let id = ids::ALLOCATION.new_id().replacen("eipalloc-", "eipassoc-", 1);
    // The address that it was started with goes back to the pool.
    region.instance_mut(&instance)?.public_ip = None;
    if let Some(address) = region.addresses.get_mut(&allocation) {
        address.association = Some(Association { id: id.clone(), instance });
    }
    Ok(json!({ "AssociationId": id }))
}

/// `DisassociateAddress`.
pub(super) fn disassociate(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let input = request.input;
    let found = match (input["AssociationId"].as_str(), input["PublicIp"].as_str()) {
        (Some(id), _) => {
            let found = region.addresses.values_mut().find(|address| address.association_id() == Some(id));
            found.ok_or_else(|| {
                let message = format!("The association ID '{id}' does not exist");
                ApiError::new("InvalidAssociationID.NotFound", message)
            })?
        }
        (None, Some(ip)) => {
            let found = region.addresses.values_mut().find(|address| address.public_ip == ip);
            found.ok_or_else(|| no_such_address(ip))?
        }
        (None, None) => return Err(errors::missing("AssociationId")),
    };
    let Some(association) = found.association.take() else { return Ok(json!({})) };
    // A running instance gets an address of the pool again (EC2 user guide, "Elastic IP addresses").
    if region.instances.get(&association.instance).is_some_and(|instance| instance.wants_public_ip()) {
        let ip = region.free_public_ip()?;
        region.instance_mut(&association.instance)?.public_ip = Some(ip);
    }
    Ok(json!({}))
}

/// `ReleaseAddress`.
pub(super) fn release(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let allocation = named(region, request.input)?;
    let address = &region.addresses[&allocation];
    if address.association.is_some() {
        return Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {} is in use.", address.public_ip)));
    }
    region.addresses.remove(&allocation);
    region.tags.remove(&allocation);
    Ok(json!({}))
}

/// `DescribeAddresses`.
pub(super) fn list(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "AllocationIds",
        id: "AllocationId",
        noun: ids::ALLOCATION,
        filters: &[
            ("allocation-id", "AllocationId"),
            ("association-id", "AssociationId"),
            ("domain", "Domain"),
            ("instance-id", "InstanceId"),
            ("network-border-group", "NetworkBorderGroup"),
            ("network-interface-id", "NetworkInterfaceId"),
            ("network-interface-owner-id", "NetworkInterfaceOwnerId"),
            ("private-ip-address", "PrivateIpAddress"),
            ("public-ip", "PublicIp"),
        ],
    };
    let mut addresses: Vec<Value> = region.addresses.values().map(|address| address.view(region)).collect();
    let ips = texts(&request.input["PublicIps"]);
    if let Some(unknown) = ips.iter().find(|ip| !addresses.iter().any(|address| address["PublicIp"] == **ip)) {
        return Err(no_such_address(unknown));
    }
    addresses.retain(|address| ips.is_empty() || ips.iter().any(|ip| address["PublicIp"] == *ip));
    Ok(json!({"Addresses": describe(addresses, request.input, &LISTING)?.items}))
}

/// `DescribeAddressesAttribute`: no address has a reverse name of its own.
pub(super) fn attributes(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let wanted = texts(&request.input["AllocationIds"]);
    for id in &wanted {
        ids::ALLOCATION.check(id)?;
        if !region.addresses.contains_key(*id) {
            return Err(ids::ALLOCATION.not_found(id));
        }
    }
    let chosen = region
        .addresses
        .values()
        .filter(|address| wanted.is_empty() || wanted.contains(&address.allocation_id.as_str()));
    let views = chosen.map(|address| json!({"AllocationId": address.allocation_id, "PublicIp": address.public_ip}));
    Ok(paged(views.collect(), request.input, "AllocationId")?.answer("Addresses"))
}

/// The allocation that a request names by its id or by the address itself.
fn named(region: &Region, input: &Value) -> Result<String, ApiError> {
    if let Some(id) = input["AllocationId"].as_str() {
        ids::ALLOCATION.check(id)?;
        return if region.addresses.contains_key(id) { Ok(id.to_owned()) } else { Err(ids::ALLOCATION.not_found(id)) };
    }
    let ip = input["PublicIp"].as_str().ok_or_else(|| errors::missing("AllocationId"))?;
    let found = region.addresses.values().find(|address| address.public_ip == ip);
    found.map(|address| address.allocation_id.clone()).ok_or_else(|| no_such_address(ip))
}

fn no_such_address(ip: &str) -> ApiError {
    ApiError::new("InvalidAddress.NotFound", format!("Address '{ip}' not found."))
}
