//! Probes that have arrived: said in an object of the lake bucket, once the commit with their position is done.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use time::OffsetDateTime;

use crate::config::Arrival;
use crate::lake::Lake;

/// More probes than this in one commit are counted and not reported one by one: nobody waits for so many.
const MOST: usize = 100;

/// A probe among the records of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) id: String,
    pub(crate) in_stream: OffsetDateTime,
    pub(crate) read: OffsetDateTime,
    pub(crate) rejected: Option<String>,
}

/// Writes an [`Arrival`] for each. Who waits for a probe asks again, so one that could not be written is told and no
/// reason to stop.
pub(crate) async fn announce(lake: &Lake, table: &str, probes: Vec<Probe>) -> Result<(), object_store::Error> {
    let committed = OffsetDateTime::now_utc();
    for probe in probes.into_iter().take(MOST) {
        let path = Path::from(format!("_pinfra/probes/{}/{table}.json", probe.id));
        let arrival = Arrival {
            id: probe.id,
            table: table.to_owned(),
            in_stream: probe.in_stream,
            read: probe.read,
            committed,
            rejected: probe.rejected,
        };
        let body = serde_json::to_vec(&arrival).expect("texts and times of this millennium have a JSON form");
        lake.store().put(&path, body.into()).await?;
    }
    Ok(())
}
