//! What is there without us: the default VPC with its subnets, and the route tables of a VPC.

use aws_sdk_ec2::types::Subnet;
use pinfra_engine::{CloudError, ErrorKind};

use super::filter;
use crate::clients::Clients;
use crate::error::classify;

/// The default VPC, where there is one.
pub(crate) async fn default_vpc(clients: &Clients) -> Result<Option<String>, CloudError> {
    let request = clients.ec2.describe_vpcs().filters(filter("is-default", "true"));
    let answer = request.send().await.map_err(|error| classify("ec2:DescribeVpcs", &error))?;
    Ok(answer.vpcs().first().and_then(|vpc| vpc.vpc_id()).map(str::to_owned))
}

/// Somebody wants the default VPC, and there is none.
pub(crate) fn no_default_vpc() -> CloudError {
    CloudError::new(ErrorKind::Invalid, "ec2:DescribeVpcs", "this region of the account has no default VPC")
        .with_hint("name one: `network: { vpc: vpc-…, subnets: [subnet-…] }`; `aws ec2 create-default-vpc` makes one")
}

/// The default subnets of the default VPC, one in each zone, in the order of the zones.
pub(crate) async fn default_subnets(clients: &Clients) -> Result<Vec<Subnet>, CloudError> {
    let request = clients.ec2.describe_subnets().filters(filter("default-for-az", "true"));
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("ec2:DescribeSubnets", &error))?;
        found.extend(page.subnets.unwrap_or_default());
    }
    found.sort_by(|a, b| a.availability_zone.cmp(&b.availability_zone));
    Ok(found)
}

/// The route tables of a VPC.
pub(crate) async fn route_tables(clients: &Clients, vpc: &str) -> Result<Vec<String>, CloudError> {
    let mut pages = clients.ec2.describe_route_tables().filters(filter("vpc-id", vpc)).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify("ec2:DescribeRouteTables", &error))?;
        found.extend(page.route_tables.unwrap_or_default().into_iter().filter_map(|table| table.route_table_id));
    }
    found.sort();
    Ok(found)
}
