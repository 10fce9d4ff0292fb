//! `pinfra logs`: what a worker wrote. The agent keeps the end of each log in the lake bucket.

use std::time::Duration;

use pinfra_aws::Clients;

use super::context::Context;
use super::deployed::Deployed;
use super::stacks::choose;
use super::{local, plan, stacks};
use crate::report::{Failure, count, out};

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The metadata of a log object: how many bytes of the log came before what it holds.
const OFFSET: &str = "offset";

/// The end of a log.
struct Tail {
    offset: u64,
    text: Vec<u8>,
}

/// Prints the log of `worker`, and with `follow` what comes after.
pub(super) async fn run(context: &Context, worker: &str, given: Option<&str>, follow: bool) -> Result<(), Failure> {
    let chosen = choose(context, given)?;
    let Some((state, place)) = chosen.state.and_then(|state| state.place.clone().map(|place| (state, place))) else {
        return Err(
            Failure::new(format!("nothing of the stack `{}` is there", chosen.name)).hint("`pinfra up` makes it")
        );
    };
    let deployed = Deployed::of(&state);
    let known = deployed.workers.iter().any(|name| name == worker);
    let (Some(bucket), Some(instance), true) = (&deployed.bucket, &deployed.instance, known) else {
        let names = if deployed.workers.is_empty() { "none".to_owned() } else { deployed.workers.join(", ") };
        return Err(Failure::new(format!("the stack `{}` has no worker `{worker}`", chosen.name))
            .hint(format!("it has {names}")));
    };
    let connection = local::connect_if_running(context, stacks::recorded_target(&place), &place.region).await?;
    let clients = Clients::connect(&connection).await?;
    plan::check_account(&state, &clients)?;
    let key = format!("_pinfra/agents/{instance}/logs/{worker}.log");
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
    let answer = match clients.s3.get_object().bucket(bucket).key(key).send().await {
        Ok(answer) => answer,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => return Ok(None),
        Err(error) => return Err(pinfra_aws::error::classify("s3:GetObject", &error).into()),
    };
    let offset = answer.metadata().and_then(|metadata| metadata.get(OFFSET)?.parse().ok()).unwrap_or(0);
    let body = answer.body.collect().await;
    let text = body.map_err(|error| Failure::new(format!("cannot read `s3://{bucket}/{key}`: {error}")))?.to_vec();
    Ok(Some(Tail { offset, text }))
}
