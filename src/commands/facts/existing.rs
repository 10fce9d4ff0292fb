//! What the stack file says exists: it is looked up, and never changed.

use pinfra_aws::msk::existing::Existing;
use pinfra_aws::{Clients, msk, s3};

use crate::expand::ExistingCluster;
use crate::report::Failure;
use crate::spec::{Spanned, Stack};

/// Whether the bucket of `lake.use` is there, in the stack's region.
pub(super) async fn bucket(stack: &Stack, name: &Spanned<String>, clients: &Clients) -> Result<(), Failure> {
    let at = stack.source.location(name.place);
    match s3::existing::region(clients, name).await? {
        None => Err(Failure::new(format!("there is no bucket `{}` ({at})", name.value))
            .hint("make it first, or write `lake: {}` to have one made")),
        Some(region) if region != clients.region => Err(Failure::new(format!(
            "the bucket `{}` is in `{region}`, and the stack in `{}` ({at})",
            name.value, clients.region
        ))
        .hint("name a bucket in the stack's region")),
        Some(_) => Ok(()),
    }
}

/// The cluster of `cluster.use`.
pub(super) async fn cluster(
    stack: &Stack,
    given: &Spanned<String>,
    clients: &Clients,
) -> Result<ExistingCluster, Failure> {
    let at = stack.source.location(given.place);
    match msk::existing::find(clients, given).await? {
        Existing::Absent => Err(Failure::new(format!("there is no MSK cluster `{}` ({at})", given.value))
            .hint("look at `aws kafka list-clusters-v2`, or remove `use` to have one made")),
        Existing::NotReady { state } => {
            Err(Failure::new(format!("the cluster `{}` is {state} ({at})", given.value))
                .hint("wait until it is ACTIVE"))
        }
        Existing::WithoutIam => Err(Failure::new(format!("the cluster `{}` does not take IAM ({at})", given.value))
            .hint("turn on IAM role-based authentication of the cluster: gateway and connector use it")),
        Existing::Ready { arn, bootstrap_iam, subnets, brokers } => {
            Ok(ExistingCluster { arn, bootstrap_iam, subnets, brokers })
        }
    }
}
