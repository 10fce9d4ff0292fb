//! Every kind there is, each after the kinds that it may need: `down` goes by that order where state is lost. A new kind
//! is one line here, which planning, `explain`, the docs and the tests read, and one in `KINDS` of the stack file's `spec/lists.rs`.

use pinfra_engine::{Catalog, KindInfo, Resource};

use crate::api_gateway::api_key::ApiKey;
use crate::api_gateway::deployment::Deployment;
use crate::api_gateway::rest_api::RestApi;
use crate::api_gateway::stage::Stage;
use crate::api_gateway::usage_plan::UsagePlan;
use crate::clients::Clients;
use crate::ec2::elastic_ip::ElasticIp;
use crate::ec2::instance::Instance;
use crate::ec2::key_pair::KeyPair;
use crate::ec2::security_group::SecurityGroup;
use crate::ec2::vpc_endpoint::VpcEndpoint;
use crate::iam::instance_profile::InstanceProfile;
use crate::iam::role::Role;
use crate::iam::role_policy::RolePolicy;
use crate::kinesis::stream::Stream;
use crate::msk::cluster::Cluster;
use crate::msk::configuration::Configuration;
use crate::msk::topic::Topic;
use crate::msk_connect::connector::Connector;
use crate::msk_connect::plugin::Plugin;
use crate::msk_connect::worker_configuration::WorkerConfiguration;
use crate::s3::bucket::Bucket;
use crate::s3::object::Object;
use crate::worker::process::Process;

macro_rules! kinds {
    ($($kind:ty),* $(,)?) => {
        /// What is known of each kind without asking the cloud.
        pub const KINDS: &[&KindInfo] = &[$(&<$kind as Resource>::INFO),*];

        /// The kinds, each with the clients it calls.
        pub fn catalog(clients: &Clients) -> Catalog {
            Catalog::default()$(.with(<$kind>::new(clients)))*
        }
    };
}

kinds! {
    Role,
    RolePolicy,
    InstanceProfile,
    SecurityGroup,
    VpcEndpoint,
    KeyPair,
    Bucket,
    Object,
    Stream,
    Configuration,
    Cluster,
    Topic,
    Plugin,
    WorkerConfiguration,
    Connector,
    RestApi,
    Deployment,
    Stage,
    ApiKey,
    UsagePlan,
    Instance,
    ElasticIp,
    Process,
}
