//! What says that it is of a stack, wherever it says so: by its tags, in IAM by its path, and in MSK by its description.
//!
//! The Tagging API learns of new tags after some seconds, still lists what is gone for a while, and knows neither roles nor
//! configurations, and instance profiles only in one region.

use pinfra_engine::resource::{ADDRESS_TAG, STACK_TAG};
use pinfra_engine::{Address, Catalog, CloudError, ErrorKind};

use crate::clients::Clients;
use crate::tags::{self, Tags};
use crate::{iam, msk};

/// Something that carries the stack's tag, or stands in its place.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// What it says that it is; `None` where it only says of which stack.
    pub(crate) address: Option<Address>,
    /// The id that its kind reads it by; `None` where no kind can.
    pub(crate) id: Option<String>,
    /// Its ARN.
    pub(crate) arn: String,
}

/// What the Tagging API lists.
pub(crate) async fn by_tag(clients: &Clients, catalog: &Catalog, stack: &str) -> Result<Vec<Claim>, CloudError> {
    let mut claims = Vec::new();
    for (arn, tags) in tags::tagged(clients, stack).await?.iter() {
        let address = address_in(tags, stack);
        let kind = address.as_ref().and_then(|address| catalog.get(address.kind()));
        let id = kind.and_then(|kind| kind.id_in(arn));
        // What hangs on a resource carries its tags, such as the volumes of a machine, and is none itself.
        if kind.is_none() || id.is_some() {
            claims.push(Claim { address, id, arn: arn.clone() });
        }
    }
    Ok(claims)
}

/// The address in the tags of something of `stack`.
pub(crate) fn address_in(tags: &Tags, stack: &str) -> Option<Address> {
    let ours = tags.get(STACK_TAG).is_some_and(|owner| owner == stack);
    tags.get(ADDRESS_TAG).filter(|_| ours)?.parse().ok()
}

/// What says that it is of a stack.
#[derive(Debug, Default)]
pub struct Owned {
    /// The resources, by address, with the id that their kind reads them by.
    pub found: Vec<(Address, String)>,
    /// Why some could not be looked for: the caller may not list them.
    pub unlisted: Vec<CloudError>,
}

/// Everything that says that it is a resource of `stack`. What was made just now may be missing. Where nothing is tagged, a
/// list that the caller may not see is an error: nothing would be known. A kind that this version does not have is one too.
pub async fn owned_by(clients: &Clients, catalog: &Catalog, stack: &str) -> Result<Owned, CloudError> {
    let (mut found, mut unlisted) = (Vec::new(), Vec::new());
    for claim in by_tag(clients, catalog, stack).await? {
        if let Some(address) = &claim.address {
            catalog.require(address.kind())?;
        }
        found.extend(resource(claim));
    }
    let (in_iam, in_msk) = futures::join!(iam::discover::claims(clients, stack), msk::discover::claims(clients, stack));
    let mut elsewhere = Vec::new();
    for claims in [in_iam, in_msk] {
        match claims {
            // What the Tagging API has found can be destroyed without this permission.
            Err(error) if error.kind == ErrorKind::Permission && !found.is_empty() => unlisted.push(error),
            claims => elsewhere.extend(claims?.into_iter().filter_map(resource)),
        }
    }
    for (address, id) in elsewhere {
        if !found.iter().any(|(known, _)| *known == address) {
            found.push((address, id));
        }
    }
    Ok(Owned { found, unlisted })
}

fn resource(claim: Claim) -> Option<(Address, String)> {
    claim.address.zip(claim.id)
}
