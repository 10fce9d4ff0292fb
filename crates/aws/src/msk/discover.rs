//! Finding what a stack owns in MSK without state, where the Tagging API cannot: configurations have no tags.

use pinfra_engine::{Address, CloudError};

use super::configuration::{all, read_ownership};
use crate::clients::Clients;

/// Configurations of `stack` by address, with the ids that their kind reads them by. Topics go with their cluster.
pub async fn owned_by(clients: &Clients, stack: &str) -> Result<Vec<(Address, String)>, CloudError> {
    let mut found = Vec::new();
    for configuration in all(clients).await? {
        let description = configuration.description.unwrap_or_default();
        if let Some((owner, address)) = read_ownership(&description)
            && owner == stack
        {
            found.extend(configuration.arn.map(|arn| (address, arn)));
        }
    }
    Ok(found)
}
