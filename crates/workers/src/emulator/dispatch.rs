//! The loop that owns what is under way: it draws events at their pace, starts deliveries and hears how they end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::EmulatorError;
use super::deliver::deliver;
use super::desk::Desk;
use super::journal::Post;
use super::lanes::Lanes;
use super::pace::Pace;
use super::route::Route;
use crate::config::EmulatorConfig;

/// Deliveries that are under way, each on its route.
pub(super) type Deliveries = JoinSet<io::Result<Route>>;

/// Starts deliveries until it is to stop: of what an earlier run left in `lanes` first, then of what is drawn.
pub(super) async fn dispatch(
    config: &EmulatorConfig,
    desk: &Arc<Desk>,
    mut lanes: Lanes,
    posts: mpsc::Receiver<Arc<Post>>,
    deliveries: &mut Deliveries,
) -> Result<(), EmulatorError> {
    let mut source = Source::new(config, posts);
    loop {
        while let Some((post, route)) = lanes.start() {
            desk.journal().leaves(post.number, route)?;
            let delivery = deliver(desk.clone(), post, route);
            deliveries.spawn(async move { delivery.await.map(|()| route) });
        }
        desk.sees(&lanes);
        let all_drawn = config.count.is_some_and(|count| desk.journal().next() >= count);
        if all_drawn && lanes.are_idle() {
            break;
        }
        let may_draw = !all_drawn && lanes.may_draw();
        tokio::select! {
            biased;
            () = desk.stop.cancelled() => return Ok(()),
            Some(ended) = deliveries.join_next() => lanes.ended(ended??),
            post = source.next(), if may_draw => {
                let Some(post) = post else { return Ok(()) };
                desk.journal().drawn(post.clone())?;
                for route in post.routes() {
                    lanes.push(post.clone(), route);
                }
            }
        }
    }
    desk.finished(desk.journal().next());
    desk.stop.cancelled().await;
    Ok(())
}

/// Events at their pace.
struct Source {
    posts: mpsc::Receiver<Arc<Post>>,
    pace: Pace,
    started: Instant,
    /// Has been read and waits for its time.
    read: Option<Arc<Post>>,
}

impl Source {
    fn new(config: &EmulatorConfig, posts: mpsc::Receiver<Arc<Post>>) -> Source {
        let pace = Pace::new(config.rate, config.burst, Duration::from_secs(u64::from(config.ramp_seconds)));
        Source { posts, pace, started: Instant::now(), read: None }
    }

    /// The next event, when its time has come. Nothing is lost when this is given up.
    async fn next(&mut self) -> Option<Arc<Post>> {
        if self.read.is_none() {
            self.read = Some(self.posts.recv().await?);
        }
        while let Err(wait) = self.pace.take(self.started.elapsed()) {
            tokio::time::sleep(wait).await;
        }
        self.read.take()
    }
}
