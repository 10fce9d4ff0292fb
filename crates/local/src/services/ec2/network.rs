//! The default network of a region, which is there from the beginning and does not change: a VPC with a subnet in
//! each of three zones, an internet gateway, a route table, DHCP options and a network ACL ("Default VPCs", Amazon
//! VPC user guide). Tags are kept elsewhere; everything else follows from the region's name.

use std::net::Ipv4Addr;

use super::errors;
use super::ids::{self, Noun};
use crate::wire::error::ApiError;

/// The zones of every region.
const ZONES: [char; 3] = ['a', 'b', 'c'];
/// The range of the VPC.
pub(super) const VPC_CIDR: &str = "172.31.0.0/16";

/// What follows from the name of a region.
#[derive(Clone, Debug)]
pub(super) struct Network {
    region: String,
}

/// A subnet, one a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    pub(super) id: String,
    pub(super) zone: String,
    pub(super) zone_id: String,
    /// The first address of its 4,096.
    first: Ipv4Addr,
}

impl Network {
    /// The network of a region.
    pub(super) fn of(region: &str) -> Network {
        Network { region: region.to_owned() }
    }

    /// The id of the VPC.
    pub(super) fn vpc_id(&self) -> String {
        self.fixed(ids::VPC)
    }

    /// The region's name.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Its subnets, in the order of the zones.
    pub(super) fn subnets(&self) -> Vec<Subnet> {
        // In us-east-1 some services are not in the third zone (MSK: `BrokerNodeGroupInfo`, Amazon MSK API reference). As in
        // most accounts of AWS, three letters of this one stand for zones that have all.
        let numbers: [u8; 3] = if self.region == "us-east-1" { [1, 2, 4] } else { [1, 2, 3] };
        let subnet = |((index, letter), number): ((u8, char), u8)| {
            let zone = format!("{}{letter}", self.region);
            Subnet {
                id: ids::SUBNET.fixed_id(&self.region, &zone),
                zone_id: format!("{}-az{number}", short_name(&self.region)),
                zone,
                first: Ipv4Addr::new(172, 31, index * 16, 0),
            }
        };
        (0u8..).zip(ZONES).zip(numbers).map(subnet).collect()
    }

    /// The subnet of that id.
    pub(super) fn subnet(&self, id: &str) -> Result<Subnet, ApiError> {
        ids::SUBNET.check(id)?;
        self.subnets().into_iter().find(|subnet| subnet.id == id).ok_or_else(|| ids::SUBNET.not_found(id))
    }

    /// The subnet of that zone.
    pub(super) fn subnet_in(&self, zone: &str) -> Result<Subnet, ApiError> {
        let found = self.subnets().into_iter().find(|subnet| subnet.zone == zone);
        found.ok_or_else(|| errors::invalid_value(format!("Invalid availability zone: [{zone}]")))
    }

    /// Whether something of the network has that id.
    pub(super) fn has(&self, id: &str) -> bool {
        let single = [ids::VPC, ids::GATEWAY, ids::ROUTE_TABLE, ids::ACL, ids::DHCP];
        single.into_iter().any(|noun| self.fixed(noun) == id) || self.subnets().iter().any(|subnet| subnet.id == id)
    }

    /// The id of the one object of its kind.
    pub(super) fn fixed(&self, noun: Noun) -> String {
        noun.fixed_id(&self.region, "default")
    }
}

impl Subnet {
    /// Whether an address lies in it and is for use: AWS keeps the first four and the last one of a subnet.
    pub(super) fn has(&self, ip: Ipv4Addr) -> bool {
        let offset = u32::from(ip).wrapping_sub(u32::from(self.first));
        (4..4095).contains(&offset)
    }

    /// Its addresses for use, in order.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let first = u32::from(self.first);
        (first + 4..first + 4095).map(Ipv4Addr::from)
    }

    /// Its range.
    pub(super) fn cidr(&self) -> String {
        format!("{}/20", self.first)
    }
}

/// `use1` for `us-east-1`, as the ids of zones begin.
fn short_name(region: &str) -> String {
    let mut parts = region.split('-');
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // Compound directions keep a letter of each half.
        short.push_str(match part {
            "northeast" => "ne",
            "northwest" => "nw",
            "southeast" => "se",
            "southwest" => "sw",
            other => other.get(..1).unwrap_or_default(),
        });
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_ids_as_aws_names_them() {
        for (region, short) in
            [("us-east-1", "use1"), ("eu-central-1", "euc1"), ("ap-southeast-2", "apse2"), ("us-gov-west-1", "usgw1")]
        {
            assert_eq!(short_name(region), short);
        }
        let subnets = Network::of("us-east-1").subnets();
        assert_eq!(subnets[2].cidr(), "172.31.32.0/20");
        assert_eq!((subnets[1].zone.as_str(), subnets[1].zone_id.as_str()), ("us-east-1b", "use1-az2"));
        let addresses: Vec<Ipv4Addr> = subnets[1].addresses().collect();
        assert_eq!(addresses.first().unwrap().to_string(), "172.31.16.4");
        assert_eq!(addresses.last().unwrap().to_string(), "172.31.31.254");
        assert!(addresses.iter().all(|ip| subnets[1].has(*ip)) && addresses.len() == 4091);
    }
}
