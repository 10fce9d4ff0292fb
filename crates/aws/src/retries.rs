//! What the SDK sends again by itself, where its own judgement is not enough.
//!
//! The SDK tries a request eight times, with jitter, within a budget of retries that all requests of a service share
//! (its *standard* mode): throttles, 500, 502, 503, 504, lost connections. It takes every `LimitExceededException` for a
//! throttle, though it is as often a quota, which no retry changes, and a zone without such machines for a service in trouble,
//! since EC2 says so with status 500; it does not know the header `Retry-After`, which API
//! Gateway sends; and it repeats a create whose answer was lost, which makes a second object where the API has neither unique
//! names nor client tokens.

use std::time::Duration;

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason,
};
use aws_smithy_types::retry::ErrorKind as Retryable;
use pinfra_engine::ErrorKind;
use serde_json::Value;

use crate::error::kind_of;

/// The judgement of every request.
#[derive(Debug)]
pub(crate) struct Refusals;

impl ClassifyRetry for Refusals {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(response) = context.response().filter(|response| !response.status().is_success()) else {
            return RetryAction::NoActionIndicated;
        };
        if is_final(response) {
            return RetryAction::RetryForbidden;
        }
        match retry_after(response) {
            Some(time) => RetryAction::RetryIndicated(RetryReason::RetryableError {
                kind: Retryable::ThrottlingError,
                retry_after: Some(time),
            }),
            None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Quotas, capacity and Retry-After"
    }

    fn priority(&self) -> RetryClassifierPriority {
        last()
    }
}

/// The judgement of a create that the cloud does not know again: it is sent again only when the cloud has refused it.
/// Whether one whose answer was lost had its effect, the engine finds out before it tries again.
#[derive(Debug)]
pub(crate) struct SentOnce;

impl ClassifyRetry for SentOnce {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(response) if response.status().is_client_error() => RetryAction::NoActionIndicated,
            _ => RetryAction::RetryForbidden,
        }
    }

    fn name(&self) -> &'static str {
        "Creates that are not known again"
    }

    fn priority(&self) -> RetryClassifierPriority {
        last()
    }
}

/// After the SDK's own, so that it overrides them.
fn last() -> RetryClassifierPriority {
    RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
}

/// Whether a refusal stays the same however often it is sent: it names a limit of the account, or there is nothing to give.
fn is_final(response: &HttpResponse) -> bool {
    let body = response.body().bytes().unwrap_or_default();
    let (code, message) = match serde_json::from_slice::<Value>(body) {
        Ok(body) => {
            let code = response.headers().get("x-amzn-errortype").or(body["__type"].as_str()).unwrap_or_default();
            let message = body["message"].as_str().or(body["Message"].as_str()).unwrap_or_default();
            // `LimitExceededException:http://…`, or `com.amazonaws…#LimitExceededException`.
            let code = code.rsplit('#').next().and_then(|code| code.split(':').next()).unwrap_or_default();
            (code.to_owned(), message.to_owned())
        }
        Err(_) => (in_xml(body, "Code"), in_xml(body, "Message")),
    };
    let kind = kind_of(&code, &message, response.status().as_u16());
    matches!(kind, ErrorKind::Quota | ErrorKind::Capacity)
}

/// What the first `<name>` holds, as EC2 and IAM answer; empty where there is none.
fn in_xml(body: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(body);
    let inner = text.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once('<'));
    inner.map(|(inner, _)| inner.to_owned()).unwrap_or_default()
}

/// How long a service wants to be left alone (RFC 9110, section 10.2.3; in seconds, as AWS sends it).
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    if ![429, 503].contains(&response.status().as_u16()) {
        return None;
    }
    response.headers().get("retry-after")?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::interceptors::context::Input;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answered(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> InterceptorContext {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        let mut context = InterceptorContext::new(Input::erase("anything"));
        context.set_response(response);
        context
    }

    #[test]
    fn a_quota_is_not_asked_for_again_and_a_rate_is() {
        let kinesis = |message: &'static str| answered(400, &[], message);
        let quota = r#"{"__type":"LimitExceededException","message":"This request would exceed the shard limit"}"#;
        assert_eq!(Refusals.classify_retry(&kinesis(quota)), RetryAction::RetryForbidden);
        let rate = r#"{"__type":"LimitExceededException","message":"Rate exceeded for stream x under account 1."}"#;
        assert_eq!(Refusals.classify_retry(&kinesis(rate)), RetryAction::NoActionIndicated);
        let maximum = r#"{"message":"Maximum number of REST APIs for this account has been reached."}"#;
        let headers =
            [("x-amzn-errortype", "LimitExceededException:http://internal.amazon.com/"), ("retry-after", "3")];
        assert_eq!(Refusals.classify_retry(&answered(429, &headers, maximum)), RetryAction::RetryForbidden);
    }

    #[test]
    fn a_zone_without_machines_is_not_asked_again_and_a_service_in_trouble_is() {
        let full = "<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code><Message>We do not have \
                    sufficient capacity.</Message></Error></Errors></Response>";
        assert_eq!(Refusals.classify_retry(&answered(500, &[], full)), RetryAction::RetryForbidden);
        let trouble = "<Response><Errors><Error><Code>InternalError</Code></Error></Errors></Response>";
        assert_eq!(Refusals.classify_retry(&answered(500, &[], trouble)), RetryAction::NoActionIndicated);
        assert_eq!(Refusals.classify_retry(&answered(500, &[], "")), RetryAction::NoActionIndicated);
    }

    #[test]
    fn retry_after_is_honoured() {
        let action = Refusals.classify_retry(&answered(429, &[("retry-after", "3")], "{}"));
        let RetryAction::RetryIndicated(RetryReason::RetryableError { retry_after, .. }) = action else {
            panic!("{action:?}")
        };
        assert_eq!(retry_after, Some(Duration::from_secs(3)));
        let date = answered(429, &[("retry-after", "Fri, 31 Dec 2027 23:59:59 GMT")], "{}");
        assert_eq!(Refusals.classify_retry(&date), RetryAction::NoActionIndicated);
    }

    #[test]
    fn what_may_have_had_its_effect_is_not_sent_again_unseen() {
        assert_eq!(SentOnce.classify_retry(&answered(429, &[], "{}")), RetryAction::NoActionIndicated);
        assert_eq!(SentOnce.classify_retry(&answered(500, &[], "{}")), RetryAction::RetryForbidden);
        let lost = InterceptorContext::new(Input::erase("anything"));
        assert_eq!(SentOnce.classify_retry(&lost), RetryAction::RetryForbidden);
    }
}
