//! Which resource a path names, and what can be done with it.

use std::borrow::Cow;

use hyper::Method;

/// A resource of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/`: nothing, but that it is there.
    Root,
    /// `/health`: whether brokers answer; for anybody.
    Health,
    /// `/metrics`, as Prometheus reads them.
    Metrics,
    /// `/brokers`
    Brokers,
    /// `/topics`
    Topics,
    /// `/topics/{topic}`
    Topic(Cow<'a, str>),
    /// `/topics/{topic}/partitions`
    Partitions(Cow<'a, str>),
    /// `/topics/{topic}/partitions/{partition}`
    Partition(Cow<'a, str>, i32),
    /// `/topics/{topic}/partitions/{partition}/offsets`
    Offsets(Cow<'a, str>, i32),
}

impl Route<'_> {
    /// The resource that a path names.
    pub(super) fn of(path: &str) -> Option<Route<'_>> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let first = segments.next()?;
        let rest: Vec<&str> = segments.collect();
        match (first, rest.as_slice()) {
            ("", []) => Some(Route::Root),
            ("health", []) => Some(Route::Health),
            ("metrics", []) => Some(Route::Metrics),
            ("brokers", []) => Some(Route::Brokers),
            ("topics", []) => Some(Route::Topics),
            ("topics", [topic]) => Some(Route::Topic(name(topic)?)),
            ("topics", [topic, "partitions"]) => Some(Route::Partitions(name(topic)?)),
            ("topics", [topic, "partitions", id]) => Some(Route::Partition(name(topic)?, partition(id)?)),
            ("topics", [topic, "partitions", id, "offsets"]) => Some(Route::Offsets(name(topic)?, partition(id)?)),
            _ => None,
        }
    }

    /// Whether it is a resource that records can be posted to.
    pub(super) fn produces(&self) -> bool {
        matches!(self, Route::Topic(_) | Route::Partition(..))
    }

    /// The methods that it has, as in the header `Allow`.
    pub(super) fn allowed(&self) -> &'static str {
        if self.produces() { "GET, HEAD, POST" } else { "GET, HEAD" }
    }

    /// Whether it has this method.
    pub(super) fn allows(&self, method: &Method) -> bool {
        *method == Method::GET || *method == Method::HEAD || (*method == Method::POST && self.produces())
    }
}

/// Whether a topic can have this name: 1–249 of letters, digits, `.`, `_` and `-`, but neither `.` nor `..`
/// (`org.apache.kafka.common.internals.Topic`).
pub(super) fn is_topic_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    matches!(name.len(), 1..=249) && name != "." && name != ".." && name.bytes().all(known)
}

fn name(segment: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(segment).decode_utf8().ok().filter(|name| !name.is_empty())
}

fn partition(segment: &str) -> Option<i32> {
    segment.bytes().all(|byte| byte.is_ascii_digit()).then(|| segment.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        for (path, route) in [
            ("/", Some(Route::Root)),
            ("/topics", Some(Route::Topics)),
            ("/topics/a.pin", Some(Route::Topic("a.pin".into()))),
            ("/topics/a%2Epin", Some(Route::Topic("a.pin".into()))),
            ("/topics/a/partitions", Some(Route::Partitions("a".into()))),
            ("/topics/a/partitions/7", Some(Route::Partition("a".into(), 7))),
            ("/topics/a/partitions/7/offsets", Some(Route::Offsets("a".into(), 7))),
            ("/brokers", Some(Route::Brokers)),
            ("/health", Some(Route::Health)),
            ("/metrics", Some(Route::Metrics)),
            ("/topics/a/partitions/x", None),
            ("/topics/a/partitions/-1", None),
            ("/topics/a/partitions/99999999999", None),
            ("/topics/a/b", None),
            ("/topics/", None),
            ("/consumers/g", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn topics_are_named_as_in_kafka() {
        assert!(is_topic_name("pinterest.pin-1_x"));
        for name in ["", ".", "..", "a b", "a/b", "ä", &"a".repeat(250)] {
            assert!(!is_topic_name(name), "{name}");
        }
    }
}
