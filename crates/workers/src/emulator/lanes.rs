//! What leaves next: a lane for each route, with slots for requests that are under way and a queue of what waits for one.
//!
//! An event is drawn when it can leave at once on some route, so routes that are all slow make the emulator lag and
//! nothing piles up. Where one route is slower than the other, or away, its events wait in its queue, up to
//! [`FAR`] of them or [`FAR_BYTES`]; from there on the other route is held up with it until there is room again. What waits is
//! in the journal too, so a restart loses none of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::journal::Post;
use super::route::Route;

/// So many events may wait for a route: at the usual few a second the hours that an outage may take.
pub(super) const FAR: usize = 10_000;
/// The same in bytes of their rows and of what keeps them.
const FAR_BYTES: usize = 16 << 20;
/// What an event takes beside its row, about.
const OVERHEAD: usize = 300;

/// The lanes of all routes.
#[derive(Debug)]
pub(super) struct Lanes {
    /// By the route's number.
    lanes: [Lane; 2],
    /// Requests that may be under way on a route.
    width: usize,
}

#[derive(Debug, Default)]
struct Lane {
    /// Whether events go this way at all.
    used: bool,
    running: usize,
    waiting: VecDeque<Arc<Post>>,
    bytes: usize,
}

impl Lane {
    fn is_far_behind(&self) -> bool {
        self.waiting.len() >= FAR || self.bytes >= FAR_BYTES
    }
}

impl Lanes {
    /// Lanes of `width` for the routes that are used.
    pub(super) fn new(width: usize, used: impl IntoIterator<Item = Route>) -> Lanes {
        let mut lanes: [Lane; 2] = Default::default();
        for route in used {
            lanes[route as usize].used = true;
        }
        Lanes { lanes, width }
    }

    /// An event is to leave on `route` when there is a slot.
    pub(super) fn push(&mut self, post: Arc<Post>, route: Route) {
        let lane = &mut self.lanes[route as usize];
        lane.bytes += size(&post);
        lane.waiting.push_back(post);
    }

    /// An event that leaves now; its slot is taken.
    pub(super) fn start(&mut self) -> Option<(Arc<Post>, Route)> {
        for route in Route::ALL {
            let lane = &mut self.lanes[route as usize];
            if lane.running >= self.width {
                continue;
            }
            let Some(post) = lane.waiting.pop_front() else { continue };
            lane.bytes -= size(&post);
            lane.running += 1;
            return Some((post, route));
        }
        None
    }

    /// An event has left its slot.
    pub(super) fn ended(&mut self, route: Route) {
        self.lanes[route as usize].running -= 1;
    }

    /// Whether another event may be drawn: it can leave at once on some route, and no route is too far behind.
    pub(super) fn may_draw(&self) -> bool {
        let free = |lane: &Lane| lane.used && lane.running < self.width && lane.waiting.is_empty();
        self.lanes.iter().any(free) && !self.lanes.iter().any(Lane::is_far_behind)
    }

    /// Whether nothing is under way and nothing waits.
    pub(super) fn are_idle(&self) -> bool {
        self.lanes.iter().all(|lane| lane.running == 0 && lane.waiting.is_empty())
    }

    /// Whether a route has no slot left.
    pub(super) fn is_full(&self, route: Route) -> bool {
        self.lanes[route as usize].running >= self.width
    }

    /// How many events wait for a slot of a route.
    pub(super) fn waiting(&self, route: Route) -> usize {
        self.lanes[route as usize].waiting.len()
    }
}

fn size(post: &Post) -> usize {
    post.data.get().len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn post(number: u64, size: usize) -> Arc<Post> {
        let data = RawValue::from_string(format!("\"{}\"", "a".repeat(size))).unwrap();
        let (stream, topic) = (Some("s".to_owned()), Some("t".to_owned()));
        Arc::new(Post { number, table: "pin".into(), stream, topic, partition_key: "1".into(), data })
    }

    /// Starts all that may leave, and frees the stream's slots at once: Kafka answers nothing.
    fn go_on(lanes: &mut Lanes) {
        while let Some((_, route)) = lanes.start() {
            if route == Route::Stream {
                lanes.ended(route);
            }
        }
    }

    /// Draws for as long as it may.
    fn draw(lanes: &mut Lanes, size: usize) -> usize {
        for number in 0.. {
            go_on(lanes);
            if !lanes.may_draw() {
                return number as usize;
            }
            for route in Route::ALL {
                lanes.push(post(number, size), route);
            }
        }
        0
    }

    #[test]
    fn a_route_that_is_away_is_waited_for_at_last() {
        let mut lanes = Lanes::new(4, Route::ALL);
        assert_eq!(draw(&mut lanes, 1), FAR + 4);
        assert_eq!((lanes.waiting(Route::Stream), lanes.waiting(Route::Kafka)), (0, FAR));
        assert!(!lanes.are_idle());
        // It answers again: in their order, and the other route goes on.
        lanes.ended(Route::Kafka);
        let (first, route) = lanes.start().unwrap();
        assert_eq!((first.number, route), (4, Route::Kafka));
        assert!(lanes.may_draw());
    }

    #[test]
    fn large_rows_are_fewer() {
        let mut lanes = Lanes::new(4, Route::ALL);
        let drawn = draw(&mut lanes, 1 << 20);
        assert!((16..=4 + 17).contains(&drawn), "{drawn}");
    }

    #[test]
    fn routes_that_are_all_busy_let_nothing_pile_up() {
        let mut lanes = Lanes::new(3, [Route::Stream]);
        let mut drawn = 0;
        while lanes.may_draw() {
            lanes.push(post(drawn, 1), Route::Stream);
            while lanes.start().is_some() {}
            drawn += 1;
        }
        assert_eq!((drawn, lanes.waiting(Route::Stream), lanes.is_full(Route::Stream)), (3, 0, true));
        lanes.ended(Route::Stream);
        assert!(lanes.may_draw());
    }
}
