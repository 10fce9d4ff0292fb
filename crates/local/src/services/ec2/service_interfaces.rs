//! Network interfaces that another service keeps in subnets of the account: those of MSK brokers and of connectors. They
//! hold addresses and security groups until their owner is gone, which is why a group can often not be deleted at once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::placement;
use super::region::Region;
use super::{Ec2, ids};
use crate::credentials::ACCOUNT;
use crate::wire::error::ApiError;

/// A subnet, as other services ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetFacts {
    /// Its id.
    pub id: String,
    /// Such as `us-east-1a`.
    pub zone: String,
    /// Such as `use1-az1`.
    pub zone_id: String,
}

/// An interface that a service wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceWish {
    /// The subnet it is in.
    pub subnet: String,
    /// Ids of its security groups.
    pub groups: Vec<String>,
    /// What people see of it.
    pub description: String,
}

/// An interface that a service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedInterface {
    /// `eni-…`.
    pub id: String,
    /// Its address, of the subnet's range. Nothing listens there.
    pub private_ip: String,
    /// The subnet it is in.
    pub subnet: String,
}

/// As it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ServiceInterface {
    pub(super) id: String,
    /// ARN of what it belongs to.
    owner: String,
    /// The service, as `RequesterId`.
    requester: String,
    pub(super) subnet: String,
    zone: String,
    pub(super) private_ip: String,
    mac: String,
    pub(super) groups: Vec<String>,
    description: String,
}

impl Ec2 {
    /// The subnets of these ids; `InvalidSubnetID.NotFound` or `.Malformed` for the first that is none.
    pub fn subnets(&self, region: &str, ids: &[String]) -> Result<Vec<SubnetFacts>, ApiError> {
        let network = self.inner.regions.get(region).network();
        let mut found = Vec::new();
        for id in ids {
            let subnet = network.subnet(id)?;
            found.push(SubnetFacts { id: subnet.id, zone: subnet.zone, zone_id: subnet.zone_id });
        }
        Ok(found)
    }

    /// Refuses ids of security groups that are not there (`InvalidGroup.NotFound`, `InvalidGroupId.Malformed`).
    pub fn check_groups(&self, region: &str, groups: &[String]) -> Result<(), ApiError> {
        let names: Vec<&str> = groups.iter().map(String::as_str).collect();
        placement::check_groups(&self.inner.regions.get(region), &names).map(drop)
    }

    /// The default security group of the default VPC.
    pub fn default_group(&self, region: &str) -> String {
        let region = self.inner.regions.get(region);
        let found = region.groups.values().find(|group| group.name == "default");
        found.map(|group| group.id.clone()).unwrap_or_default()
    }

    /// Makes the interfaces of `owner`, an ARN, be these and no others, in this order; those that are there stay. Returns
    /// once it is on disk.
    pub fn place_interfaces(
        &self,
        region: &str,
        owner: &str,
        requester: &str,
        wishes: &[InterfaceWish],
    ) -> Result<Vec<PlacedInterface>, ApiError> {
        self.inner.regions.change(region, false, |region| {
            let mut there: Vec<ServiceInterface> =
                region.interfaces.values().filter(|one| one.owner == owner).cloned().collect();
            region.interfaces.retain(|_, one| one.owner != owner);
            let mut placed = Vec::new();
            for wish in wishes {
                let kept = there.iter().position(|one| one.subnet == wish.subnet);
                let mut interface = match kept {
                    Some(place) => there.remove(place),
                    None => new(region, owner, requester, wish)?,
                };
                interface.groups.clone_from(&wish.groups);
                interface.description.clone_from(&wish.description);
                placed.push(PlacedInterface {
                    id: interface.id.clone(),
                    private_ip: interface.private_ip.clone(),
                    subnet: interface.subnet.clone(),
                });
                region.interfaces.insert(interface.id.clone(), interface);
            }
            for gone in there {
                region.tags.remove(&gone.id);
            }
            Ok(placed)
        })
    }

    /// Removes the interfaces of `owner`; none is success.
    pub fn remove_interfaces(&self, region: &str, owner: &str) -> Result<(), ApiError> {
        self.place_interfaces(region, owner, "", &[]).map(drop)
    }
}

impl ServiceInterface {
    /// As `DescribeNetworkInterfaces` shows it.
    pub(super) fn view(&self, region: &Region) -> Value {
        let named = self.groups.iter().filter_map(|id| region.groups.get(id));
        let groups: Vec<Value> = named.map(|group| json!({"GroupId": group.id, "GroupName": group.name})).collect();
        let dns = region.private_dns(&self.private_ip);
        json!({
            "NetworkInterfaceId": self.id, "SubnetId": self.subnet, "VpcId": region.network().vpc_id(),
            "AvailabilityZone": self.zone, "Description": self.description, "OwnerId": ACCOUNT,
            "RequesterManaged": true, "RequesterId": self.requester, "Status": "in-use", "MacAddress": self.mac,
            "InterfaceType": "interface", "SourceDestCheck": true, "PrivateIpAddress": self.private_ip,
            "PrivateDnsName": dns, "Groups": groups, "Ipv6Addresses": [], "TagSet": region.tags_of(&self.id),
            "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": self.private_ip, "PrivateDnsName": dns}],
        })
    }
}

fn new(region: &Region, owner: &str, requester: &str, wish: &InterfaceWish) -> Result<ServiceInterface, ApiError> {
    let subnet = region.network().subnet(&wish.subnet)?;
    let taken: BTreeSet<std::net::Ipv4Addr> = placement::taken(region, &subnet.id);
    let free = subnet.addresses().find(|ip| !taken.contains(ip));
    let ip = free.ok_or_else(|| placement::no_free_address(&subnet.id))?;
    let random: [u8; 5] = rand::random();
    Ok(ServiceInterface {
        id: ids::INTERFACE.new_id(),
        owner: owner.to_owned(),
        requester: requester.to_owned(),
        subnet: subnet.id,
        zone: subnet.zone,
        private_ip: ip.to_string(),
        mac: random.iter().fold("02".to_owned(), |mac, byte| format!("{mac}:{byte:02x}")),
        groups: Vec::new(),
        description: String::new(),
    })
}
