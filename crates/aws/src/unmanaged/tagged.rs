//! What says that it is of this stack, and nobody knows: a second object of a resource, or one of no resource.
//!
//! The lists of what is tagged still have what is gone for a while, so each is read before it is told.

use futures::future::try_join_all;
use pinfra_engine::observe::Observation;
use pinfra_engine::{Address, Catalog, CloudError, Finding};
use serde_json::{Value, json};

use super::{Known, unmanaged};
use crate::claims::{self, Claim};
use crate::clients::Clients;
use crate::{iam, msk};

pub(super) async fn find(clients: &Clients, catalog: &Catalog, known: Known<'_>) -> Result<Vec<Finding>, CloudError> {
    let in_msk = async {
        // A stack without a cluster has no configurations, and there is no list that would have been read for them.
        match known.of_kind("msk/configuration").next() {
            Some(_) => msk::discover::claims(clients, known.stack).await,
            None => Ok(Vec::new()),
        }
    };
    let places = async {
        futures::try_join!(
            claims::by_tag(clients, catalog, known.stack),
            iam::discover::claims(clients, known.stack),
            in_msk,
        )
    };
    let (by_tag, in_iam, in_msk) = Box::pin(places).await?;
    let unknown = by_tag.into_iter().chain(in_iam).chain(in_msk).filter(|claim| !is_known(catalog, known, claim));
    let found = try_join_all(unknown.map(|claim| async move { Ok(is_there(catalog, &claim).await?.then_some(claim)) }));
    let found: Vec<Option<Claim>> = found.await?;
    Ok(found.into_iter().flatten().map(|claim| tell(known, claim)).collect())
}

/// Whether it is what the stack has, or what is told where it is missed. Its tags may say another address than the one that
/// it is known by, or none, which is told as a change of its tags; and where roles are not listed with their tags, those are
/// not known here. So a resource is known by its id, and by its ARN.
fn is_known(catalog: &Catalog, known: Known<'_>, claim: &Claim) -> bool {
    let (Some(address), Some(id)) = (&claim.address, &claim.id) else {
        return known.observed.iter().any(|(address, observation)| is_at(catalog, &claim.arn, address, observation));
    };
    let theirs = matches!(known.observed.get(address), Some(Observation::Theirs { id: there, .. }) if there == id);
    theirs || known.has(address.kind(), id)
}

/// Whether what was observed at an address has this ARN.
fn is_at(catalog: &Catalog, arn: &str, address: &Address, observation: &Observation) -> bool {
    let Observation::Present { id, live } = observation else { return false };
    match live.outputs.get("arn").and_then(Value::as_str) {
        Some(known) => known == arn,
        None => catalog.get(address.kind()).and_then(|kind| kind.id_in(arn)).as_ref() == Some(id),
    }
}

async fn is_there(catalog: &Catalog, claim: &Claim) -> Result<bool, CloudError> {
    let kind = claim.address.as_ref().and_then(|address| catalog.get(address.kind()));
    let (Some(kind), Some(id)) = (kind, &claim.id) else { return Ok(true) };
    let read = kind.read_many(std::slice::from_ref(id)).await.pop().transpose()?;
    Ok(read.flatten().is_some())
}

fn tell(known: Known<'_>, claim: Claim) -> Finding {
    let Claim { address, id, arn } = claim;
    let address = address.unwrap_or_else(|| address_of(&arn));
    let detail = match known.observed.get(&address) {
        Some(Observation::Present { id, .. }) => {
            format!("`{arn}` carries its tags too, and `{id}` is the one that the stack uses")
        }
        _ => format!("`{arn}` carries the tags of this stack, which does not know it"),
    };
    unmanaged(&address, id.unwrap_or_else(|| arn.clone()), json!({ "name": arn }), detail)
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
