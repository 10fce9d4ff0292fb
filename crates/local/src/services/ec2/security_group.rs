//! Security groups and their rules as they are kept.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ids;
use super::network::Network;
use super::region::Region;
use crate::credentials::ACCOUNT;

/// A security group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    /// In the order in which they were authorised.
    pub(super) rules: Vec<Rule>,
}

/// One rule: what may pass, and from or to where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) egress: bool,
    #[serde(flatten)]
    pub(super) traffic: Traffic,
    pub(super) source: Source,
    pub(super) description: Option<String>,
}

/// A protocol and its ports. ICMP has its type and code in them; protocol `-1` has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Traffic {
    /// `tcp`, `udp`, `icmp`, `icmpv6`, `-1` for all, or a number.
    pub(super) protocol: String,
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
}

/// Exactly one a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Ipv4(String),
    Ipv6(String),
    PrefixList(String),
    Group(String),
}

impl Group {
    /// A new group, which lets everything out.
    pub(super) fn new(name: &str, description: &str) -> Group {
        Group {
            id: ids::GROUP.new_id(),
            name: name.to_owned(),
            description: description.to_owned(),
            rules: vec![Rule::everything(true, Source::Ipv4("0.0.0.0/0".to_owned()))],
        }
    }

    /// The group that a VPC is born with: its members may talk to each other.
    pub(super) fn default_of(network: &Network) -> Group {
        let id = ids::GROUP.fixed_id(network.region(), "default");
        let mut group = Group { id: id.clone(), ..Group::new("default", "default VPC security group") };
        group.rules.insert(0, Rule::everything(false, Source::Group(id)));
        for rule in &mut group.rules {
            let which = if rule.egress { "egress" } else { "ingress" };
            rule.id = ids::RULE.fixed_id(network.region(), which);
        }
        group
    }

    /// As `DescribeSecurityGroups` shows it.
    pub(super) fn view(&self, region: &Region) -> Value {
        json!({
            "GroupId": self.id, "GroupName": self.name, "Description": self.description, "OwnerId": ACCOUNT,
            "VpcId": region.network().vpc_id(), "SecurityGroupArn": self.arn(region), "Tags": region.tags_of(&self.id),
            "IpPermissions": self.permissions(false), "IpPermissionsEgress": self.permissions(true),
        })
    }

    /// Its ARN.
    pub(super) fn arn(&self, region: &Region) -> String {
        format!("arn:aws:ec2:{}:{ACCOUNT}:security-group/{}", region.name, self.id)
    }

    /// Rules for the same traffic stand together.
    fn permissions(&self, egress: bool) -> Vec<Value> {
        let mut permissions: Vec<(&Traffic, Value)> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.egress == egress) {
            let place = permissions.iter().position(|(traffic, _)| **traffic == rule.traffic);
            let place = place.unwrap_or_else(|| {
                permissions.push((&rule.traffic, rule.traffic.permission()));
                permissions.len() - 1
            });
            let (member, mut entry) = match &rule.source {
                Source::Ipv4(cidr) => ("IpRanges", json!({ "CidrIp": cidr })),
                Source::Ipv6(cidr) => ("Ipv6Ranges", json!({ "CidrIpv6": cidr })),
                Source::PrefixList(id) => ("PrefixListIds", json!({ "PrefixListId": id })),
                Source::Group(id) => ("UserIdGroupPairs", json!({"GroupId": id, "UserId": ACCOUNT})),
            };
            entry["Description"] = json!(rule.description);
            if let Some(entries) = permissions[place].1[member].as_array_mut() {
                entries.push(entry);
            }
        }
        permissions.into_iter().map(|(_, permission)| permission).collect()
    }
}

impl Rule {
    fn everything(egress: bool, source: Source) -> Rule {
        let traffic = Traffic { protocol: "-1".to_owned(), from: None, to: None };
        Rule { id: ids::RULE.new_id(), egress, traffic, source, description: None }
    }

    /// Whether both let the same through; the description does not count.
    pub(super) fn is_same(&self, other: &Rule) -> bool {
        self.egress == other.egress && self.traffic == other.traffic && self.source == other.source
    }

    /// As `DescribeSecurityGroupRules` shows it: there, protocol `-1` has the ports -1.
    pub(super) fn view(&self, group: &Group, region: &Region) -> Value {
        let mut view = json!({
            "SecurityGroupRuleId": self.id, "GroupId": group.id, "GroupOwnerId": ACCOUNT, "IsEgress": self.egress,
            "IpProtocol": self.traffic.protocol, "FromPort": self.traffic.from.unwrap_or(-1),
            "ToPort": self.traffic.to.unwrap_or(-1), "Description": self.description,
            "SecurityGroupRuleArn":
                format!("arn:aws:ec2:{}:{ACCOUNT}:security-group-rule/{}", region.name, self.id),
            "Tags": region.tags_of(&self.id),
        });
        let (member, value) = match &self.source {
            Source::Ipv4(cidr) => ("CidrIpv4", json!(cidr)),
            Source::Ipv6(cidr) => ("CidrIpv6", json!(cidr)),
            Source::PrefixList(id) => ("PrefixListId", json!(id)),
            Source::Group(id) => {
                ("ReferencedGroupInfo", json!({"GroupId": id, "UserId": ACCOUNT, "VpcId": region.network().vpc_id()}))
            }
        };
        view[member] = value;
        view
    }
}

impl Traffic {
    fn permission(&self) -> Value {
        json!({
            "IpProtocol": self.protocol, "FromPort": self.from, "ToPort": self.to, "IpRanges": [], "Ipv6Ranges": [],
            "PrefixListIds": [], "UserIdGroupPairs": [],
        })
    }
}
