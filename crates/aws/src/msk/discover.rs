//! What says in MSK that it is of a stack, where the Tagging API cannot: configurations have no tags.

use pinfra_engine::CloudError;

use super::configuration::read_ownership;
use super::listing::configurations;
use crate::claims::Claim;
use crate::clients::Clients;

/// Configurations of `stack`. Topics go with their cluster.
pub(crate) async fn claims(clients: &Clients, stack: &str) -> Result<Vec<Claim>, CloudError> {
    let mut found = Vec::new();
    for configuration in configurations(clients).await?.iter() {
        if let Some((owner, address)) = configuration.description().and_then(read_ownership)
            && let Some(arn) = configuration.arn.clone()
            && owner == stack
        {
            found.push(Claim { address: Some(address), id: Some(arn.clone()), arn });
        }
    }
    Ok(found)
}
