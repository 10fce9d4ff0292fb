//! The counters of batch tables, as whoever has cleaned last has committed them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::reached;
use crate::cleaner::ledger::Ledger;
use crate::config::CleanedTable;
use crate::lake::Lake;
use crate::query::TableSet;
use crate::report::Teller;

/// How often the logs are looked at: one call a table.
const EVERY: Duration = Duration::from_secs(5);

/// Tells the counters (`batch_read` and so on) of these tables until `stop`. People clean by hand too, so what this process
/// has done itself is not all.
pub(crate) async fn keep_counting(lake: Lake, tables: Vec<CleanedTable>, teller: Teller, stop: CancellationToken) {
    let mut ledgers: Vec<(CleanedTable, Option<Ledger>)> = tables.into_iter().map(|table| (table, None)).collect();
    while !stop.is_cancelled() {
        for (table, ledger) in &mut ledgers {
            let Some(topic) = &table.topic else { continue };
            // A log that cannot be read is opened anew the next time; whoever cleans says what is wrong with it.
            *ledger = match ledger.take() {
                Some(mut known) => known.refresh().await.ok().map(|_| known),
                None => {
                    let url = lake.table_url(TableSet::Batch.name(), &table.name);
                    Box::pin(Ledger::open_if_there(&lake, &url)).await.ok().flatten()
                }
            };
            if let Some(ledger) = ledger {
                for (name, count) in reached::counters(ledger, topic) {
                    teller.set(&table.name, &name, count);
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
