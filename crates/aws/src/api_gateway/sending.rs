//! Calls that need more than the SDK's retries.

use aws_sdk_apigateway::config::Builder;
use aws_sdk_apigateway::config::retry::RetryConfig;
use aws_sdk_apigateway::types::{Op, PatchOperation};
use pinfra_engine::{CloudError, ErrorKind};

use crate::wait::delays;

/// The configuration of a create that must not be sent twice unseen.
pub(super) fn unretried() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

/// Sends a create that AWS does not know again: names of APIs, keys, plans and deployments are not unique, so a second request would make
/// a second object. After an answer that may have been lost, what it left is looked for before the next try.
pub(super) async fn create_once<S, F>(
    mut send: impl FnMut() -> S,
    mut find: impl FnMut() -> F,
) -> Result<String, CloudError>
where
    S: Future<Output = Result<String, CloudError>>,
    F: Future<Output = Result<Option<String>, CloudError>>,
{
    let mut delays = delays();
    loop {
        let error = match send().await {
            Ok(id) => return Ok(id),
            Err(error) => error,
        };
        let may_pass = matches!(
            error.kind,
            ErrorKind::Throttled | ErrorKind::Unreachable | ErrorKind::Conflict | ErrorKind::Other
        );
        let Some(delay) = delays.next().filter(|_| may_pass) else { return Err(error) };
        tokio::time::sleep(delay).await;
        if let Some(id) = find().await? {
            return Ok(id);
        }
    }
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
    use std::cell::Cell;

    use super::*;

    fn failed(kind: ErrorKind) -> CloudError {
        CloudError::new(kind, "test", "")
    }

    #[tokio::test(start_paused = true)]
    async fn a_create_whose_answer_was_lost_is_not_sent_again() {
        let sent = Cell::new(0);
        let send = || {
            sent.set(sent.get() + 1);
            std::future::ready(Err(failed(ErrorKind::Unreachable)))
        };
        let created = create_once(send, || std::future::ready(Ok(Some("a1".to_owned())))).await;
        assert_eq!((created, sent.get()), (Ok("a1".to_owned()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_create_that_never_arrived_is_sent_again_and_a_refused_one_is_not() {
        let sent = Cell::new(0);
        let send = || {
            sent.set(sent.get() + 1);
            let throttled = sent.get() < 3;
            std::future::ready(if throttled { Err(failed(ErrorKind::Throttled)) } else { Ok("a2".to_owned()) })
        };
        assert_eq!(create_once(send, || std::future::ready(Ok(None))).await, Ok("a2".to_owned()));
        assert_eq!(sent.get(), 3);
        let refused =
            create_once(|| std::future::ready(Err(failed(ErrorKind::Invalid))), || std::future::ready(Ok(None)));
        assert_eq!(refused.await.unwrap_err().kind, ErrorKind::Invalid);
    }

    #[test]
    fn segments_are_escaped() {
        assert_eq!(escaped("application/json~x"), "application~1json~0x");
    }
}
