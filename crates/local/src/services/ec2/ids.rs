//! Ids of objects: how they look, how new ones are made, and what is said of wrong ones.

use sha2::{Digest, Sha256};

use crate::wire::error::ApiError;

/// One kind of object: the prefix of its ids, and the error code of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noun {
    /// Such as `i`, for `i-0123456789abcdef0`.
    pub(super) prefix: &'static str,
    /// The code is followed by `.NotFound`.
    not_found: &'static str,
    /// The whole code.
    malformed: &'static str,
    /// Such as `instance ID`.
    name: &'static str,
    /// The type in ARNs and in `DescribeTags`.
    pub(super) resource_type: &'static str,
}

const fn noun(
    prefix: &'static str,
    not_found: &'static str,
    malformed: &'static str,
    name: &'static str,
    resource_type: &'static str,
) -> Noun {
    Noun { prefix, not_found, malformed, name, resource_type }
}

pub(super) const INSTANCE: Noun =
    noun("i", "InvalidInstanceID", "InvalidInstanceID.Malformed", "instance ID", "instance");
pub(super) const VOLUME: Noun = noun("vol", "InvalidVolume", "InvalidParameterValue", "volume", "volume");
pub(super) const GROUP: Noun =
    noun("sg", "InvalidGroup", "InvalidGroupId.Malformed", "security group", "security-group");
pub(super) const RULE: Noun = noun(
    "sgr",
    "InvalidSecurityGroupRuleId",
    "InvalidSecurityGroupRuleId.Malformed",
    "security group rule ID",
    "security-group-rule",
);
pub(super) const KEY_PAIR: Noun = noun("key", "InvalidKeyPair", "InvalidKeyPair.Format", "key pair", "key-pair");
pub(super) const ALLOCATION: Noun =
    noun("eipalloc", "InvalidAllocationID", "InvalidAllocationID.Malformed", "allocation ID", "elastic-ip");
pub(super) const INTERFACE: Noun = noun(
    "eni",
    "InvalidNetworkInterfaceID",
    "InvalidNetworkInterfaceId.Malformed",
    "networkInterface ID",
    "network-interface",
);
pub(super) const VPC: Noun = noun("vpc", "InvalidVpcID", "InvalidVpcID.Malformed", "vpc ID", "vpc");
pub(super) const SUBNET: Noun = noun("subnet", "InvalidSubnetID", "InvalidSubnetID.Malformed", "subnet ID", "subnet");
pub(super) const GATEWAY: Noun = noun(
    "igw",
    "InvalidInternetGatewayID",
    "InvalidInternetGatewayId.Malformed",
    "internetGateway ID",
    "internet-gateway",
);
pub(super) const ROUTE_TABLE: Noun =
    noun("rtb", "InvalidRouteTableID", "InvalidRouteTableId.Malformed", "routeTable ID", "route-table");
pub(super) const ACL: Noun =
    noun("acl", "InvalidNetworkAclID", "InvalidNetworkAclId.Malformed", "networkAcl ID", "network-acl");
pub(super) const DHCP: Noun =
    noun("dopt", "InvalidDhcpOptionID", "InvalidDhcpOptionsId.Malformed", "dhcpOption ID", "dhcp-options");
pub(super) const PREFIX_LIST: Noun =
    noun("pl", "InvalidPrefixListID", "InvalidPrefixListId.Malformed", "prefix list ID", "prefix-list");
pub(super) const VPC_ENDPOINT: Noun =
    noun("vpce", "InvalidVpcEndpointId", "InvalidVpcEndpointId.Malformed", "Vpc Endpoint Id", "vpc-endpoint");
pub(super) const IMAGE: Noun = noun("ami", "InvalidAMIID", "InvalidAMIID.Malformed", "image id", "image");
pub(super) const PROFILE_ASSOCIATION: Noun =
    noun("iip-assoc", "InvalidAssociationID", "InvalidAssociationID.Malformed", "association ID", "");

/// All that can carry tags, for `CreateTags` on an id alone.
const TAGGABLE: [Noun; 14] = [
    INSTANCE,
    VOLUME,
    GROUP,
    RULE,
    KEY_PAIR,
    ALLOCATION,
    INTERFACE,
    VPC,
    SUBNET,
    GATEWAY,
    ROUTE_TABLE,
    ACL,
    DHCP,
    VPC_ENDPOINT,
];

impl Noun {
    /// The kind of object that such an id names.
    pub(super) fn of(id: &str) -> Option<Noun> {
        let (prefix, _) = id.rsplit_once('-')?;
        TAGGABLE.into_iter().find(|noun| noun.prefix == prefix)
    }

    /// A new id.
    pub(super) fn new_id(&self) -> String {
        let random = hex::encode(rand::random::<[u8; 9]>());
        format!("{}-{}", self.prefix, &random[..17])
    }

    /// The id of what is there from the beginning: the same each time for a region.
    pub(super) fn fixed_id(&self, region: &str, which: &str) -> String {
        let digest = hex::encode(Sha256::digest(format!("{region}/{}/{which}", self.prefix)));
        format!("{}-{}", self.prefix, &digest[..17])
    }

    /// Refuses what cannot be an id of this kind: eight or seventeen hexadecimal digits after the prefix.
    pub(super) fn check(&self, id: &str) -> Result<(), ApiError> {
        let digits = id.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix('-'));
        let good = digits.is_some_and(|digits| {
            matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        if good {
            return Ok(());
        }
        Err(ApiError::new(self.malformed, format!("Invalid id: \"{id}\" (expecting \"{}-...\")", self.prefix)))
    }

    /// What is said when nothing has this id.
    pub(super) fn not_found(&self, id: &str) -> ApiError {
        ApiError::new(format!("{}.NotFound", self.not_found), format!("The {} '{id}' does not exist", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_checked_and_recognised() {
        let id = INSTANCE.new_id();
        INSTANCE.check(&id).unwrap();
        assert_eq!(Noun::of(&id), Some(INSTANCE));
        assert_eq!(Noun::of("eipalloc-0123456789abcdef0"), Some(ALLOCATION));
        assert_ne!(VPC.fixed_id("us-east-1", ""), VPC.fixed_id("eu-west-1", ""));
        for wrong in ["", "i-", "i-xyz", "i-0123456789ABCDEF0", "vol-0123456789abcdef0", "i-0123456789abcdef01"] {
            assert_eq!(INSTANCE.check(wrong).unwrap_err().code, "InvalidInstanceID.Malformed", "{wrong}");
        }
    }
}
