//! What says that it is of this stack, and nobody knows: a second object of a resource, or one of no resource.
//!
//! The lists of what is tagged still have what is gone for a while, so each is read before it is told.

use futures::future::try_join_all;
use pinfra_engine::observe::Observation;
use pinfra_engine::resource::{ADDRESS_TAG, STACK_TAG};
use pinfra_engine::{Address, Catalog, CloudError, Finding};
use serde_json::json;

use super::{Known, unmanaged};
use crate::clients::Clients;
use crate::iam::listing::roles;
use crate::msk::configuration::read_ownership;
use crate::msk::listing::configurations;
use crate::tags::{Tags, tagged};

/// Something that carries the stack's tag or stands in its place.
struct Claim {
    address: Address,
    /// The id that its kind reads it by; `None` where no kind can.
    id: Option<String>,
    name: String,
}

pub(super) async fn find(clients: &Clients, catalog: &Catalog, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let mut claims = by_tag(clients, catalog).await?;
    claims.extend(by_path(clients).await?);
    claims.extend(by_description(clients, known).await?);
    let unknown = claims.into_iter().filter(|claim| !is_known(known, claim));
    let found = try_join_all(unknown.map(|claim| async move { Ok(is_there(catalog, &claim).await?.then_some(claim)) }));
    let found: Vec<Option<Claim>> = found.await?;
    Ok(found.into_iter().flatten().map(|claim| tell(known, claim)).collect())
}

async fn by_tag(clients: &Clients, catalog: &Catalog) -> Result<Vec<Claim>, CloudError> {
    let all = tagged(clients).await?.unwrap_or_default();
    let mut claims = Vec::new();
    for (arn, tags) in all.iter() {
        let Some(address) = address_in(tags) else {
            claims.push(Claim { address: address_of(arn), id: None, name: arn.clone() });
            continue;
        };
        // What hangs on a resource carries its tags, such as the volumes of a machine, and is none itself.
        let Some(kind) = catalog.get(address.kind()) else { continue };
        if let Some(id) = kind.id_in(arn) {
            claims.push(Claim { address, id: Some(id), name: arn.clone() });
        }
    }
    Ok(claims)
}

/// Roles are in no list of what is tagged: they stand under the path of their stack.
async fn by_path(clients: &Clients) -> Result<Vec<Claim>, CloudError> {
    let Some(roles) = roles(clients).await? else { return Ok(Vec::new()) };
    let claim = |(name, role): (&String, &aws_sdk_iam::types::Role)| {
        let detail = roles.details.as_ref().and_then(|details| details.get(name));
        let tags = detail.map(|detail| crate::iam::tags_of(detail.tags())).unwrap_or_default();
        let address = address_in(&tags).unwrap_or_else(|| Address::new("iam/role", name.clone()));
        Claim { address, id: Some(name.clone()), name: role.arn.clone() }
    };
    Ok(roles.of_stack.iter().map(claim).collect())
}

/// Configurations have no tags, and say in their description whose they are.
async fn by_description(clients: &Clients, known: Known<'_>) -> Result<Vec<Claim>, CloudError> {
    // A stack without a cluster has no configurations, and there is no list that would have been read for them.
    if known.of_kind("msk/configuration").next().is_none() {
        return Ok(Vec::new());
    }
    let all = configurations(clients).await?.unwrap_or_default();
    let claim = |found: &aws_sdk_kafka::types::Configuration| {
        let (stack, address) = read_ownership(found.description()?)?;
        let arn = found.arn.clone()?;
        (stack == known.stack).then(|| Claim { address, id: Some(arn.clone()), name: arn })
    };
    Ok(all.iter().filter_map(claim).collect())
}

fn is_known(known: Known<'_>, claim: &Claim) -> bool {
    match known.observed.get(&claim.address) {
        Some(Observation::Present { id, .. } | Observation::Theirs { id, .. }) => claim.id.as_ref() == Some(id),
        Some(Observation::Absent) | None => false,
    }
}

async fn is_there(catalog: &Catalog, claim: &Claim) -> Result<bool, CloudError> {
    let (Some(kind), Some(id)) = (catalog.get(claim.address.kind()), &claim.id) else { return Ok(true) };
    let read = kind.read_many(std::slice::from_ref(id)).await.pop().transpose()?;
    Ok(read.flatten().is_some())
}

fn tell(known: Known<'_>, claim: Claim) -> Finding {
    let Claim { address, id, name } = claim;
    let detail = match known.observed.get(&address) {
        Some(Observation::Present { id, .. }) => {
            format!("`{name}` carries its tags too, and `{id}` is the one that the stack uses")
        }
        _ => format!("`{name}` carries the tags of this stack, which does not know it"),
    };
    unmanaged(&address, id.unwrap_or_else(|| name.clone()), json!({ "name": name }), detail)
}

fn address_in(tags: &Tags) -> Option<Address> {
    tags.get(STACK_TAG)?;
    tags.get(ADDRESS_TAG)?.parse().ok()
}

/// An address for what has none: service and type of its ARN, such as `kms/key`, with the last part of it.
fn address_of(arn: &str) -> Address {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let resource = resource.trim_start_matches('/');
    let kind = resource.split(['/', ':']).next().filter(|kind| *kind != resource).unwrap_or("resource");
    let name: String = resource.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    Address::new(format!("{service}/{kind}"), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_address_gets_one_of_its_arn() {
        let of = |arn: &str| address_of(arn).to_string();
        assert_eq!(of("arn:aws:kms:us-east-1:1:key/ab-1"), "kms/key.ab-1");
        assert_eq!(of("arn:aws:s3:::lake"), "s3/resource.lake");
        assert_eq!(of("arn:aws:apigateway:us-east-1::/restapis/a1/stages/x"), "apigateway/restapis.x");
    }
}
