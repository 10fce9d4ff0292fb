//! `ec2/vpc_endpoint`: a gateway endpoint, by which machines without a public address reach S3.

use serde::{Deserialize, Serialize};

use crate::tags::Tags;

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
