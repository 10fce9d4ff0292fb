//! One event on one of its routes: attempts until there is an outcome.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::answer::Outcome;
use super::desk::Desk;
use super::journal::Post;
use super::route::Route;

/// An event that was answered with failures this often, while at least as many others were accepted on its route, is the
/// trouble itself: it is refused. Otherwise the route is in trouble, and the event waits for as long as that takes.
const TRIES: u64 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Posts an event whose first attempt on `route` is in the journal, again and again if need be. Ends without an outcome when
/// the emulator is to stop.
pub(super) async fn deliver(desk: Arc<Desk>, post: Arc<Post>, route: Route) -> io::Result<()> {
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build();
    let before = desk.accepted_so_far(route);
    let mut answers = 0;
    loop {
        let failure = match desk.api.put(&post, route).await {
            Outcome::Accepted(_) => return desk.accepted(post.number, route),
            Outcome::Refused(reason) => return desk.refused(&post, route, &reason),
            Outcome::Failed(failure) => failure,
        };
        desk.failed(post.number, route, failure.unknown, &failure.reason)?;
        answers += u64::from(failure.answered);
        if answers >= TRIES && desk.accepted_so_far(route) >= before + TRIES {
            return desk.refused(&post, route, &format!("{} ({answers} times)", failure.reason));
        }
        let wait = waits.next().unwrap_or(LONGEST_WAIT).max(failure.after.unwrap_or_default());
        tokio::select! {
            () = desk.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        desk.journal().leaves(post.number, route)?;
    }
}
