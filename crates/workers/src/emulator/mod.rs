//! The event emulator: posts source rows to the API, as the people would whose posts they are.
//!
//! An *event* of the emulator is one row number, drawn at random; the rows of that number in all tables are posted, each
//! to its stream. The rate and the count of its config are of posts, all tables together: 3 a second over three tables
//! is one row number a second.
//!
//! ```text
//! feed (draws numbers, reads rows) ─ a few posts ─► pace ─ a free slot ─► journal ─► delivery ⟲ ─► journal
//! ```
//!
//! Nothing queues but the few posts that are read ahead, so memory is bounded at any rate: an API that is slower than
//! the rate makes the emulator lag. What is told is what the journal says.

mod answer;
mod api;
mod deliver;
mod desk;
mod feed;
mod journal;
mod pace;
mod single;
mod source;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::api::Api;
use self::deliver::deliver;
use self::desk::Desk;
use self::journal::{Journal, Post};
use self::pace::Pace;
pub use self::single::{Attempt, SinglePoster};
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
    let api = Api::new(&config.api, width)?;
    let names: Vec<&str> = config.tables.iter().map(|table| table.name.as_str()).collect();
    let journal = Journal::open(folder, &names, teller.clone())?;
    let (next, unfinished) = (journal.next(), journal.unfinished());
    say(&format!("{next} events so far, {} of them without an outcome", unfinished.len()));
    let desk = Arc::new(Desk::new(api, journal, teller, stop));
    let (sender, posts) = mpsc::channel(feed::WAITING);
    let feed = feed::feed(config.clone(), folder.to_owned(), desk.clone(), next, sender);
    let _feed = AbortOnDropHandle::new(tokio::spawn(feed));
    let slots = Arc::new(Semaphore::new(width));
    let told = tell(&desk, &slots, config.rate);
    let mut deliveries = JoinSet::new();
    tokio::select! {
        done = post(&config, &desk, &slots, unfinished, posts, &mut deliveries) => done?,
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

/// Starts deliveries until it is to stop.
async fn post(
    config: &EmulatorConfig,
    desk: &Arc<Desk>,
    slots: &Arc<Semaphore>,
    unfinished: Vec<Arc<Post>>,
    mut posts: mpsc::Receiver<Arc<Post>>,
    deliveries: &mut JoinSet<std::io::Result<()>>,
) -> Result<(), EmulatorError> {
    let mut unfinished = unfinished.into_iter();
    let mut pace = Pace::new(config.rate, config.burst, Duration::from_secs(u64::from(config.ramp_seconds)));
    let started = Instant::now();
    loop {
        while let Some(done) = deliveries.try_join_next() {
            done??;
        }
        let Some(Ok(slot)) = unless(&desk.stop, slots.clone().acquire_owned()).await else { return Ok(()) };
        let post = match unfinished.next() {
            Some(post) => {
                desk.journal().again(post.number)?;
                post
            }
            None if config.count.is_some_and(|count| desk.journal().next() >= count) => break,
            None => {
                while let Err(wait) = pace.take(started.elapsed()) {
                    if unless(&desk.stop, tokio::time::sleep(wait)).await.is_none() {
                        return Ok(());
                    }
                }
                let Some(Some(post)) = unless(&desk.stop, posts.recv()).await else { return Ok(()) };
                desk.journal().emitted(post.clone())?;
                post
            }
        };
        let delivery = deliver(desk.clone(), post);
        deliveries.spawn(async move {
            let _slot = slot;
            delivery.await
        });
    }
    drop(posts);
    while let Some(done) = unless(&desk.stop, deliveries.join_next()).await.flatten() {
        done??;
    }
    if desk.journal().under_way() == 0 {
        desk.finished(desk.journal().next());
    }
    desk.stop.cancelled().await;
    Ok(())
}

/// What `future` gives, or nothing once `stop` is cancelled.
async fn unless<T>(stop: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        done = future => Some(done),
    }
}

/// Says every second how it is going, for ever.
async fn tell(desk: &Desk, slots: &Semaphore, rate: f64) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        desk.tell(rate, slots.available_permits() == 0);
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
    Ok(())
}
