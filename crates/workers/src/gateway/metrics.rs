//! `GET /metrics`: what the gateway does, as Prometheus reads it. Counters begin with the process, as Prometheus expects.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::outcome::Outcome;

/// The type of the answer.
pub(super) const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    topic: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct In {
    topic: String,
}

struct UnderWay {
    began: Instant,
    under_way: Gauge,
    seconds: Histogram,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.under_way.dec();
        self.seconds.observe(self.began.elapsed().as_secs_f64());
    }
}

/// What is measured.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Status, Counter>,
    records: Family<Of, Counter>,
    seconds: Histogram,
    /// Connections that are open.
    pub(super) connections: Gauge,
    /// Produce requests whose records are with the producer.
    under_way: Gauge,
    written: Family<In, Gauge<u64, AtomicU64>>,
    committed: Family<In, Gauge<u64, AtomicU64>>,
}

impl Metrics {
    pub(super) fn new() -> Metrics {
        let mut registry = Registry::with_prefix("pinfra_gateway");
        let (requests, records) = (Family::default(), Family::default());
        let seconds = Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        let (connections, under_way) = (Gauge::default(), Gauge::default());
        let (written, committed) = (Family::default(), Family::default());
        registry.register("requests", "Requests by status of the answer", requests.clone());
        registry.register("records", "Records by topic and outcome", records.clone());
        registry.register("produce_seconds", "From a produce request to its answer", seconds.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register("under_way", "Produce requests that wait for the brokers", under_way.clone());
        registry.register("topic_records", "Records that were ever written to a topic", written.clone());
        registry.register("stored_records", "Records of a topic that the connector has stored", committed.clone());
        Metrics { registry, requests, records, seconds, connections, under_way, written, committed }
    }

    /// A request was answered.
    pub(super) fn answered(&self, status: u16) {
        self.requests.get_or_create(&Status { status }).inc();
    }

    /// The records of a request that began then were handed to the producer. It is under way until what this gives is
    /// dropped, which is also when its caller hangs up.
    pub(super) fn sent(&self, began: Instant) -> impl Drop + use<> {
        self.under_way.inc();
        UnderWay { began, under_way: self.under_way.clone(), seconds: self.seconds.clone() }
    }

    /// What became of records of a topic that belongs to a table; all others are one, since callers choose their names.
    pub(super) fn settled(&self, topic: Option<&str>, outcomes: &[Outcome]) {
        let taken = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Taken { .. })).count();
        let topic = topic.unwrap_or("other");
        for (outcome, count) in [("accepted", taken), ("not_accepted", outcomes.len() - taken)] {
            if count > 0 {
                let of = Of { topic: topic.to_owned(), outcome };
                self.records.get_or_create(&of).inc_by(u64::try_from(count).unwrap_or_default());
            }
        }
    }

    /// How a topic stands.
    pub(super) fn stands(&self, topic: &str, written: u64, committed: Option<u64>) {
        let of = In { topic: topic.to_owned() };
        self.written.get_or_create(&of).set(written);
        if let Some(committed) = committed {
            self.committed.get_or_create(&of).set(committed);
        }
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a text takes all that is written to it");
        text
    }
}
