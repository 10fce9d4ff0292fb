//! The event emulator: posts source rows to the API, as the people would whose posts they are.
//!
//! An *event* of the emulator is one row number, drawn at random; the rows of that number in all tables are posted, each
//! on every route that its table has: to its Kinesis stream, to its Kafka topic, or to both. The rate and the count of its
//! config are of posts, all tables together, each counted once for all its routes: 3 a second over three tables is one row
//! number a second.
//!
//! ```text
//! feed (draws numbers, reads rows) ─ a few posts ─► pace ─► journal ─┬─ a free slot ─► journal ─► delivery ⟲ ─► journal
//!                                                                    └─ the same on the other route
//! ```
//!
//! Nothing queues but the few posts that are read ahead and, while one route is slower than the other or away, what waits
//! for it, up to a bound ([`lanes`]): memory is bounded at any rate, and an API that is slower than the rate makes the
//! emulator lag. A route that is away neither loses events nor stops the other. What is told is what the journal says.

mod answer;
mod api;
mod deliver;
mod desk;
mod dispatch;
mod feed;
mod journal;
mod lanes;
mod offsets;
mod pace;
mod route;
mod single;
mod source;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use self::answer::Receipt;
use self::api::Api;
use self::desk::Desk;
use self::dispatch::{Deliveries, dispatch};
use self::journal::{Journal, Post};
use self::lanes::Lanes;
use self::route::Route;
pub use self::single::{Attempt, Destination, SinglePoster};
use crate::config::EmulatorConfig;
use crate::log::say;
use crate::report::Teller;

/// How long what is under way may take to finish when the emulator is to stop: less than the agent's 5 s.
const GRACE: Duration = Duration::from_secs(4);

/// Why the emulator cannot run. What may pass by itself is none of these: the emulator stays, says so in its report and
/// tries again.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// A setting makes no sense.
    #[error("the emulator's `{setting}` {problem}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The URL of the API is none.
    #[error("the API's URL `{url}` cannot be used: {reason}")]
    ApiUrl {
        /// It.
        url: String,
        /// Why.
        reason: String,
    },
    /// No HTTP client can be made.
    #[error("cannot make an HTTP client: {0}")]
    Http(String),
    /// The journal cannot be read or written, so nothing may be sent.
    #[error("cannot use the emulator's journal: {0}")]
    Journal(#[from] std::io::Error),
    /// A bug.
    #[error("a delivery ended unexpectedly: {0}")]
    Delivery(#[from] JoinError),
}

/// Posts events until `stop`; with a `count`, stays and goes on reporting once that many were posted, over all restarts.
/// The journal and a fetched source file are kept in `folder`. Serving the report is the caller's part.
pub async fn run(
    config: EmulatorConfig,
    folder: &Path,
    teller: Teller,
    stop: CancellationToken,
) -> Result<(), EmulatorError> {
    check(&config)?;
    // Another may have been installed already, by the program that this runs in.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let width = config.concurrency as usize;
    let used = used(&config);
    let api = Api::new(&config.api, width * used.len())?;
    let journal = Journal::open(folder, &config.tables, teller.clone())?;
    let (next, unfinished) = (journal.next(), journal.unfinished());
    say(&format!("{next} events so far, {} of them without an outcome", journal.under_way()));
    let desk = Arc::new(Desk::new(api, journal, teller, stop, used.clone()));
    let lanes = left_over(&desk, Lanes::new(width, used.iter().copied()), &used, unfinished)?;
    let (sender, posts) = mpsc::channel(feed::WAITING);
    let feed = feed::feed(config.clone(), folder.to_owned(), desk.clone(), next, sender);
    let _feed = AbortOnDropHandle::new(tokio::spawn(feed));
    let told = tell(&desk, config.rate);
    let mut deliveries = Deliveries::new();
    tokio::select! {
        done = dispatch(&config, &desk, lanes, posts, &mut deliveries) => done?,
        () = told => {}
    }
    let finish = async {
        while let Some(done) = deliveries.join_next().await {
            done??;
        }
        Ok::<_, EmulatorError>(())
    };
    if let Ok(done) = tokio::time::timeout(GRACE, finish).await {
        done?;
    }
    deliveries.shutdown().await;
    desk.journal().compact()?;
    say(&format!("stopped; {} events without an outcome are kept", desk.journal().under_way()));
    Ok(())
}

/// The routes that events of any table take.
fn used(config: &EmulatorConfig) -> Vec<Route> {
    let takes = |route: &Route| {
        config.tables.iter().any(|table| match route {
            Route::Stream => table.stream.is_some(),
            Route::Kafka => table.topic.is_some(),
        })
    };
    Route::ALL.into_iter().filter(takes).collect()
}

/// Puts what an earlier run left into its lanes. Events for a route that the stack has no more are refused: nobody would
/// ever take them.
fn left_over(
    desk: &Desk,
    mut lanes: Lanes,
    used: &[Route],
    unfinished: Vec<(Arc<Post>, Route)>,
) -> std::io::Result<Lanes> {
    for (post, route) in unfinished {
        if used.contains(&route) {
            lanes.push(post, route);
        } else {
            desk.refused(&post, route, &format!("the stack has no {} any more", route.end()))?;
        }
    }
    Ok(lanes)
}

/// Says every second how it is going, for ever.
async fn tell(desk: &Desk, rate: f64) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        desk.tell(rate);
    }
}

fn check(config: &EmulatorConfig) -> Result<(), EmulatorError> {
    let wrong = |setting, problem: &str| Err(EmulatorError::Setting { setting, problem: problem.to_owned() });
    if !(config.rate.is_finite() && config.rate > 0.0) {
        return wrong("rate", "is not above 0");
    }
    if config.concurrency == 0 {
        return wrong("concurrency", "is 0, so nothing could be sent");
    }
    if config.tables.is_empty() {
        return wrong("tables", "are none, so there is nothing to send");
    }
    if let Some(table) = config.tables.iter().find(|table| table.stream.is_none() && table.topic.is_none()) {
        return wrong("tables", &format!("have `{}`, which has neither a stream nor a topic", table.name));
    }
    Ok(())
}
