//! The request paths of rest-json operations: patterns such as `/v1/clusters/{clusterArn}/topics`, and matching.
//!
//! Matching is done on the raw path, segment by segment, and only then is a segment decoded: an ARN arrives as
//! one segment with `%2F` and `%3A` in it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A path with places for labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathPattern {
    segments: Vec<Segment>,
    /// Keys, and values where there are some, that the query string must have.
    query: Vec<(String, Option<String>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Label(String),
    /// Takes the rest of the path: `{key+}`.
    Greedy(String),
}

/// What the labels of a path stand for, decoded.
pub(crate) type Labels = Vec<(String, String)>;

impl PathPattern {
    pub(crate) fn parse(uri: &str) -> PathPattern {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let segments = path.trim_start_matches('/').split('/').map(segment).collect();
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(query_literal).collect();
        PathPattern { segments, query }
    }

    /// The labels, when the raw path and the decoded pairs of the query fit.
    pub(crate) fn matches(&self, raw_path: &str, query: &[(String, String)]) -> Option<Labels> {
        let mut labels = Labels::new();
        let mut rest = raw_path.strip_prefix('/').unwrap_or(raw_path).split('/');
        for segment in &self.segments {
            let raw = rest.next()?;
            match segment {
                Segment::Literal(text) => {
                    // A client may encode more than it has to, so the decoded text decides.
                    if raw != text && decode(raw)? != text.as_str() {
                        return None;
                    }
                }
                // An empty label would name the parent: `/restapis/` is not one API.
                Segment::Label(_) if raw.is_empty() => return None,
                Segment::Label(name) => labels.push((name.clone(), decode(raw)?.into_owned())),
                Segment::Greedy(name) => {
                    let mut whole = raw.to_owned();
                    for more in rest.by_ref() {
                        whole.push('/');
                        whole.push_str(more);
                    }
                    labels.push((name.clone(), decode(&whole)?.into_owned()));
                }
            }
        }
        if rest.next().is_some() {
            return None;
        }
        let literal = |(key, value): &(String, Option<String>)| {
            query.iter().any(|(k, v)| k == key && value.as_ref().is_none_or(|value| value == v))
        };
        self.query.iter().all(literal).then_some(labels)
    }

    /// Of two patterns that fit, the one with more literals is meant.
    pub(crate) fn literals(&self) -> usize {
        self.query.len() + self.segments.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count()
    }
}

fn segment(text: &str) -> Segment {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        None => Segment::Literal(text.to_owned()),
        Some(label) => match label.strip_suffix('+') {
            Some(label) => Segment::Greedy(label.to_owned()),
            None => Segment::Label(label.to_owned()),
        },
    }
}

fn query_literal(pair: &str) -> (String, Option<String>) {
    match pair.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (pair.to_owned(), None),
    }
}

fn decode(raw: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(raw).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_arn_is_one_segment() {
        let pattern = PathPattern::parse("/v1/clusters/{clusterArn}/topics/{topicName}");
        let labels = pattern.matches("/v1/clusters/arn%3Aaws%3Akafka%3A%3A1%3Acluster%2Fpins%2Fab/topics/a%20b", &[]);
        let expected = [("clusterArn", "arn:aws:kafka::1:cluster/pins/ab"), ("topicName", "a b")];
        assert_eq!(labels.unwrap(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let pattern = PathPattern::parse("/restapis/{id}");
        for path in ["/restapis", "/restapis/", "/restapis/a/b", "/other/a", "/restapis/%ff"] {
            assert_eq!(pattern.matches(path, &[]), None, "{path}");
        }
    }

    #[test]
    fn greedy_labels_and_query_literals() {
        let pattern = PathPattern::parse("/objects/{key+}?mode=import&x");
        let query = [("mode".to_owned(), "import".to_owned()), ("x".to_owned(), String::new())];
        assert_eq!(pattern.matches("/objects/a/b%2Fc", &query).unwrap(), [("key".to_owned(), "a/b/c".to_owned())]);
        assert_eq!(pattern.matches("/objects/a", &query[1..]), None);
        assert_eq!(pattern.literals(), 3);
    }
}
