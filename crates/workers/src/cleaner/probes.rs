//! Probes that have arrived: said in an object of the lake bucket, once the commit with their position is done.

use std::time::Duration;

use futures::StreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use time::OffsetDateTime;

use crate::config::Arrival;
use crate::keys;
use crate::lake::Lake;
use crate::report::Teller;

/// More probes than this in one commit are counted and not reported one by one: nobody waits for so many.
const MOST: usize = 100;

/// So many are said at once.
const AT_ONCE: usize = 8;

/// How often one is tried, beyond what the store itself tries; the pause after the first failure, doubled each time.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);

/// A probe among the records of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) id: String,
    pub(crate) in_stream: OffsetDateTime,
    pub(crate) read: OffsetDateTime,
    pub(crate) rejected: Option<String>,
}

/// Writes an [`Arrival`] for each. One that cannot be written is told, tried again, and in nobody's way.
pub(crate) async fn announce(lake: Lake, table: String, probes: Vec<Probe>, committed: OffsetDateTime, teller: Teller) {
    let announced = probes.into_iter().take(MOST).map(|probe| {
        let arrival = Arrival {
            id: probe.id,
            table: table.clone(),
            in_stream: probe.in_stream,
            read: probe.read,
            committed,
            rejected: probe.rejected,
        };
        say(&lake, arrival, &teller)
    });
    futures::stream::iter(announced).buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn say(lake: &Lake, arrival: Arrival, teller: &Teller) {
    let path = Path::from(keys::probe(&arrival.id, &arrival.table));
    let body = serde_json::to_vec(&arrival).expect("texts and times of this millennium have a JSON form");
    let mut pause = PAUSE;
    for _ in 0..ATTEMPTS {
        let Err(error) = lake.store().put(&path, body.clone().into()).await else { return };
        teller.stumbled(format!("the arrival of probe `{}` could not be said: {error}", arrival.id));
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
