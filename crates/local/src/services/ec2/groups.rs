//! The operations on security groups and their rules.

use serde_json::{Value, json};

use super::filters::{Listing, describe, texts};
use super::permission::{self, check_description};
use super::region::Region;
use super::security_group::{Group, Rule, Source};
use super::{Request, errors, ids, tags};
use crate::wire::error::ApiError;

/// Rules of one direction in one group ("Amazon VPC quotas", Amazon VPC user guide).
const MOST_RULES: usize = 60;

/// `CreateSecurityGroup`.
pub(super) fn create(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let input = request.input;
    let (name, description) = (request.text("GroupName"), request.text("Description"));
    if name.is_empty() || name.chars().count() > 255 || name.starts_with("sg-") {
        let message = format!("Invalid security group name '{name}': up to 255 characters that do not begin with sg-");
        return Err(errors::invalid_value(message));
    }
    if description.is_empty() {
        return Err(errors::missing("GroupDescription"));
    }
    check_description(description)?;
    if let Some(vpc) = input["VpcId"].as_str() {
        ids::VPC.check(vpc)?;
        if vpc != region.network().vpc_id() {
            return Err(ids::VPC.not_found(vpc));
        }
    }
    if region.groups.values().any(|group| group.name == name) {
        let message = format!("The security group '{name}' already exists for VPC '{}'", region.network().vpc_id());
        return Err(ApiError::new("InvalidGroup.Duplicate", message));
    }
    let tags = tags::specified(input, ids::GROUP, &[])?;
    let group = Group::new(name, description);
    let answer = json!({"GroupId": group.id, "SecurityGroupArn": group.arn(region), "Tags": tags::view(Some(&tags))});
    region.tag(&group.id, tags);
    region.groups.insert(group.id.clone(), group);
    Ok(answer)
}

/// `DeleteSecurityGroup`: not while an interface has it or a rule of another group names it.
pub(super) fn delete(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let id = named(region, request.input)?;
    let group = &region.groups[&id];
    if group.name == "default" {
        let message = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        return Err(ApiError::new("CannotDelete", message));
    }
    let worn = region.instances.values().any(|instance| !instance.is_terminated() && instance.groups.contains(&id));
    let worn = worn || region.interfaces.values().any(|interface| interface.groups.contains(&id));
    let source = Source::Group(id.clone());
    let mut others = region.groups.values().filter(|other| other.id != id);
    let refers = others.any(|other| other.rules.iter().any(|rule| rule.source == source));
    if worn || refers {
        return Err(errors::dependency(format!("resource {id} has a dependent object")));
    }
    if let Some(group) = region.groups.remove(&id) {
        for rule in &group.rules {
            region.tags.remove(&rule.id);
        }
    }
    region.tags.remove(&id);
    Ok(json!({"Return": true, "GroupId": id}))
}

/// `DescribeSecurityGroups`.
pub(super) fn list(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "GroupIds",
        id: "GroupId",
        noun: ids::GROUP,
        filters: &[
            ("description", "Description"),
            ("egress.ip-permission.cidr", "IpPermissionsEgress.IpRanges.CidrIp"),
            ("egress.ip-permission.from-port", "IpPermissionsEgress.FromPort"),
            ("egress.ip-permission.group-id", "IpPermissionsEgress.UserIdGroupPairs.GroupId"),
            ("egress.ip-permission.ipv6-cidr", "IpPermissionsEgress.Ipv6Ranges.CidrIpv6"),
            ("egress.ip-permission.prefix-list-id", "IpPermissionsEgress.PrefixListIds.PrefixListId"),
            ("egress.ip-permission.protocol", "IpPermissionsEgress.IpProtocol"),
            ("egress.ip-permission.to-port", "IpPermissionsEgress.ToPort"),
            ("group-id", "GroupId"),
            ("group-name", "GroupName"),
            ("ip-permission.cidr", "IpPermissions.IpRanges.CidrIp"),
            ("ip-permission.from-port", "IpPermissions.FromPort"),
            ("ip-permission.group-id", "IpPermissions.UserIdGroupPairs.GroupId"),
            ("ip-permission.ipv6-cidr", "IpPermissions.Ipv6Ranges.CidrIpv6"),
            ("ip-permission.prefix-list-id", "IpPermissions.PrefixListIds.PrefixListId"),
            ("ip-permission.protocol", "IpPermissions.IpProtocol"),
            ("ip-permission.to-port", "IpPermissions.ToPort"),
            ("owner-id", "OwnerId"),
            ("vpc-id", "VpcId"),
        ],
    };
    let mut groups: Vec<Value> = region.groups.values().map(|group| group.view(region)).collect();
    let names = texts(&request.input["GroupNames"]);
    if let Some(unknown) = names.iter().find(|name| !groups.iter().any(|group| group["GroupName"] == **name)) {
        return Err(ids::GROUP.not_found(unknown));
    }
    groups.retain(|group| names.is_empty() || names.iter().any(|name| group["GroupName"] == *name));
    Ok(describe(groups, request.input, &LISTING)?.answer("SecurityGroups"))
}

/// `DescribeSecurityGroupRules`.
pub(super) fn list_rules(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "SecurityGroupRuleIds",
        id: "SecurityGroupRuleId",
        noun: ids::RULE,
        filters: &[("group-id", "GroupId"), ("security-group-rule-id", "SecurityGroupRuleId")],
    };
    let of_group = |group: &Group| group.rules.iter().map(|rule| rule.view(group, region)).collect::<Vec<_>>();
    let rules = region.groups.values().flat_map(of_group).collect();
    Ok(describe(rules, request.input, &LISTING)?.answer("SecurityGroupRules"))
}

/// `AuthorizeSecurityGroupIngress` and `AuthorizeSecurityGroupEgress`: all rules of the request or none.
pub(super) fn authorize(region: &mut Region, request: &Request<'_>, egress: bool) -> Result<Value, ApiError> {
    let id = named(region, request.input)?;
    let new = permission::rules(region, request.input, egress)?;
    let tags = tags::specified(request.input, ids::RULE, &[])?;
    let mut group = region.groups[&id].clone();
    for rule in &new {
        if group.rules.iter().any(|other| other.is_same(rule)) {
            return Err(duplicate(rule));
        }
        group.rules.push(rule.clone());
    }
    if group.rules.iter().filter(|rule| rule.egress == egress).count() > MOST_RULES {
        let message = "The maximum number of rules per security group has been reached.";
        return Err(ApiError::new("RulesPerSecurityGroupLimitExceeded", message));
    }
    for rule in &new {
        region.tag(&rule.id, tags.clone());
    }
    let answered: Vec<Value> = new.iter().map(|rule| rule.view(&group, region)).collect();
    region.groups.insert(id, group);
    Ok(json!({"Return": true, "SecurityGroupRules": answered}))
}

/// `RevokeSecurityGroupIngress` and `RevokeSecurityGroupEgress`, by id or by what the rules say.
pub(super) fn revoke(region: &mut Region, request: &Request<'_>, egress: bool) -> Result<Value, ApiError> {
    let id = named(region, request.input)?;
    let rule_ids = texts(&request.input["SecurityGroupRuleIds"]);
    let group = &region.groups[&id];
    let mut gone: Vec<Rule> = Vec::new();
    for rule_id in &rule_ids {
        ids::RULE.check(rule_id)?;
        let rule = group.rules.iter().find(|rule| rule.id == *rule_id && rule.egress == egress);
        gone.push(rule.ok_or_else(|| ids::RULE.not_found(rule_id))?.clone());
    }
    if rule_ids.is_empty() {
        for wanted in permission::rules(region, request.input, egress)? {
            let rule = group.rules.iter().find(|rule| rule.is_same(&wanted));
            gone.push(rule.ok_or_else(no_such_rule)?.clone());
        }
    } else if !request.input["IpPermissions"].is_null() {
        return Err(errors::combination("SecurityGroupRuleIds and IpPermissions cannot be used together"));
    }
    if let Some(group) = region.groups.get_mut(&id) {
        group.rules.retain(|rule| !gone.iter().any(|gone| gone.id == rule.id));
    }
    let mut answered = Vec::new();
    for rule in &gone {
        region.tags.remove(&rule.id);
        answered.push(revoked(rule, &id));
    }
    Ok(json!({"Return": true, "RevokedSecurityGroupRules": answered}))
}

/// `ModifySecurityGroupRules`: the rules keep their ids and directions.
pub(super) fn modify(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let id = named(region, request.input)?;
    let mut group = region.groups[&id].clone();
    for update in request.input["SecurityGroupRules"].as_array().into_iter().flatten() {
        let rule_id = update["SecurityGroupRuleId"].as_str().unwrap_or_default();
        ids::RULE.check(rule_id)?;
        let place = group.rules.iter().position(|rule| rule.id == rule_id);
        let place = place.ok_or_else(|| ids::RULE.not_found(rule_id))?;
        let egress = group.rules[place].egress;
        let new = permission::modified(region, &update["SecurityGroupRule"], egress)?;
        if group.rules.iter().any(|other| other.id != rule_id && other.is_same(&new)) {
            return Err(duplicate(&new));
        }
        group.rules[place] = Rule { id: rule_id.to_owned(), ..new };
    }
    region.groups.insert(id, group);
    Ok(json!({"Return": true}))
}

/// The group that a request names by its id, or in the default VPC by its name.
fn named(region: &Region, input: &Value) -> Result<String, ApiError> {
    if let Some(id) = input["GroupId"].as_str() {
        ids::GROUP.check(id)?;
        return if region.groups.contains_key(id) { Ok(id.to_owned()) } else { Err(ids::GROUP.not_found(id)) };
    }
    let name = input["GroupName"].as_str().ok_or_else(|| errors::missing("groupId"))?;
    let found = region.groups.values().find(|group| group.name == name);
    found.map(|group| group.id.clone()).ok_or_else(|| ids::GROUP.not_found(name))
}

fn revoked(rule: &Rule, group: &str) -> Value {
    let mut view = json!({
        "SecurityGroupRuleId": rule.id, "GroupId": group, "IsEgress": rule.egress,
        "IpProtocol": rule.traffic.protocol, "FromPort": rule.traffic.from.unwrap_or(-1),
        "ToPort": rule.traffic.to.unwrap_or(-1), "Description": rule.description,
    });
    let (member, value) = match &rule.source {
        Source::Ipv4(cidr) => ("CidrIpv4", cidr),
        Source::Ipv6(cidr) => ("CidrIpv6", cidr),
        Source::PrefixList(id) => ("PrefixListId", id),
        Source::Group(id) => ("ReferencedGroupId", id),
    };
    view[member] = json!(value);
    view
}

fn duplicate(rule: &Rule) -> ApiError {
    let peer = match &rule.source {
        Source::Ipv4(peer) | Source::Ipv6(peer) | Source::PrefixList(peer) | Source::Group(peer) => peer,
    };
    let protocol = if rule.traffic.protocol == "-1" { "ALL".to_owned() } else { rule.traffic.protocol.to_uppercase() };
    let ports = match (rule.traffic.from, rule.traffic.to) {
        (Some(from), Some(to)) => format!(", from port: {from}, to port: {to}"),
        _ => String::new(),
    };
    let message = format!("the specified rule \"peer: {peer}, {protocol}{ports}, ALLOW\" already exists");
    ApiError::new("InvalidPermission.Duplicate", message)
}

fn no_such_rule() -> ApiError {
    ApiError::new("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
}
