//! The lines of the journal, among them those that an older emulator wrote, which knew streams alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::route::Route;

/// An event as it is posted.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::emulator) struct Post {
    /// Posts are numbered from 0 on over all restarts.
    pub(in crate::emulator) number: u64,
    /// The stack's name of its table.
    pub(in crate::emulator) table: String,
    /// The Kinesis stream that takes it, where it goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) stream: Option<String>,
    /// The Kafka topic that takes it, where it goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) topic: Option<String>,
    /// In the stream; in the topic it has no key.
    pub(in crate::emulator) partition_key: String,
    /// The row, as JSON.
    pub(in crate::emulator) data: Box<RawValue>,
}

impl Post {
    /// The ways that it takes.
    pub(in crate::emulator) fn routes(&self) -> impl Iterator<Item = Route> {
        Route::taken(self.stream.is_some(), self.topic.is_some())
    }
}

/// What became of a table's events on one route so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::emulator) struct Counts {
    /// Events that were sent, or are to be.
    pub(in crate::emulator) emitted: u64,
    /// Events that the API took.
    pub(in crate::emulator) accepted: u64,
    /// Events that the API will not take.
    pub(in crate::emulator) refused: u64,
    /// Attempts after the first of an event.
    pub(in crate::emulator) retried: u64,
    /// Attempts whose effect was never learnt.
    pub(in crate::emulator) unknown: u64,
}

/// Counts by table.
pub(super) type Tables = BTreeMap<String, Counts>;

/// Where an event without an outcome stands on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stand {
    /// It has not left yet.
    Waiting,
    /// An attempt is under way.
    Sent,
    /// An attempt failed, and another is to be made.
    Failed,
}

/// Where an event stands on each route, by the route's number; nothing where it has an outcome or never goes.
pub(super) type Ways = [Option<Stand>; 2];

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// The first line: all that was before.
    Snapshot {
        next: u64,
        /// Of the streams.
        counts: Tables,
        #[serde(default)]
        kafka: Tables,
    },
    /// After a snapshot: an event that was open then.
    Waits {
        post: Arc<Post>,
        ways: Ways,
    },
    /// An event was drawn, and is to leave on all its routes.
    Drawn(Arc<Post>),
    /// An attempt leaves.
    Leaves(Mark),
    /// An attempt failed; it may have had an effect.
    Failed {
        number: u64,
        unknown: bool,
        #[serde(default, skip_serializing_if = "Route::is_stream")]
        route: Route,
    },
    Accepted(Mark),
    Refused(Mark),
    /// Not written any more: `Waits`, on the stream.
    Open {
        post: Arc<Post>,
        sent: bool,
    },
    /// Not written any more: `Drawn`, and the first attempt leaves.
    Emitted(Arc<Post>),
    /// Not written any more: another attempt leaves.
    Again(u64),
}

/// An event on one route: `7` on the stream, as it always was, and `[7,"kafka"]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub(super) struct Mark {
    pub(super) number: u64,
    pub(super) route: Route,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    OnStream(u64),
    On(u64, Route),
}

impl From<Written> for Mark {
    fn from(written: Written) -> Mark {
        match written {
            Written::OnStream(number) => Mark { number, route: Route::Stream },
            Written::On(number, route) => Mark { number, route },
        }
    }
}

impl From<Mark> for Written {
    fn from(Mark { number, route }: Mark) -> Written {
        match route {
            Route::Stream => Written::OnStream(number),
            Route::Kafka => Written::On(number, route),
        }
    }
}
