//! A `Range` that is none is as good as absent: S3 answers the whole object (RFC 9110, section 14.2), also for several
//! ranges at once, which it does not have. `s3s` refuses such a header instead.
//!
//! The header is most often signed, so it cannot simply be taken away. The request goes to `s3s` as it is, which says
//! whether it is admitted; only then is it read again, without the header and without the signature, by a service that
//! asks for none.

use http::header::{AUTHORIZATION, RANGE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, Uri, request};
use s3s::service::S3Service;
use s3s::{Body, HttpError};

use super::access::Admission;

/// Whether the request has a `Range` that S3 ignores.
pub(super) fn is_ignored(operation: &str, headers: &HeaderMap) -> bool {
    let ranged = operation == "GetObject" || operation == "HeadObject";
    ranged && headers.get(RANGE).is_some_and(|range| !range.to_str().is_ok_and(is_range))
}

/// One range of bytes, its ends in order.
fn is_range(text: &str) -> bool {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else { return false };
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok());
    match (number(first), number(last)) {
        (Some(Some(first)), Some(Some(last))) => first <= last,
        (Some(Some(_)), Some(None)) => last.is_empty(),
        (Some(None), Some(Some(_))) => first.is_empty(),
        _ => false,
    }
}

/// Answers a GET or HEAD as if it had no `Range`. Neither has a body worth reading.
pub(super) async fn answer_without(
    guarded: &S3Service,
    unguarded: &S3Service,
    mut parts: request::Parts,
) -> Result<Response<Body>, HttpError> {
    let admission = Admission::default();
    let mut asked = Request::from_parts(parts.clone(), Body::empty());
    asked.extensions_mut().insert(admission.clone());
    let refusal = guarded.call(asked).await;
    if !admission.is_granted() {
        return refusal;
    }
    parts.headers.remove(RANGE);
    parts.headers.remove(AUTHORIZATION);
    parts.uri = unsigned(parts.uri);
    unguarded.call(Request::from_parts(parts, Body::empty())).await
}

/// Without what signs a URL, whose presence alone would ask for a check.
fn unsigned(uri: Uri) -> Uri {
    let Some(query) = uri.query() else { return uri };
    let signs = |pair: &&str| {
        let key = pair.split_once('=').map_or(*pair, |(key, _)| key);
        key.to_ascii_lowercase().starts_with("x-amz-") || ["AWSAccessKeyId", "Expires", "Signature"].contains(&key)
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !signs(pair)).collect();
    let path_and_query = PathAndQuery::try_from(format!("{}?{}", uri.path(), kept.join("&")));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path_and_query.ok();
    Uri::from_parts(parts).unwrap_or(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_a_range() {
        for range in ["bytes=0-0", "bytes=3-", "bytes=-5", "bytes=-0", "bytes=0-9223372036854775807"] {
            assert!(is_range(range), "{range}");
        }
        let none = [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "bytes= 0-1",
            "bytes=+1-2",
            "items=0-1",
            "bytes=--1",
            "bytes=0-99999999999999999999",
            "bytes=99999999999999999999-",
        ];
        for none in none {
            assert!(!is_range(none), "{none}");
        }
    }

    #[test]
    fn a_url_loses_its_signature_and_nothing_else() {
        let bare = |uri: &str| unsigned(uri.parse().unwrap()).to_string();
        assert_eq!(bare("/b/k"), "/b/k");
        assert_eq!(bare("/b/k?versionId=a%2Bb&X-Amz-Signature=1&X-Amz-Date=2"), "/b/k?versionId=a%2Bb");
        assert_eq!(bare("http://b.localhost/k?Signature=1&partNumber=2"), "http://b.localhost/k?partNumber=2");
    }
}
