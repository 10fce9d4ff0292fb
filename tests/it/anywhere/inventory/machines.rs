//! What EC2 and IAM hold.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{IpPermission, Tag};
use pinfra_aws::Clients;

use super::{Inventory, owner};

pub(super) async fn list(clients: &Clients, inventory: &mut Inventory) {
    instances(clients, inventory).await;
    networks(clients, inventory).await;
    roles(clients, inventory).await;
}

async fn instances(clients: &Clients, inventory: &mut Inventory) {
    let answer = clients.ec2.describe_instances().send().await.unwrap();
    for instance in answer.reservations().iter().flat_map(|reservation| reservation.instances()) {
        let state = instance.state().and_then(|state| state.name()).map(|name| name.as_str());
        // EC2 shows them for an hour.
        if state != Some("terminated") {
            inventory.add_in_state(&format!("instance {}", whose(instance.tags())), state);
        }
    }
    let volumes = clients.ec2.describe_volumes().send().await.unwrap();
    for volume in volumes.volumes() {
        inventory.add_in_state(&format!("volume {}", whose(volume.tags())), volume.state().map(|state| state.as_str()));
    }
    let addresses = clients.ec2.describe_addresses().send().await.unwrap();
    for address in addresses.addresses() {
        let used = if address.association_id().is_some() { "in use" } else { "idle" };
        inventory.add(format!("address {} {used}", whose(address.tags())));
    }
    for key in clients.ec2.describe_key_pairs().send().await.unwrap().key_pairs() {
        inventory.add(format!("key pair {}", key.key_name().unwrap_or_default()));
    }
}

async fn networks(clients: &Clients, inventory: &mut Inventory) {
    let groups = clients.ec2.describe_security_groups().send().await.unwrap();
    let groups = groups.security_groups();
    let names: BTreeMap<&str, &str> =
        groups.iter().filter_map(|group| Some((group.group_id()?, group.group_name()?))).collect();
    for group in groups {
        let name = group.group_name().unwrap_or_default();
        inventory.add(format!("security group {name}"));
        for (way, permissions) in [("in", group.ip_permissions()), ("out", group.ip_permissions_egress())] {
            for rule in permissions.iter().flat_map(|permission| rules(permission, &names)) {
                inventory.add(format!("security group {name}: {way} {rule}"));
            }
        }
    }
    for endpoint in clients.ec2.describe_vpc_endpoints().send().await.unwrap().vpc_endpoints() {
        let service = endpoint.service_name().unwrap_or_default();
        let state = endpoint.state().map(|state| state.as_str().to_ascii_lowercase());
        if state.as_deref() != Some("deleted") {
            inventory.add_in_state(&format!("endpoint {} to {service}", whose(endpoint.tags())), state);
        }
    }
    for interface in clients.ec2.describe_network_interfaces().send().await.unwrap().network_interfaces() {
        let mut of: Vec<&str> = interface.groups().iter().filter_map(|group| group.group_name()).collect();
        of.sort_unstable();
        inventory.add(format!("interface in {}", of.join(", ")));
    }
}

/// Each peer of a permission, by name.
fn rules(permission: &IpPermission, names: &BTreeMap<&str, &str>) -> Vec<String> {
    let protocol = permission.ip_protocol().unwrap_or_default();
    let ports = format!("{protocol} {:?}-{:?}", permission.from_port(), permission.to_port());
    let blocks = permission.ip_ranges().iter().filter_map(|range| range.cidr_ip());
    let groups = permission.user_id_group_pairs().iter().filter_map(|pair| pair.group_id());
    let groups = groups.map(|id| names.get(id).copied().unwrap_or("a group that is not there"));
    blocks.chain(groups).map(|peer| format!("{ports} {peer}")).collect()
}

async fn roles(clients: &Clients, inventory: &mut Inventory) {
    let mut roles = clients.iam.list_roles().into_paginator().items().send();
    while let Some(role) = roles.next().await {
        let role = role.unwrap();
        let name = format!("role {}{}", role.path, role.role_name);
        let policies = clients.iam.list_role_policies().role_name(&role.role_name).send().await;
        // One that is deleted in between is not there.
        let Ok(policies) = policies else { continue };
        for policy in policies.policy_names() {
            inventory.add(format!("{name}: policy {policy}"));
        }
        inventory.add(name);
    }
    let mut profiles = clients.iam.list_instance_profiles().into_paginator().items().send();
    while let Some(profile) = profiles.next().await {
        let profile = profile.unwrap();
        let roles: Vec<&str> = profile.roles().iter().map(|role| role.role_name.as_str()).collect();
        inventory.add(format!("instance profile {} of {}", profile.instance_profile_name, roles.join(", ")));
    }
}

fn whose(tags: &[Tag]) -> String {
    owner(tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))))
}
