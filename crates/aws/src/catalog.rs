//! Every kind there is. A new kind is one line here, which planning, `explain`, the docs and the tests read.

use pinfra_engine::{Catalog, KindInfo, Resource};

use crate::clients::Clients;
use crate::iam::instance_profile::InstanceProfile;
use crate::iam::role::Role;
use crate::iam::role_policy::RolePolicy;
use crate::kinesis::stream::Stream;
use crate::s3::bucket::Bucket;

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
    Stream,
    Bucket,
    Role,
    RolePolicy,
    InstanceProfile,
}
