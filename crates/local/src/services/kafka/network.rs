//! What MSK asks of the network that its clusters are in.

use crate::services::ec2::{Ec2, InterfaceWish, PlacedInterface, SubnetFacts};
use crate::wire::error::ApiError;

/// The EC2 of the account.
pub trait Network: Send + Sync {
    /// The subnets of these ids; an error in EC2's words for the first that is none.
    fn subnets(&self, region: &str, ids: &[String]) -> Result<Vec<SubnetFacts>, ApiError>;

    /// Refuses ids of security groups that are not there.
    fn check_groups(&self, region: &str, groups: &[String]) -> Result<(), ApiError>;

    /// The default security group of the default VPC.
    fn default_group(&self, region: &str) -> String;

    /// Makes the interfaces of `owner`, an ARN, be these and no others.
    fn place_interfaces(
        &self,
        region: &str,
        owner: &str,
        requester: &str,
        wishes: &[InterfaceWish],
    ) -> Result<Vec<PlacedInterface>, ApiError>;
}

impl Network for Ec2 {
    fn subnets(&self, region: &str, ids: &[String]) -> Result<Vec<SubnetFacts>, ApiError> {
        Ec2::subnets(self, region, ids)
    }

    fn check_groups(&self, region: &str, groups: &[String]) -> Result<(), ApiError> {
        Ec2::check_groups(self, region, groups)
    }

    fn default_group(&self, region: &str) -> String {
        Ec2::default_group(self, region)
    }

    fn place_interfaces(
        &self,
        region: &str,
        owner: &str,
        requester: &str,
        wishes: &[InterfaceWish],
    ) -> Result<Vec<PlacedInterface>, ApiError> {
        Ec2::place_interfaces(self, region, owner, requester, wishes)
    }
}
