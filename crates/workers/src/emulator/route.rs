//! The two ways that an event can take into the cloud. Each has requests, outcomes and counters of its own.

use serde::{Deserialize, Serialize};

/// A way into the cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Route {
    /// Through the API into a Kinesis stream.
    #[default]
    Stream,
    /// Through the API and the gateway into a Kafka topic.
    Kafka,
}

impl Route {
    /// Both; a route stands at the place that it has as a number.
    pub(super) const ALL: [Route; 2] = [Route::Stream, Route::Kafka];

    /// Those that are taken by what goes to a stream, to a topic, or to both.
    pub(super) fn taken(stream: bool, topic: bool) -> impl Iterator<Item = Route> {
        [stream.then_some(Route::Stream), topic.then_some(Route::Kafka)].into_iter().flatten()
    }

    /// The names of its counters: emitted, accepted, refused, retried, unknown.
    pub(super) fn counters(self) -> [&'static str; 5] {
        match self {
            Route::Stream => ["emitted", "accepted", "refused", "retried", "unknown"],
            Route::Kafka => ["kafka_emitted", "kafka_accepted", "kafka_refused", "kafka_retried", "kafka_unknown"],
        }
    }

    /// Where it leads to.
    pub(super) fn end(self) -> &'static str {
        match self {
            Route::Stream => "streams",
            Route::Kafka => "Kafka",
        }
    }

    /// Whether this is the default, which the journal leaves out.
    pub(super) fn is_stream(&self) -> bool {
        *self == Route::Stream
    }
}
