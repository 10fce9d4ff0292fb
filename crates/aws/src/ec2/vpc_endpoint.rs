//! `ec2/vpc_endpoint`: a gateway endpoint, by which machines without a public address reach S3.
//!
//! A route table has one way to S3 at most. Where endpoints of somebody else serve all route tables of the VPC already, there
//! is nothing to make: one of them is used as it is, and is neither changed nor deleted. It then has the id `shared/vpce-…`.
//! When its owner takes it away, the next run makes one of our own.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::{ResourceType, VpcEndpoint as SdkEndpoint, VpcEndpointType};
use pinfra_engine::resource::Comparable;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::network::{default_vpc, no_default_vpc, route_tables};
use super::{bring_tags, filter, from_sdk, owned, specification};
use crate::clients::Clients;
use crate::error::{classify, incomplete, unless_gone};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, wait_until};

/// A gateway endpoint is there at once, but for what is eventually consistent.
const PACE: Pace = Pace { slowest: Duration::from_secs(3), limit: Duration::from_secs(5 * 60) };
/// How often an endpoint is tried that somebody else made first.
const ATTEMPTS: usize = 3;
/// What the id of somebody else's endpoint begins with.
const SHARED: &str = "shared/";

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VpcEndpointInputs {
    /// The VPC; `None` for the default one.
    pub vpc: Option<String>,
    /// `s3`.
    pub service: String,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcEndpointOutputs {
    /// Its id, `vpce-…`.
    pub id: String,
    /// Whether this stack made it. An endpoint of somebody else's is used as it is and never deleted.
    pub ours: bool,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct VpcEndpoint {
    clients: Clients,
}

type LiveEndpoint = Live<VpcEndpointInputs, VpcEndpointOutputs>;

impl VpcEndpoint {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> VpcEndpoint {
        VpcEndpoint { clients: clients.clone() }
    }

    async fn vpc(&self, new: &VpcEndpointInputs) -> Result<String, CloudError> {
        match &new.vpc {
            Some(vpc) => Ok(vpc.clone()),
            None => default_vpc(&self.clients).await?.ok_or_else(no_default_vpc),
        }
    }

    fn service_prefix(&self) -> String {
        format!("com.amazonaws.{}.", self.clients.region)
    }

    /// The endpoint, unless it is going.
    async fn describe(&self, id: &str) -> Result<Option<SdkEndpoint>, CloudError> {
        let id = id.strip_prefix(SHARED).unwrap_or(id);
        let answer = self.clients.ec2.describe_vpc_endpoints().vpc_endpoint_ids(id).send().await;
        let answer = unless_gone(answer.map_err(|error| classify("ec2:DescribeVpcEndpoints", &error)))?;
        let found = answer.and_then(|answer| answer.vpc_endpoints?.into_iter().next());
        Ok(found.filter(is_there))
    }

    /// The gateway endpoints of a service in a VPC.
    async fn gateways(&self, vpc: &str, service: &str) -> Result<Vec<SdkEndpoint>, CloudError> {
        let service = format!("{}{service}", self.service_prefix());
        let request = self.clients.ec2.describe_vpc_endpoints().filters(filter("vpc-id", vpc));
        let request = request.filters(filter("service-name", &service));
        let mut pages = request.filters(filter("vpc-endpoint-type", "Gateway")).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("ec2:DescribeVpcEndpoints", &error))?;
            found.extend(page.vpc_endpoints.unwrap_or_default().into_iter().filter(is_there));
        }
        Ok(found)
    }

    /// The route tables of a VPC that no endpoint serves, and an endpoint that serves others.
    async fn unserved(&self, vpc: &str, service: &str) -> Result<(Vec<String>, Option<SdkEndpoint>), CloudError> {
        let there = self.gateways(vpc, service).await?;
        let served: BTreeSet<&str> =
            there.iter().flat_map(|endpoint| endpoint.route_table_ids()).map(String::as_str).collect();
        let mut tables = route_tables(&self.clients, vpc).await?;
        tables.retain(|table| !served.contains(table.as_str()));
        let serving = there.into_iter().find(|endpoint| !endpoint.route_table_ids().is_empty());
        Ok((tables, serving))
    }

    async fn make(
        &self,
        call: &Call,
        vpc: &str,
        tables: Vec<String>,
        new: &VpcEndpointInputs,
    ) -> Result<String, CloudError> {
        // At most 64 ASCII characters; what is asked for is part of it, since a token stands for one request.
        let token = Sha256::digest(format!("{} {vpc} {}", call.token, tables.join(" ")));
        let request = self.clients.ec2.create_vpc_endpoint().vpc_id(vpc).vpc_endpoint_type(VpcEndpointType::Gateway);
        let request = request.service_name(format!("{}{}", self.service_prefix(), new.service));
        let request = request.client_token(hex::encode(token)).set_route_table_ids(Some(tables));
        let request = request.tag_specifications(specification(ResourceType::VpcEndpoint, &new.tags));
        let made = request.send().await.map_err(|error| classify("ec2:CreateVpcEndpoint", &error))?;
        let id = made.vpc_endpoint.and_then(|endpoint| endpoint.vpc_endpoint_id);
        id.ok_or_else(|| incomplete("ec2:CreateVpcEndpoint", "endpoint id"))
    }

    /// Adds what route tables nobody serves.
    async fn bring_tables(&self, id: &str, found: &SdkEndpoint, service: &str) -> Result<(), CloudError> {
        let (tables, _) = self.unserved(found.vpc_id().unwrap_or_default(), service).await?;
        if tables.is_empty() {
            return Ok(());
        }
        let request = self.clients.ec2.modify_vpc_endpoint().vpc_endpoint_id(id);
        let sent = request.set_add_route_table_ids(Some(tables)).send().await;
        sent.map(drop).map_err(|error| classify("ec2:ModifyVpcEndpoint", &error))
    }

    fn live(&self, id: &str, found: &SdkEndpoint) -> LiveEndpoint {
        let ours = !id.starts_with(SHARED);
        let service = found.service_name().unwrap_or_default();
        let inputs = VpcEndpointInputs {
            vpc: found.vpc_id.clone(),
            service: service.strip_prefix(&self.service_prefix()).unwrap_or(service).to_owned(),
            // The tags of somebody else's say whose it is, which must not be taken for whose this resource is.
            tags: if ours { from_sdk(found.tags()) } else { Tags::new() },
        };
        Live { inputs, outputs: VpcEndpointOutputs { id: found.vpc_endpoint_id.clone().unwrap_or_default(), ours } }
    }
}

/// Whether it serves, or is about to. AWS writes states in small letters or with a capital (API reference and SDKs).
fn is_there(found: &SdkEndpoint) -> bool {
    let state = found.state().map(|state| state.as_str().to_ascii_lowercase()).unwrap_or_default();
    ["available", "pending"].contains(&state.as_str())
}

/// The default VPC is as good as any that was never named, and somebody else's endpoint has no tags of ours.
fn comparable(live: LiveEndpoint, asked: &[VpcEndpointInputs]) -> VpcEndpointInputs {
    let mut inputs = live.inputs;
    if asked.iter().all(|asked| asked.vpc.is_none()) {
        inputs.vpc = None;
    }
    if let Some(asked) = asked.first().filter(|_| !live.outputs.ours) {
        inputs.tags.clone_from(&asked.tags);
    }
    inputs
}

impl Resource for VpcEndpoint {
    const INFO: KindInfo = KindInfo {
        kind: "ec2/vpc_endpoint",
        summary: "a gateway endpoint, by which machines without a public address reach S3",
        fields: &[
            Field { name: "vpc", on_change: OnChange::Replace, doc: "the VPC; none for the default one" },
            Field { name: "service", on_change: OnChange::Replace, doc: "what it leads to: `s3`" },
            Field {
                name: "tags",
                on_change: OnChange::Update,
                doc: "the stack's tags and pinfra's own; an endpoint of somebody else's keeps its own",
            },
        ],
        outputs: &[("id", "the endpoint's id"), ("ours", "whether this stack made it; if not, it is never deleted")],
        loses: "",
        usual_create: Duration::from_secs(5),
        usual_update: Duration::from_secs(3),
        usual_delete: Duration::from_secs(10),
    };
    const COMPARABLE: Option<Comparable<VpcEndpointInputs, VpcEndpointOutputs>> = Some(comparable);

    type Inputs = VpcEndpointInputs;
    type Outputs = VpcEndpointOutputs;

    async fn create(&self, call: &Call, new: &VpcEndpointInputs) -> Result<String, CloudError> {
        let vpc = self.vpc(new).await?;
        let mut tries = 1;
        loop {
            let (tables, serving) = self.unserved(&vpc, &new.service).await?;
            if let Some(serving) = serving.filter(|_| tables.is_empty()) {
                // One of our own that was made a moment ago may not have been found by its tags.
                let owner = tags::owner(&new.tags, &from_sdk(serving.tags()));
                let id = serving.vpc_endpoint_id.unwrap_or_default();
                return Ok(if owner == Owner::Ours { id } else { format!("{SHARED}{id}") });
            }
            match self.make(call, &vpc, tables, new).await {
                // Somebody else was quicker.
                Err(error) if error.code.as_deref() == Some("RouteAlreadyExists") && tries < ATTEMPTS => tries += 1,
                made => return made,
            }
        }
    }

    async fn settle(&self, call: &Call, id: &str, new: &VpcEndpointInputs) -> Result<LiveEndpoint, CloudError> {
        let found = wait_until(call, &format!("waiting for the endpoint {id}"), PACE, || async {
            Ok(match self.describe(id).await? {
                None => Progress::Unseen,
                Some(found) if found.state().is_some_and(|state| state.as_str().eq_ignore_ascii_case("pending")) => {
                    Progress::Pending("pending".to_owned())
                }
                Some(found) => Progress::Ready(found),
            })
        })
        .await?;
        let now = self.live(id, &found);
        if now.outputs.ours {
            bring_tags(&self.clients, id, &now.inputs.tags, &new.tags).await?;
            self.bring_tables(id, &found, &new.service).await?;
        }
        Ok(Live { inputs: new.clone(), outputs: now.outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<LiveEndpoint>, CloudError> {
        Ok(self.describe(id).await?.map(|found| self.live(id, &found)))
    }

    async fn find(&self, new: &VpcEndpointInputs) -> Result<Option<Found>, CloudError> {
        let request = self.clients.ec2.describe_vpc_endpoints().set_filters(Some(owned(&new.tags)));
        let answer = request.send().await.map_err(|error| classify("ec2:DescribeVpcEndpoints", &error))?;
        let found = answer.vpc_endpoints.unwrap_or_default().into_iter().find(is_there);
        let id = found.and_then(|found| found.vpc_endpoint_id);
        Ok(id.map(|id| Found { id, owner: Owner::Ours }))
    }

    async fn update(
        &self,
        _call: &Call,
        id: &str,
        old: &VpcEndpointInputs,
        new: &VpcEndpointInputs,
    ) -> Result<(), CloudError> {
        if id.starts_with(SHARED) {
            return Ok(());
        }
        bring_tags(&self.clients, id, &old.tags, &new.tags).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        if id.starts_with(SHARED) {
            return Ok(());
        }
        let sent = self.clients.ec2.delete_vpc_endpoints().vpc_endpoint_ids(id).send().await;
        let answer = unless_gone(sent.map_err(|error| classify("ec2:DeleteVpcEndpoints", &error)))?;
        let refused = answer.and_then(|answer| answer.unsuccessful?.into_iter().next()?.error);
        if let Some(error) = refused
            && error.code().is_none_or(|code| !code.ends_with(".NotFound"))
        {
            let message = error.message().unwrap_or("it was refused without a reason");
            let mut refused = CloudError::new(ErrorKind::Other, "ec2:DeleteVpcEndpoints", message);
            refused.code = error.code;
            return Err(refused);
        }
        wait_until(call, &format!("waiting for the endpoint {id} to be gone"), PACE, || async {
            Ok(match self.describe(id).await? {
                None => Progress::Ready(()),
                Some(_) => Progress::Pending("deleting".to_owned()),
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(vpc: Option<&str>, team: &str) -> VpcEndpointInputs {
        let tags = Tags::from([("team".to_owned(), team.to_owned())]);
        VpcEndpointInputs { vpc: vpc.map(str::to_owned), service: "s3".to_owned(), tags }
    }

    #[test]
    fn the_default_vpc_and_the_tags_of_others_are_not_compared() {
        let live = |ours| Live {
            inputs: inputs(Some("vpc-1"), "live"),
            outputs: VpcEndpointOutputs { id: "vpce-1".to_owned(), ours },
        };
        assert_eq!(comparable(live(true), &[inputs(None, "asked")]), inputs(None, "live"));
        assert_eq!(comparable(live(false), &[inputs(None, "asked")]), inputs(None, "asked"));
        assert_eq!(comparable(live(true), &[inputs(Some("vpc-2"), "asked")]), inputs(Some("vpc-1"), "live"));
    }
}
