//! Where a new instance goes: subnet, addresses, security groups.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::Value;

use super::filters::texts;
use super::network::Subnet;
use super::region::Region;
use super::{errors, ids};
use crate::wire::error::ApiError;

/// Where the instances go and what they may be reached by.
pub(super) struct Place {
    pub(super) subnet: Subnet,
    pub(super) groups: Vec<String>,
    pub(super) private_ip: Option<String>,
    pub(super) public: bool,
}

/// An interface is described either by `NetworkInterfaces` or by the members beside it.
pub(super) fn place(region: &Region, input: &Value) -> Result<Place, ApiError> {
    let network = region.network();
    let interfaces = input["NetworkInterfaces"].as_array().map(Vec::as_slice).unwrap_or_default();
    let source = match interfaces {
        [] => input,
        [one] => {
            for member in ["SubnetId", "SecurityGroupIds", "SecurityGroups", "PrivateIpAddress"] {
                if !input[member].is_null() {
                    return Err(errors::combination(
                        "Network interfaces and an instance-level subnet ID, security groups or private address may not be specified on the same request",
                    ));
                }
            }
            const KNOWN: &[&str] = &[
                "AssociatePublicIpAddress",
                "DeleteOnTermination",
                "DeviceIndex",
                "Groups",
                "PrivateIpAddress",
                "SubnetId",
                "Description",
            ];
            for (member, value) in one.as_object().into_iter().flatten() {
                if !KNOWN.contains(&member.as_str()) && !value.is_null() {
                    return Err(errors::unsupported(&format!("`NetworkInterfaces.{member}` of RunInstances")));
                }
            }
            one
        }
        _ => return Err(errors::unsupported("more than one network interface an instance")),
    };
    for (member, value) in input["Placement"].as_object().into_iter().flatten() {
        let default = member == "AvailabilityZone" || value == "" || (member == "Tenancy" && value == "default");
        if !default {
            return Err(errors::unsupported(&format!("`Placement.{member}` of RunInstances")));
        }
    }
    let zone = input["Placement"]["AvailabilityZone"].as_str();
    let subnet = match (source["SubnetId"].as_str(), zone) {
        (Some(id), zone) => {
            let subnet = network.subnet(id)?;
            if zone.is_some_and(|zone| zone != subnet.zone) {
                return Err(errors::combination("The subnet is not in the availability zone of Placement"));
            }
            subnet
        }
        (None, Some(zone)) => network.subnet_in(zone)?,
        (None, None) => network.subnets().swap_remove(0),
    };
    let mut named = texts(if interfaces.is_empty() { &input["SecurityGroupIds"] } else { &source["Groups"] });
    for name in texts(&input["SecurityGroups"]) {
        let found = region.groups.values().find(|group| group.name == name);
        named.push(&found.ok_or_else(|| ids::GROUP.not_found(name))?.id);
    }
    let mut groups = check_groups(region, &named)?;
    if groups.is_empty() {
        groups.extend(region.groups.values().find(|group| group.name == "default").map(|group| group.id.clone()));
    }
    let private_ip = source["PrivateIpAddress"].as_str().map(str::to_owned);
    let public = source["AssociatePublicIpAddress"].as_bool().unwrap_or(true);
    Ok(Place { subnet, groups, private_ip, public })
}

/// The address that is asked for, or the first free one of the subnet.
pub(super) fn private_ip(region: &Region, place: &Place) -> Result<String, ApiError> {
    let taken = taken(region, &place.subnet.id);
    if let Some(asked) = &place.private_ip {
        let ip = asked.parse::<Ipv4Addr>().ok().filter(|ip| place.subnet.has(*ip));
        let ip = ip.ok_or_else(|| {
            errors::invalid_value(format!("Address {asked} does not fall within the subnet's address range"))
        })?;
        if taken.contains(&ip) {
            return Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {asked} is in use.")));
        }
        return Ok(ip.to_string());
    }
    let free = place.subnet.addresses().find(|ip| !taken.contains(ip));
    free.map(|ip| ip.to_string()).ok_or_else(|| no_free_address(&place.subnet.id))
}

/// The addresses of a subnet that instances and services have.
pub(super) fn taken(region: &Region, subnet: &str) -> BTreeSet<Ipv4Addr> {
    let live = region.instances.values().filter(|instance| instance.holds_subnet(subnet));
    let of_services = region.interfaces.values().filter(|interface| interface.subnet == subnet);
    let all = live.map(|instance| &instance.private_ip).chain(of_services.map(|interface| &interface.private_ip));
    all.filter_map(|ip| ip.parse().ok()).collect()
}

/// A subnet has no address left.
pub(super) fn no_free_address(subnet: &str) -> ApiError {
    let message = format!("insufficient free addresses in subnet '{subnet}'");
    ApiError::new("InsufficientFreeAddressesInSubnet", message)
}

/// Checks the ids of security groups.
pub(super) fn check_groups(region: &Region, groups: &[&str]) -> Result<Vec<String>, ApiError> {
    if groups.len() > 16 {
        return Err(ApiError::new(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface is 16",
        ));
    }
    for id in groups {
        ids::GROUP.check(id)?;
        if !region.groups.contains_key(*id) {
            return Err(ids::GROUP.not_found(id));
        }
    }
    let unique: BTreeSet<&&str> = groups.iter().collect();
    if unique.len() != groups.len() {
        return Err(errors::invalid_value("Duplicate security groups specified"));
    }
    Ok(groups.iter().map(|id| (*id).to_owned()).collect())
}
