//! The default network as the `Describe…` operations show it, and what is said of regions and accounts.

use serde_json::{Value, json};

use super::filters::{Filters, Listing, describe, texts};
use super::network::{Subnet, VPC_CIDR};
use super::region::Region;
use super::{Request, errors, ids, placement, vpc_endpoints};
use crate::credentials::ACCOUNT;
use crate::wire::error::ApiError;

/// The operations of this module, `None` for any other.
pub(super) fn answer(region: &Region, request: &Request<'_>) -> Option<Result<Value, ApiError>> {
    Some(match request.call.operation.as_str() {
        "DescribeAccountAttributes" => account_attributes(region, request.input),
        "DescribeAvailabilityZones" => zones(region, request.input),
        "DescribeDhcpOptions" => dhcp_options(region, request.input),
        "DescribeInternetGateways" => gateways(region, request.input),
        "DescribeNetworkAcls" => acls(region, request.input),
        "DescribePrefixLists" => prefix_lists(region, request.input),
        "DescribeRegions" => regions(request.input),
        "DescribeRouteTables" => route_tables(region, request.input),
        "DescribeSubnets" => subnets(region, request.input),
        "DescribeVpcAttribute" => vpc_attribute(region, request.input),
        "DescribeVpcs" => vpcs(region, request.input),
        _ => return None,
    })
}

fn vpcs(region: &Region, input: &Value) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "VpcIds",
        id: "VpcId",
        noun: ids::VPC,
        filters: &[
            ("cidr", "CidrBlock"),
            ("cidr-block-association.cidr-block", "CidrBlockAssociationSet.CidrBlock"),
            ("cidr-block-association.association-id", "CidrBlockAssociationSet.AssociationId"),
            ("cidr-block-association.state", "CidrBlockAssociationSet.CidrBlockState.State"),
            ("dhcp-options-id", "DhcpOptionsId"),
            ("is-default", "IsDefault"),
            ("isDefault", "IsDefault"),
            ("owner-id", "OwnerId"),
            ("state", "State"),
            ("vpc-id", "VpcId"),
        ],
    };
    let network = region.network();
    let id = network.vpc_id();
    let vpc = json!({
        "VpcId": id, "CidrBlock": VPC_CIDR, "DhcpOptionsId": network.fixed(ids::DHCP), "InstanceTenancy": "default",
        "IsDefault": true, "OwnerId": ACCOUNT, "State": "available", "Tags": region.tags_of(&id),
        "CidrBlockAssociationSet": [{
            "AssociationId": id.replacen("vpc-", "vpc-cidr-assoc-", 1),
            "CidrBlock": VPC_CIDR,
            "CidrBlockState": {"State": "associated"},
        }],
    });
    Ok(describe(vec![vpc], input, &LISTING)?.answer("Vpcs"))
}

fn vpc_attribute(region: &Region, input: &Value) -> Result<Value, ApiError> {
    let id = input["VpcId"].as_str().unwrap_or_default();
    ids::VPC.check(id)?;
    if region.network().vpc_id() != id {
        return Err(ids::VPC.not_found(id));
    }
    let (member, value) = match input["Attribute"].as_str().unwrap_or_default() {
        "enableDnsSupport" => ("EnableDnsSupport", true),
        "enableDnsHostnames" => ("EnableDnsHostnames", true),
        "enableNetworkAddressUsageMetrics" => ("EnableNetworkAddressUsageMetrics", false),
        other => return Err(errors::invalid_value(format!("Invalid attribute: {other}"))),
    };
    Ok(json!({"VpcId": id, member: {"Value": value}}))
}

fn subnets(region: &Region, input: &Value) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "SubnetIds",
        id: "SubnetId",
        noun: ids::SUBNET,
        filters: &[
            ("availability-zone", "AvailabilityZone"),
            ("availabilityZone", "AvailabilityZone"),
            ("availability-zone-id", "AvailabilityZoneId"),
            ("availabilityZoneId", "AvailabilityZoneId"),
            ("available-ip-address-count", "AvailableIpAddressCount"),
            ("cidr", "CidrBlock"),
            ("cidr-block", "CidrBlock"),
            ("cidrBlock", "CidrBlock"),
            ("default-for-az", "DefaultForAz"),
            ("defaultForAz", "DefaultForAz"),
            ("ipv6-native", "Ipv6Native"),
            ("map-public-ip-on-launch", "MapPublicIpOnLaunch"),
            ("owner-id", "OwnerId"),
            ("state", "State"),
            ("subnet-arn", "SubnetArn"),
            ("subnet-id", "SubnetId"),
            ("vpc-id", "VpcId"),
        ],
    };
    let network = region.network();
    let view = |subnet: Subnet| {
        let taken = placement::taken(region, &subnet.id).len();
        json!({
            "SubnetId": subnet.id, "VpcId": network.vpc_id(), "CidrBlock": subnet.cidr(), "State": "available",
            "AvailabilityZone": subnet.zone, "AvailabilityZoneId": subnet.zone_id, "OwnerId": ACCOUNT,
            "AvailableIpAddressCount": 4091usize.saturating_sub(taken), "DefaultForAz": true,
            "MapPublicIpOnLaunch": true, "AssignIpv6AddressOnCreation": false, "EnableDns64": false,
            "Ipv6Native": false, "MapCustomerOwnedIpOnLaunch": false, "Ipv6CidrBlockAssociationSet": [],
            "SubnetArn": format!("arn:aws:ec2:{}:{ACCOUNT}:subnet/{}", region.name, subnet.id),
            "PrivateDnsNameOptionsOnLaunch": {
                "HostnameType": "ip-name",
                "EnableResourceNameDnsARecord": false,
                "EnableResourceNameDnsAAAARecord": false,
            },
            "Tags": region.tags_of(&subnet.id),
        })
    };
    Ok(describe(network.subnets().into_iter().map(view).collect(), input, &LISTING)?.answer("Subnets"))
}

fn gateways(region: &Region, input: &Value) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "InternetGatewayIds",
        id: "InternetGatewayId",
        noun: ids::GATEWAY,
        filters: &[
            ("attachment.state", "Attachments.State"),
            ("attachment.vpc-id", "Attachments.VpcId"),
            ("internet-gateway-id", "InternetGatewayId"),
            ("owner-id", "OwnerId"),
        ],
    };
    let network = region.network();
    let id = network.fixed(ids::GATEWAY);
    let attachment = json!({"State": "available", "VpcId": network.vpc_id()});
    let gateway = json!({
        "InternetGatewayId": id, "OwnerId": ACCOUNT, "Attachments": [attachment], "Tags": region.tags_of(&id),
    });
    Ok(describe(vec![gateway], input, &LISTING)?.answer("InternetGateways"))
}

fn route_tables(region: &Region, input: &Value) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "RouteTableIds",
        id: "RouteTableId",
        noun: ids::ROUTE_TABLE,
        filters: &[
            ("association.main", "Associations.Main"),
            ("association.route-table-association-id", "Associations.RouteTableAssociationId"),
            ("association.route-table-id", "Associations.RouteTableId"),
            ("association.subnet-id", "Associations.SubnetId"),
            ("owner-id", "OwnerId"),
            ("route-table-id", "RouteTableId"),
            ("route.destination-cidr-block", "Routes.DestinationCidrBlock"),
            ("route.destination-prefix-list-id", "Routes.DestinationPrefixListId"),
            ("route.gateway-id", "Routes.GatewayId"),
            ("route.origin", "Routes.Origin"),
            ("route.state", "Routes.State"),
            ("vpc-id", "VpcId"),
        ],
    };
    let network = region.network();
    let id = network.fixed(ids::ROUTE_TABLE);
    let route = |destination: &str, gateway: String, origin: &str| json!({"DestinationCidrBlock": destination, "GatewayId": gateway, "Origin": origin, "State": "active"});
    let mut routes = vec![
        route(VPC_CIDR, "local".to_owned(), "CreateRouteTable"),
        route("0.0.0.0/0", network.fixed(ids::GATEWAY), "CreateRoute"),
    ];
    routes.extend(vpc_endpoints::routes(region, &id));
    let table = json!({
        "RouteTableId": id, "VpcId": network.vpc_id(), "OwnerId": ACCOUNT, "PropagatingVgws": [], "Routes": routes,
        "Associations": [{
            "Main": true, "RouteTableId": id, "RouteTableAssociationId": id.replacen("rtb-", "rtbassoc-", 1),
            "AssociationState": {"State": "associated"},
        }],
        "Tags": region.tags_of(&id),
    });
    Ok(describe(vec![table], input, &LISTING)?.answer("RouteTables"))
}

fn acls(region: &Region, input: &Value) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "NetworkAclIds",
        id: "NetworkAclId",
        noun: ids::ACL,
        filters: &[
            ("association.association-id", "Associations.NetworkAclAssociationId"),
            ("association.network-acl-id", "Associations.NetworkAclId"),
            ("association.subnet-id", "Associations.SubnetId"),
            ("default", "IsDefault"),
            ("entry.cidr", "Entries.CidrBlock"),
            ("entry.egress", "Entries.Egress"),
            ("entry.protocol", "Entries.Protocol"),
            ("entry.rule-action", "Entries.RuleAction"),
            ("entry.rule-number", "Entries.RuleNumber"),
            ("network-acl-id", "NetworkAclId"),
            ("owner-id", "OwnerId"),
            ("vpc-id", "VpcId"),
        ],
    };
    let network = region.network();
    let id = network.fixed(ids::ACL);
    let entry = |number: u32, action: &str, egress: bool| json!({"RuleNumber": number, "RuleAction": action, "Egress": egress, "Protocol": "-1", "CidrBlock": "0.0.0.0/0"});
    let associated = |subnet: Subnet| json!({"NetworkAclId": id, "SubnetId": subnet.id, "NetworkAclAssociationId": subnet.id.replacen("subnet-", "aclassoc-", 1)});
    let associations: Vec<Value> = network.subnets().into_iter().map(associated).collect();
    let acl = json!({
        "NetworkAclId": id, "VpcId": network.vpc_id(), "OwnerId": ACCOUNT, "IsDefault": true,
        "Entries": [
            entry(100, "allow", true), entry(32767, "deny", true), entry(100, "allow", false), entry(32767, "deny", false),
        ],
        "Associations": associations, "Tags": region.tags_of(&id),
    });
    Ok(describe(vec![acl], input, &LISTING)?.answer("NetworkAcls"))
}

fn dhcp_options(region: &Region, input: &Value) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "DhcpOptionsIds",
        id: "DhcpOptionsId",
        noun: ids::DHCP,
        filters: &[
            ("dhcp-options-id", "DhcpOptionsId"),
            ("key", "DhcpConfigurations.Key"),
            ("owner-id", "OwnerId"),
            ("value", "DhcpConfigurations.Values.Value"),
        ],
    };
    let id = region.network().fixed(ids::DHCP);
    let domain = match region.name.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        name => format!("{name}.compute.internal"),
    };
    let configuration = |key: &str, value: &str| json!({"Key": key, "Values": [{"Value": value}]});
    let options = json!({
        "DhcpOptionsId": id, "OwnerId": ACCOUNT, "Tags": region.tags_of(&id),
        "DhcpConfigurations": [
            configuration("domain-name", &domain), configuration("domain-name-servers", "AmazonProvidedDNS"),
        ],
    });
    Ok(describe(vec![options], input, &LISTING)?.answer("DhcpOptions"))
}

/// The two services that have gateway endpoints.
fn prefix_lists(region: &Region, input: &Value) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "PrefixListIds",
        id: "PrefixListId",
        noun: ids::PREFIX_LIST,
        filters: &[("prefix-list-id", "PrefixListId"), ("prefix-list-name", "PrefixListName")],
    };
    let list = |service: &str, cidr: &str| {
        json!({
            "PrefixListId": vpc_endpoints::prefix_list(&region.name, service),
            "PrefixListName": format!("com.amazonaws.{}.{service}", region.name),
            "Cidrs": [cidr],
        })
    };
    let lists = vec![list("dynamodb", "52.94.0.0/22"), list("s3", "52.216.0.0/15")];
    Ok(describe(lists, input, &LISTING)?.answer("PrefixLists"))
}

fn zones(region: &Region, input: &Value) -> Result<Value, ApiError> {
    const FILTERS: &[(&str, &str)] = &[
        ("group-name", "GroupName"),
        ("opt-in-status", "OptInStatus"),
        ("region-name", "RegionName"),
        ("state", "State"),
        ("zone-id", "ZoneId"),
        ("zone-name", "ZoneName"),
        ("zone-type", "ZoneType"),
    ];
    let view = |subnet: Subnet| {
        json!({
            "ZoneName": subnet.zone, "ZoneId": subnet.zone_id, "RegionName": region.name, "State": "available",
            "OptInStatus": "opt-in-not-required", "ZoneType": "availability-zone", "Messages": [],
            "GroupName": format!("{}-zg-1", region.name), "NetworkBorderGroup": region.name,
        })
    };
    let mut zones: Vec<Value> = region.network().subnets().into_iter().map(view).collect();
    for (list, member) in [("ZoneNames", "ZoneName"), ("ZoneIds", "ZoneId")] {
        let wanted = texts(&input[list]);
        if let Some(unknown) = wanted.iter().find(|wanted| !zones.iter().any(|zone| zone[member] == **wanted)) {
            return Err(errors::invalid_value(format!("Invalid availability zone: [{unknown}]")));
        }
        zones.retain(|zone| wanted.is_empty() || wanted.iter().any(|wanted| zone[member] == *wanted));
    }
    let filters = Filters::read(input, FILTERS)?;
    zones.retain(|zone| filters.let_through(zone));
    Ok(json!({ "AvailabilityZones": zones }))
}

/// Those that every account has without asking.
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

fn regions(input: &Value) -> Result<Value, ApiError> {
    const FILTERS: &[(&str, &str)] =
        &[("endpoint", "Endpoint"), ("opt-in-status", "OptInStatus"), ("region-name", "RegionName")];
    let wanted = texts(&input["RegionNames"]);
    if let Some(unknown) = wanted.iter().find(|wanted| !REGIONS.contains(wanted)) {
        return Err(errors::invalid_value(format!("Invalid region provided: {unknown}")));
    }
    let filters = Filters::read(input, FILTERS)?;
    let mut found = Vec::new();
    for name in REGIONS.into_iter().filter(|name| wanted.is_empty() || wanted.contains(name)) {
        let endpoint = format!("ec2.{name}.amazonaws.com");
        let region = json!({"RegionName": name, "Endpoint": endpoint, "OptInStatus": "opt-in-not-required"});
        if filters.let_through(&region) {
            found.push(region);
        }
    }
    Ok(json!({ "Regions": found }))
}

fn account_attributes(region: &Region, input: &Value) -> Result<Value, ApiError> {
    let all = [
        ("supported-platforms", "VPC".to_owned()),
        ("default-vpc", region.network().vpc_id()),
        ("max-instances", "20".to_owned()),
        ("vpc-max-security-groups-per-interface", "5".to_owned()),
        ("max-elastic-ips", "5".to_owned()),
        ("vpc-max-elastic-ips", "5".to_owned()),
    ];
    let wanted = texts(&input["AttributeNames"]);
    let mut found = Vec::new();
    for (name, value) in all.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
        found.push(json!({"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]}));
    }
    Ok(json!({ "AccountAttributes": found }))
}
