//! What carries a stack's tags although its state does not know of it: what was made by a run whose state was lost, and what
//! is there twice. Found, it is recorded in memory, so that a plan can take it away.

use std::collections::BTreeMap;

use futures::future::join_all;
use pinfra_aws::catalog::KINDS;
use pinfra_aws::claims::Owned;
use pinfra_aws::{Clients, claims, s3};
use pinfra_engine::resource::LiveValue;
use pinfra_engine::state::{Record, State, Status};
use pinfra_engine::{Address, Catalog, CloudError, ErrorKind, Observation, Observed};
use serde_json::Value;

use super::context::Context;

/// An object that nobody has observed yet.
struct Stray {
    address: Address,
    id: String,
    live: LiveValue,
}

/// What a look for strays came to.
struct Found {
    strays: Vec<Stray>,
    /// Why some could not be looked for.
    unlisted: Vec<CloudError>,
}

/// For a plan that makes a stack: the state with the strays in it, where nothing is recorded. A stack of which something is
/// recorded is known by that, and its first run asks for a few lists more.
pub(super) async fn unless_recorded(
    context: &Context,
    state: &State,
    observed: &mut Observed,
    clients: &Clients,
    catalog: &Catalog,
) -> Result<State, CloudError> {
    let mut state = state.clone();
    if !state.resources.is_empty() || !state.open.is_empty() {
        return Ok(state);
    }
    let found = match find(&state.stack, observed, clients, catalog, true).await {
        Err(error) if error.kind == ErrorKind::Permission => Found { strays: Vec::new(), unlisted: vec![error] },
        found => found?,
    };
    tell(context, &found.unlisted);
    let addresses = observe(observed, found.strays);
    record(&mut state, observed, addresses);
    Ok(state)
}

/// For a plan that destroys a stack: its state, with all that was observed or carries its tags, and why some may be missing
/// in it, which is to be told.
pub(super) async fn with_all(
    state: &State,
    observed: &mut Observed,
    clients: &Clients,
    catalog: &Catalog,
) -> Result<(State, Vec<CloudError>), CloudError> {
    let mut state = state.clone();
    let found = match find(&state.stack, observed, clients, catalog, false).await {
        // What is recorded can be destroyed without this permission.
        Err(error) if error.kind == ErrorKind::Permission && !state.resources.is_empty() => {
            Found { strays: Vec::new(), unlisted: vec![error] }
        }
        found => found?,
    };
    observe(observed, found.strays);
    record(&mut state, observed, observed.keys().cloned().collect());
    Ok((state, found.unlisted))
}

/// Says what could not be looked for, and why.
pub(super) fn tell(context: &Context, unlisted: &[CloudError]) {
    for error in unlisted {
        context.tell(&format!("what an earlier run may have left besides cannot be looked for: {error}"));
    }
}

/// Everything that carries the stack's tags, is there, and was not observed. What is in a bucket goes with it, so objects are
/// looked for only where the bucket stays.
async fn find(
    stack: &str,
    observed: &Observed,
    clients: &Clients,
    catalog: &Catalog,
    objects: bool,
) -> Result<Found, CloudError> {
    let Owned { found: mut tagged, unlisted } = claims::owned_by(clients, catalog, stack).await?;
    if objects {
        let buckets = tagged.iter().filter(|(address, _)| address.kind() == "s3/bucket");
        let buckets: Vec<String> = buckets.map(|(_, id)| id.clone()).collect();
        for bucket in &buckets {
            for (address, arn) in s3::discover::owned_by(clients, stack, bucket).await? {
                let id = catalog.require(address.kind())?.id_in(&arn);
                tagged.extend(id.map(|id| (address, id)));
            }
        }
    }
    // IAM has no regions, so a name there says of which region it is: stacks of one name may live in two.
    let region = format!("-{}", clients.region);
    tagged.retain(|(address, id)| !address.kind().starts_with("iam/") || id.ends_with(&region));
    tagged.retain(|(address, id)| !is_observed(observed, address.kind(), id));
    let mut by_kind: BTreeMap<String, Vec<(Address, String)>> = BTreeMap::new();
    for (address, id) in tagged {
        by_kind.entry(address.kind().to_owned()).or_default().push((address, id));
    }
    let mut strays = Vec::new();
    for read in join_all(by_kind.into_iter().map(|(kind, found)| read(catalog, kind, found))).await {
        strays.extend(read?);
    }
    Ok(Found { strays, unlisted })
}

fn is_observed(observed: &Observed, kind: &str, id: &str) -> bool {
    observed.iter().any(|(address, observation)| {
        address.kind() == kind && matches!(observation, Observation::Present { id: known, .. } if known == id)
    })
}

/// Those of one kind that are there: the Tagging API also lists what is gone.
async fn read(catalog: &Catalog, kind: String, found: Vec<(Address, String)>) -> Result<Vec<Stray>, CloudError> {
    let (addresses, ids): (Vec<Address>, Vec<String>) = found.into_iter().unzip();
    let read = catalog.require(&kind)?.read_many(&ids).await;
    let mut strays = Vec::new();
    for ((address, id), live) in addresses.into_iter().zip(ids).zip(read) {
        strays.extend(live?.map(|live| Stray { address, id, live }));
    }
    Ok(strays)
}

/// Notes what is there as observed, and returns its addresses. One whose address has another object gets that one's twin.
fn observe(observed: &mut Observed, strays: Vec<Stray>) -> Vec<Address> {
    let mut addresses = Vec::new();
    for Stray { address, id, live } in strays {
        let taken = matches!(observed.get(&address), Some(Observation::Present { .. }));
        let address = if taken { address.twin(&id) } else { address };
        observed.insert(address.clone(), Observation::Present { id, live });
        addresses.push(address);
    }
    addresses
}

/// Records what was observed under these addresses and is not recorded.
fn record(state: &mut State, observed: &Observed, addresses: Vec<Address>) {
    let mut without_needs = Vec::new();
    for address in addresses {
        let Some(Observation::Present { id, .. }) = observed.get(&address) else { continue };
        let found = Record {
            status: Status::Begun,
            id: None,
            inputs: Value::Null,
            outputs: Value::Null,
            needs: Vec::new(),
            made_by: None,
        };
        if !state.resources.contains_key(&address) {
            without_needs.push(address.clone());
        }
        state.resources.entry(address).or_insert(found).id.get_or_insert_with(|| id.clone());
    }
    let all: Vec<Address> = state.resources.keys().cloned().collect();
    for address in without_needs {
        // Who needs whom is not known of these, but which kinds may need which is: the catalogue is in that order.
        let needs = all.iter().filter(|other| rank(other) < rank(&address)).cloned().collect();
        if let Some(record) = state.resources.get_mut(&address) {
            record.needs = needs;
        }
    }
}

/// Where a kind stands in the catalogue.
fn rank(address: &Address) -> Option<usize> {
    KINDS.iter().position(|info| info.kind == address.kind())
}
