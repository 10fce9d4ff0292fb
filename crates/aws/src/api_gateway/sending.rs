//! What changes are sent in: creates that are sent once, and patches.

use aws_sdk_apigateway::config::Builder;
use aws_sdk_apigateway::types::{Op, PatchOperation};

use crate::retries::SentOnce;

/// The configuration of a create that API Gateway does not know again: names of APIs, keys, plans and deployments are not
/// unique, and there is no client token, so a second request would make a second object. See [`SentOnce`].
pub(super) fn sent_once() -> Builder {
    Builder::new().retry_classifier(SentOnce)
}

/// One patch operation; `None` as value is for `remove`.
pub(super) fn patch(op: Op, path: impl Into<String>, value: Option<&str>) -> PatchOperation {
    PatchOperation::builder().op(op).path(path).set_value(value.map(str::to_owned)).build()
}

/// A segment of a patch's path.
pub(super) fn escaped(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_escaped() {
        assert_eq!(escaped("application/json~x"), "application~1json~0x");
    }
}
