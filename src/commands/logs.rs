//! `pinfra logs`: what a worker wrote. The agent keeps the end of each log in the lake bucket.

use std::time::Duration;

use bytes::Bytes;
use pinfra_aws::Clients;
use pinfra_workers::keys;

use super::context::Context;
use super::deployed::{self, Deployed};
use crate::report::{Failure, count, out};

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The metadata of a log object: how many bytes of the log came before what it holds.
const OFFSET: &str = "offset";

/// The end of a log.
struct Tail {
    offset: u64,
    text: Bytes,
}

/// Prints the log of `worker`, and with `follow` what comes after.
pub(super) async fn run(context: &Context, worker: &str, given: Option<&str>, follow: bool) -> Result<(), Failure> {
    let (state, place) = deployed::recorded(context, given)?;
    let deployed = Deployed::of(&state);
    let known = deployed.workers.iter().any(|name| name == worker);
    let (Some(bucket), Some(instance), true) = (&deployed.bucket, &deployed.instance, known) else {
        let hint = match deployed.workers.as_slice() {
            [] => "it has no workers at all: `workers` in the stack file is where they are declared".to_owned(),
            names if known => format!("its machine is gone; with `pinfra up` {} run again", names.join(", ")),
            names => format!("its workers are {}", names.join(", ")),
        };
        return Err(Failure::new(format!("the stack `{}` has no worker `{worker}`", state.stack)).hint(hint));
    };
    let clients = deployed::connect(context, &state, &place).await?;
    let key = keys::log(instance, worker);
    let mut printed = 0;
    let mut first = true;
    loop {
        match tail(&clients, bucket, &key).await? {
            Some(tail) => printed = print(&tail, printed, first)?,
            None if first => context.tell(&format!("`{worker}` has written nothing yet")),
            None => {}
        }
        first = false;
        if !follow {
            return context.tell_requests(&clients);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            interrupted = tokio::signal::ctrl_c() => {
                return interrupted.map_err(|error| Failure::new(format!("cannot listen for signals: {error}")));
            }
        }
    }
}

/// Prints what comes after the first `printed` bytes of the log, and returns how many are printed then.
fn print(tail: &Tail, printed: u64, first: bool) -> Result<u64, Failure> {
    let end = tail.offset + u64::try_from(tail.text.len()).unwrap_or(u64::MAX);
    // A log that has become shorter is another machine's, or was started anew.
    let from = if first || printed > end { tail.offset } else { printed };
    if from < tail.offset {
        let missed = usize::try_from(tail.offset - from).unwrap_or(usize::MAX);
        out::note(&format!("({} came too quickly and are only on the machine)", count(missed, "byte")));
    }
    let skip = usize::try_from(from.saturating_sub(tail.offset)).unwrap_or(usize::MAX);
    let text = String::from_utf8_lossy(tail.text.get(skip..).unwrap_or_default());
    out::data(&text)?;
    Ok(end)
}

async fn tail(clients: &Clients, bucket: &str, key: &str) -> Result<Option<Tail>, Failure> {
    let Some(fetched) = deployed::fetch(clients, bucket, key).await? else { return Ok(None) };
    let offset = fetched.metadata.get(OFFSET).and_then(|offset| offset.parse().ok()).unwrap_or(0);
    Ok(Some(Tail { offset, text: fetched.body }))
}
