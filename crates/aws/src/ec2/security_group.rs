//! `ec2/security_group`: a security group with all of its rules.
//!
//! Rules are compared as a set; what EC2 makes by itself (the egress rule that allows all) is an input like any
//! other. New rules are authorised before old ones are revoked, so that a change cuts nobody off.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup as SdkGroup, SecurityGroupRule, UserIdGroupPair,
};
use pinfra_engine::drift::Hints;
use pinfra_engine::resource::{Comparable, many};
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Deserializer, Serialize};

use super::network::{default_vpc, no_default_vpc};
use super::{bring_tags, filter, filter_any, from_sdk, held, specification};
use crate::clients::Clients;
use crate::delete::delete_once_free;
use crate::error::{classify, incomplete, unless_gone};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, wait_until};

/// The most values of a filter (EC2 API reference, `DescribeSecurityGroups`).
const FILTER_VALUES: usize = 200;
/// Interfaces that used the group can stay for minutes after their owner is gone.
const DELETE_PACE: Pace = Pace { slowest: Duration::from_secs(5), limit: Duration::from_secs(15 * 60) };
/// An instance of somebody else's that is on its way out, or a rule that is being removed, is gone by then.
const PATIENCE: Duration = Duration::from_secs(10);
const CREATE_PACE: Pace = Pace { slowest: Duration::from_secs(2), limit: Duration::from_secs(60) };

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupInputs {
    /// Unique in its VPC.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The VPC; `None` for the default one.
    pub vpc: Option<String>,
    /// All rules, sorted.
    #[serde(deserialize_with = "sorted")]
    pub rules: Vec<Rule>,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// Groups that other resources tell can change the order when they become known.
fn sorted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Rule>, D::Error> {
    let mut rules = Vec::<Rule>::deserialize(deserializer)?;
    rules.sort();
    Ok(rules)
}

/// One rule: who may talk to whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whether it is about what comes in or what goes out.
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, or `-1` for everything.
    pub protocol: String,
    /// The first port; none for everything.
    pub from_port: Option<i32>,
    /// The last port; none for everything.
    pub to_port: Option<i32>,
    /// The other side: a CIDR block or a security group's id.
    pub peer: Input<String>,
    /// Why it is there.
    pub description: String,
}

/// Which way a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Into the machine.
    Ingress,
    /// Out of it.
    Egress,
}

impl Rule {
    /// The rule that every new group has: everything may go out (EC2 API reference, `CreateSecurityGroup`).
    pub fn all_egress() -> Rule {
        Rule {
            direction: Direction::Egress,
            protocol: "-1".to_owned(),
            from_port: None,
            to_port: None,
            peer: Input::Known("0.0.0.0/0".to_owned()),
            description: String::new(),
        }
    }

    /// What makes it this rule and no other: everything but the description.
    fn identity(&self) -> Rule {
        Rule { description: String::new(), ..self.clone() }
    }
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupOutputs {
    /// Its id, `sg-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its VPC.
    pub vpc: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct SecurityGroup {
    clients: Clients,
}

type LiveGroup = Live<SecurityGroupInputs, SecurityGroupOutputs>;

impl SecurityGroup {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> SecurityGroup {
        SecurityGroup { clients: clients.clone() }
    }

    async fn vpc(&self, new: &SecurityGroupInputs) -> Result<String, CloudError> {
        if let Some(vpc) = &new.vpc {
            return Ok(vpc.clone());
        }
        default_vpc(&self.clients).await?.ok_or_else(no_default_vpc)
    }

    async fn describe(&self, id: &str) -> Result<Option<SdkGroup>, CloudError> {
        let answer = self.clients.ec2.describe_security_groups().group_ids(id).send().await;
        let answer = unless_gone(answer.map_err(|error| classify("ec2:DescribeSecurityGroups", &error)))?;
        Ok(answer.and_then(|answer| answer.security_groups?.into_iter().next()))
    }

    /// The rules of a group by their ids, which the group itself does not tell.
    async fn rules(&self, id: &str) -> Result<Vec<(String, Rule)>, CloudError> {
        let request = self.clients.ec2.describe_security_group_rules().filters(filter("group-id", id));
        let mut pages = request.into_paginator().send();
        let mut rules = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("ec2:DescribeSecurityGroupRules", &error))?;
            rules.extend(page.security_group_rules().iter().filter_map(rule));
        }
        Ok(rules)
    }

    /// Those of these groups that are there: a filter, unlike a list of ids, does not ask for all of them.
    async fn describe_many(&self, ids: &[String]) -> Result<Vec<SdkGroup>, CloudError> {
        let mut pages =
            self.clients.ec2.describe_security_groups().filters(filter_any("group-id", ids)).into_paginator().send();
        let mut groups = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("ec2:DescribeSecurityGroups", &error))?;
            groups.extend(page.security_groups.unwrap_or_default());
        }
        Ok(groups)
    }

    /// Groups with their rules, in one call for as many as a filter takes.
    async fn read_some(&self, ids: &[String]) -> Vec<Result<Option<LiveGroup>, CloudError>> {
        let groups = match self.describe_many(ids).await {
            Ok(groups) => groups,
            Err(error) => return ids.iter().map(|_| Err(error.clone())).collect(),
        };
        let group = |id: &String| groups.iter().find(|group| group.group_id() == Some(id));
        ids.iter().map(|id| Ok(group(id).map(live))).collect()
    }

    async fn bring_rules(&self, id: &str, wanted: &[Rule]) -> Result<(), CloudError> {
        let there = self.rules(id).await?;
        let wanted_ids: BTreeSet<Rule> = wanted.iter().map(Rule::identity).collect();
        let there_ids: BTreeSet<Rule> = there.iter().map(|(_, rule)| rule.identity()).collect();
        for rule in wanted.iter().filter(|rule| !there_ids.contains(&rule.identity())) {
            self.authorise(id, rule).await?;
        }
        for (rule_id, old) in &there {
            if !wanted_ids.contains(&old.identity()) {
                self.revoke(id, rule_id, old.direction).await?;
            } else if let Some(rule) = wanted.iter().find(|rule| rule.identity() == old.identity())
                && rule.description != old.description
            {
                self.describe_rule(id, rule_id, rule).await?;
            }
        }
        Ok(())
    }

    async fn authorise(&self, id: &str, rule: &Rule) -> Result<(), CloudError> {
        let permission = permission(rule)?;
        let done = match rule.direction {
            Direction::Ingress => {
                let request = self.clients.ec2.authorize_security_group_ingress().group_id(id);
                let sent = request.ip_permissions(permission).send().await;
                sent.map(drop).map_err(|error| classify("ec2:AuthorizeSecurityGroupIngress", &error))
            }
            Direction::Egress => {
                let request = self.clients.ec2.authorize_security_group_egress().group_id(id);
                let sent = request.ip_permissions(permission).send().await;
                sent.map(drop).map_err(|error| classify("ec2:AuthorizeSecurityGroupEgress", &error))
            }
        };
        match done {
            // An earlier try got through.
            Err(error) if error.code.as_deref() == Some("InvalidPermission.Duplicate") => Ok(()),
            done => done,
        }
    }

    async fn revoke(&self, id: &str, rule: &str, direction: Direction) -> Result<(), CloudError> {
        let done = match direction {
            Direction::Ingress => {
                let request = self.clients.ec2.revoke_security_group_ingress().group_id(id);
                let sent = request.security_group_rule_ids(rule).send().await;
                sent.map(drop).map_err(|error| classify("ec2:RevokeSecurityGroupIngress", &error))
            }
            Direction::Egress => {
                let request = self.clients.ec2.revoke_security_group_egress().group_id(id);
                let sent = request.security_group_rule_ids(rule).send().await;
                sent.map(drop).map_err(|error| classify("ec2:RevokeSecurityGroupEgress", &error))
            }
        };
        unless_gone(done).map(drop)
    }

    async fn describe_rule(&self, id: &str, rule_id: &str, rule: &Rule) -> Result<(), CloudError> {
        use aws_sdk_ec2::types::{SecurityGroupRuleRequest, SecurityGroupRuleUpdate};
        let (v4, v6, group) = peer(rule)?;
        let wanted = SecurityGroupRuleRequest::builder()
            .ip_protocol(&rule.protocol)
            .set_from_port(Some(rule.from_port.unwrap_or(-1)))
            .set_to_port(Some(rule.to_port.unwrap_or(-1)))
            .set_cidr_ipv4(v4)
            .set_cidr_ipv6(v6)
            .set_referenced_group_id(group)
            .description(&rule.description)
            .build();
        let update = SecurityGroupRuleUpdate::builder().security_group_rule_id(rule_id).security_group_rule(wanted);
        let request = self.clients.ec2.modify_security_group_rules().group_id(id).security_group_rules(update.build());
        request.send().await.map_err(|error| classify("ec2:ModifySecurityGroupRules", &error))?;
        Ok(())
    }
}

fn live(found: &SdkGroup) -> LiveGroup {
    let id = found.group_id().unwrap_or_default().to_owned();
    let name = found.group_name().unwrap_or_default().to_owned();
    let vpc = found.vpc_id().unwrap_or_default().to_owned();
    let ingress = found.ip_permissions().iter().flat_map(|permission| rules(permission, Direction::Ingress));
    let egress = found.ip_permissions_egress().iter().flat_map(|permission| rules(permission, Direction::Egress));
    let mut rules: Vec<Rule> = ingress.chain(egress).collect();
    rules.sort();
    let inputs = SecurityGroupInputs {
        name: name.clone(),
        description: found.description().unwrap_or_default().to_owned(),
        vpc: Some(vpc.clone()),
        rules,
        tags: from_sdk(found.tags()),
    };
    Live { inputs, outputs: SecurityGroupOutputs { id, name, vpc } }
}

/// Where nobody names a VPC, the one that a group came into is as good as any.
fn comparable(live: LiveGroup, asked: &[SecurityGroupInputs]) -> SecurityGroupInputs {
    let mut inputs = live.inputs;
    if asked.iter().all(|asked| asked.vpc.is_none()) {
        inputs.vpc = None;
    }
    inputs
}

/// The other side of a rule: IPv4 block, IPv6 block, or group.
type Peer = (Option<String>, Option<String>, Option<String>);

fn peer(rule: &Rule) -> Result<Peer, CloudError> {
    let peer = rule.peer.known()?.clone();
    Ok(if peer.starts_with("sg-") {
        (None, None, Some(peer))
    } else if peer.contains(':') {
        (None, Some(peer), None)
    } else {
        (Some(peer), None, None)
    })
}

fn permission(rule: &Rule) -> Result<IpPermission, CloudError> {
    let description = Some(rule.description.clone()).filter(|text| !text.is_empty());
    let (v4, v6, group) = peer(rule)?;
    let v4 = v4.map(|cidr| IpRange::builder().cidr_ip(cidr).set_description(description.clone()).build());
    let v6 = v6.map(|cidr| Ipv6Range::builder().cidr_ipv6(cidr).set_description(description.clone()).build());
    let group = group.map(|id| UserIdGroupPair::builder().group_id(id).set_description(description.clone()).build());
    Ok(IpPermission::builder()
        .ip_protocol(&rule.protocol)
        .set_from_port(rule.from_port)
        .set_to_port(rule.to_port)
        .set_ip_ranges(v4.map(|range| vec![range]))
        .set_ipv6_ranges(v6.map(|range| vec![range]))
        .set_user_id_group_pairs(group.map(|pair| vec![pair]))
        .build())
}

/// The rules that a group tells as one permission: the same ports for several others.
fn rules(found: &IpPermission, direction: Direction) -> Vec<Rule> {
    let v4 = found.ip_ranges().iter().map(|range| (range.cidr_ip(), range.description()));
    let v6 = found.ipv6_ranges().iter().map(|range| (range.cidr_ipv6(), range.description()));
    let groups = found.user_id_group_pairs().iter().map(|pair| (pair.group_id(), pair.description()));
    let lists = found.prefix_list_ids().iter().map(|list| (list.prefix_list_id(), list.description()));
    let everything = found.ip_protocol() == Some("-1");
    let rule = |(peer, description): (Option<&str>, Option<&str>)| {
        Some(Rule {
            direction,
            protocol: found.ip_protocol().unwrap_or_default().to_owned(),
            from_port: port(found.from_port(), everything),
            to_port: port(found.to_port(), everything),
            peer: Input::Known(peer?.to_owned()),
            description: description.unwrap_or_default().to_owned(),
        })
    };
    v4.chain(v6).chain(groups).chain(lists).filter_map(rule).collect()
}

/// A rule with its id.
fn rule(found: &SecurityGroupRule) -> Option<(String, Rule)> {
    let group = found.referenced_group_info().and_then(|info| info.group_id());
    let peer = found.cidr_ipv4().or(found.cidr_ipv6()).or(group).or(found.prefix_list_id())?;
    let everything = found.ip_protocol() == Some("-1");
    let rule = Rule {
        direction: if found.is_egress() == Some(true) { Direction::Egress } else { Direction::Ingress },
        protocol: found.ip_protocol().unwrap_or_default().to_owned(),
        from_port: port(found.from_port(), everything),
        to_port: port(found.to_port(), everything),
        peer: Input::Known(peer.to_owned()),
        description: found.description().unwrap_or_default().to_owned(),
    };
    Some((found.security_group_rule_id()?.to_owned(), rule))
}

/// EC2 answers -1 for ports where there are none.
fn port(found: Option<i32>, everything: bool) -> Option<i32> {
    found.filter(|port| !everything && *port != -1)
}

impl Resource for SecurityGroup {
    const INFO: KindInfo = KindInfo {
        kind: "ec2/security_group",
        summary: "a security group with its rules",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "unique in its VPC, up to 255 characters" },
            Field { name: "description", on_change: OnChange::Replace, doc: "what it is for, up to 255 characters" },
            Field { name: "vpc", on_change: OnChange::Replace, doc: "the VPC; none for the default one" },
            Field {
                name: "rules",
                on_change: OnChange::Update,
                doc: "who may talk to whom: direction, protocol, ports, and a CIDR block or a group; 60 each way at most",
            },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[("id", "the group's id"), ("name", "its name"), ("vpc", "its VPC")],
        loses: "",
        usual_create: Duration::from_secs(3),
        usual_update: Duration::from_secs(3),
        usual_delete: Duration::from_secs(5),
    };
    const COMPARABLE: Option<Comparable<SecurityGroupInputs, SecurityGroupOutputs>> = Some(comparable);
    const DRIFT: Hints = Hints { members: &["rules"], works: &[] };

    type Inputs = SecurityGroupInputs;
    type Outputs = SecurityGroupOutputs;

    async fn create(&self, _call: &Call, new: &SecurityGroupInputs) -> Result<String, CloudError> {
        let vpc = self.vpc(new).await?;
        let request = self.clients.ec2.create_security_group().group_name(&new.name).description(&new.description);
        let request = request.vpc_id(vpc).tag_specifications(specification(ResourceType::SecurityGroup, &new.tags));
        let made = request.send().await.map_err(|error| classify("ec2:CreateSecurityGroup", &error))?;
        made.group_id.ok_or_else(|| incomplete("ec2:CreateSecurityGroup", "group id"))
    }

    async fn settle(&self, call: &Call, id: &str, new: &SecurityGroupInputs) -> Result<LiveGroup, CloudError> {
        // A group that was just made may not be known everywhere yet.
        let found = wait_until(call, &format!("waiting for the security group {id}"), CREATE_PACE, || async {
            let found = self.describe(id).await?;
            Ok(found.map_or(Progress::Unseen, Progress::Ready))
        })
        .await?;
        let now = live(&found);
        let outputs = now.outputs.clone();
        let there = comparable(now, std::slice::from_ref(new));
        if there == *new {
            return Ok(Live { inputs: there, outputs });
        }
        bring_tags(&self.clients, id, &there.tags, &new.tags).await?;
        self.bring_rules(id, &new.rules).await?;
        Ok(Live { inputs: new.clone(), outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<LiveGroup>, CloudError> {
        self.read_some(&[id.to_owned()]).await.pop().unwrap_or(Ok(None))
    }

    async fn read_many(&self, ids: &[String]) -> Vec<Result<Option<LiveGroup>, CloudError>> {
        let parts = many(ids.chunks(FILTER_VALUES).map(|some| self.read_some(some)).collect()).await;
        parts.into_iter().flatten().collect()
    }

    async fn find(&self, new: &SecurityGroupInputs) -> Result<Option<Found>, CloudError> {
        let vpc = self.vpc(new).await?;
        let request = self.clients.ec2.describe_security_groups();
        let request = request.filters(filter("group-name", &new.name)).filters(filter("vpc-id", &vpc));
        let answer = request.send().await.map_err(|error| classify("ec2:DescribeSecurityGroups", &error))?;
        let Some(found) = answer.security_groups().first() else { return Ok(None) };
        let owner = tags::owner(&new.tags, &from_sdk(found.tags()));
        Ok(Some(Found { id: found.group_id().unwrap_or_default().to_owned(), owner }))
    }

    async fn update(
        &self,
        _call: &Call,
        id: &str,
        old: &SecurityGroupInputs,
        new: &SecurityGroupInputs,
    ) -> Result<(), CloudError> {
        bring_tags(&self.clients, id, &old.tags, &new.tags).await?;
        self.bring_rules(id, &new.rules).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let what = format!("waiting for the security group {id} to be free");
        let send = || async {
            let sent = self.clients.ec2.delete_security_group().group_id(id).send().await;
            sent.map(drop).map_err(|error| classify("ec2:DeleteSecurityGroup", &error))
        };
        delete_once_free(call, &what, DELETE_PACE, PATIENCE, send, || Box::pin(held::by(&self.clients, id))).await
    }
}
