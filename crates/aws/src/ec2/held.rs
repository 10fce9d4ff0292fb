//! Who holds a security group that cannot be deleted.
//!
//! A group is held by the network interfaces that wear it and by rules of other groups that name it. What belongs to the same
//! stack, what is being terminated and what a service made for itself (brokers, connectors) goes without anybody's doing,
//! if only after minutes; the rest is somebody else's, and is named.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Instance, InstanceStateName, NetworkInterface, SecurityGroup, Tag};
use futures::try_join;
use pinfra_engine::CloudError;
use pinfra_engine::resource::STACK_TAG;

use super::filter;
use crate::clients::Clients;
use crate::delete::Holder;
use crate::error::{classify, unless_gone};

/// Asks who holds the group `id`.
pub(super) async fn by(clients: &Clients, id: &str) -> Result<Holder, CloudError> {
    let (interfaces, groups, stack) =
        try_join!(interfaces(clients, id), groups_that_name(clients, id), stack_of(clients, id))?;
    let instances = instances(clients, &interfaces).await?;
    Ok(judge(&interfaces, &instances, &groups, stack.as_deref()))
}

fn judge(
    interfaces: &[NetworkInterface],
    instances: &BTreeMap<String, Instance>,
    groups: &[SecurityGroup],
    stack: Option<&str>,
) -> Holder {
    let ours = |tags: &[Tag]| stack.is_some() && tag(tags, STACK_TAG) == stack;
    let (mut passing, mut staying) = (Vec::new(), Vec::new());
    for interface in interfaces {
        let id = interface.network_interface_id().unwrap_or_default();
        let instance = interface.attachment().and_then(|attachment| attachment.instance_id());
        let instance = instance.and_then(|id| instances.get(id));
        let described = interface.description().filter(|text| !text.is_empty());
        let told = match (instance, described) {
            (Some(instance), _) => format!("the network interface `{id}` of the instance {}", told(instance)),
            (None, Some(text)) => format!("the network interface `{id}` ({text})"),
            (None, None) => format!("the network interface `{id}`"),
        };
        let goes = interface.requester_managed() == Some(true)
            || ours(interface.tag_set())
            || instance.is_some_and(|instance| ours(instance.tags()) || is_ending(instance));
        if goes { &mut passing } else { &mut staying }.push(told);
    }
    for group in groups {
        let (id, name) = (group.group_id().unwrap_or_default(), group.group_name().unwrap_or_default());
        let told = format!("a rule of the security group `{id}` (`{name}`)");
        if ours(group.tags()) { &mut passing } else { &mut staying }.push(told);
    }
    if !staying.is_empty() {
        let hint =
            "that is not of this stack, so it was left alone: take the group away from it, then run the command again";
        return Holder::Staying { who: staying.join(", "), hint: hint.to_owned() };
    }
    // What held it a moment ago may have gone since.
    let who = if passing.is_empty() { "what is just being removed".to_owned() } else { passing.join(", ") };
    Holder::Passing(who)
}

/// Id and name, as people know it.
fn told(instance: &Instance) -> String {
    let id = instance.instance_id().unwrap_or_default();
    match tag(instance.tags(), "Name") {
        Some(name) => format!("`{id}` (`{name}`)"),
        None => format!("`{id}`"),
    }
}

fn is_ending(instance: &Instance) -> bool {
    let state = instance.state().and_then(|state| state.name());
    matches!(state, Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated))
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
}

async fn interfaces(clients: &Clients, group: &str) -> Result<Vec<NetworkInterface>, CloudError> {
    let request = clients.ec2.describe_network_interfaces().filters(filter("group-id", group));
    let answer = request.into_paginator().items().send().try_collect().await;
    answer.map_err(|error| classify("ec2:DescribeNetworkInterfaces", &error))
}

async fn instances(
    clients: &Clients,
    interfaces: &[NetworkInterface],
) -> Result<BTreeMap<String, Instance>, CloudError> {
    let attached = interfaces.iter().filter_map(|interface| interface.attachment()?.instance_id().map(str::to_owned));
    let ids: Vec<String> = attached.collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = clients.ec2.describe_instances().set_instance_ids(Some(ids)).send().await;
    let answer = unless_gone(answer.map_err(|error| classify("ec2:DescribeInstances", &error)))?;
    let reservations = answer.and_then(|answer| answer.reservations).unwrap_or_default();
    let instances = reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    Ok(instances.filter_map(|instance| Some((instance.instance_id()?.to_owned(), instance))).collect())
}

/// The other groups that have a rule about this one.
async fn groups_that_name(clients: &Clients, id: &str) -> Result<Vec<SecurityGroup>, CloudError> {
    let by = |name: &'static str| async move {
        let request = clients.ec2.describe_security_groups().filters(filter(name, id));
        let groups: Vec<SecurityGroup> = request
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| classify("ec2:DescribeSecurityGroups", &error))?;
        Ok::<_, CloudError>(groups)
    };
    let (ingress, egress) = try_join!(by("ip-permission.group-id"), by("egress.ip-permission.group-id"))?;
    let all = ingress.into_iter().chain(egress);
    let others = all.filter_map(|group| Some((group.group_id()?.to_owned(), group))).filter(|(other, _)| other != id);
    Ok(others.collect::<BTreeMap<_, _>>().into_values().collect())
}

async fn stack_of(clients: &Clients, id: &str) -> Result<Option<String>, CloudError> {
    let answer = clients.ec2.describe_security_groups().group_ids(id).send().await;
    let answer = unless_gone(answer.map_err(|error| classify("ec2:DescribeSecurityGroups", &error)))?;
    let groups = answer.and_then(|answer| answer.security_groups).unwrap_or_default();
    Ok(groups.first().and_then(|group| tag(group.tags(), STACK_TAG)).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{InstanceState, NetworkInterfaceAttachment};

    use super::*;

    fn of(stack: &str) -> Tag {
        Tag::builder().key(STACK_TAG).value(stack).build()
    }

    fn attached(instance: &str) -> NetworkInterface {
        let attachment = NetworkInterfaceAttachment::builder().instance_id(instance).build();
        NetworkInterface::builder().network_interface_id("eni-1").attachment(attachment).build()
    }

    fn instance(stack: &str, state: InstanceStateName) -> BTreeMap<String, Instance> {
        let state = InstanceState::builder().name(state).build();
        let name = Tag::builder().key("Name").value("web").build();
        let instance = Instance::builder().instance_id("i-1").tags(of(stack)).tags(name).state(state).build();
        BTreeMap::from([("i-1".to_owned(), instance)])
    }

    #[test]
    fn what_is_of_the_stack_or_ends_goes_by_itself() {
        for (stack, state) in [("pins", InstanceStateName::Running), ("other", InstanceStateName::ShuttingDown)] {
            let held = judge(&[attached("i-1")], &instance(stack, state), &[], Some("pins"));
            let who = "the network interface `eni-1` of the instance `i-1` (`web`)";
            assert_eq!(held, Holder::Passing(who.to_owned()));
        }
        let managed = NetworkInterface::builder().network_interface_id("eni-2").requester_managed(true);
        let managed = managed.description("Amazon MSK network interface for cluster c").build();
        let held = judge(&[managed], &BTreeMap::new(), &[], Some("pins"));
        let who = "the network interface `eni-2` (Amazon MSK network interface for cluster c)";
        assert_eq!(held, Holder::Passing(who.to_owned()));
        assert!(matches!(judge(&[], &BTreeMap::new(), &[], Some("pins")), Holder::Passing(_)));
    }

    #[test]
    fn what_is_somebody_elses_stays_and_is_named() {
        let instances = instance("other", InstanceStateName::Running);
        let rule = SecurityGroup::builder().group_id("sg-2").group_name("db").build();
        let held = judge(&[attached("i-1")], &instances, &[rule], Some("pins"));
        let Holder::Staying { who, .. } = held else { panic!("{held:?}") };
        assert_eq!(
            who,
            "the network interface `eni-1` of the instance `i-1` (`web`), a rule of the security group `sg-2` (`db`)"
        );
        // Where it cannot be told whose the group is, nothing is taken for ours.
        assert!(matches!(judge(&[attached("i-1")], &instances, &[], None), Holder::Staying { .. }));
    }
}
