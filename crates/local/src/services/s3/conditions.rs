//! Conditional requests: pure decisions on the current version of an object.
//!
//! Reads follow RFC 9110 §13.2.2. Writes follow
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>: a write condition is judged in
//! the transaction that writes, so of several writers of `If-None-Match: *` one wins.

use http::{HeaderMap, HeaderValue};
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};
use time::OffsetDateTime;

use super::records::VersionRecord;

/// The four conditions of a read or of a copy's source.
#[derive(Debug, Default)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// What a read comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Go,
    NotModified,
    Failed,
}

impl ReadConditions {
    pub(super) fn judge(&self, record: &VersionRecord) -> Verdict {
        let modified = record.modified_millis.div_euclid(1000);
        if let Some(wanted) = &self.if_match {
            if !matches(wanted, &record.etag) {
                return Verdict::Failed;
            }
        } else if let Some(since) = &self.if_unmodified_since
            && modified > seconds(since)
        {
            return Verdict::Failed;
        }
        if let Some(unwanted) = &self.if_none_match {
            if matches(unwanted, &record.etag) {
                return Verdict::NotModified;
            }
        } else if let Some(since) = &self.if_modified_since
            && modified <= seconds(since)
        {
            return Verdict::NotModified;
        }
        Verdict::Go
    }

    /// For a GET or HEAD: 412, or 304 with the validators.
    pub(super) fn check_read(&self, record: &VersionRecord) -> S3Result<()> {
        match self.judge(record) {
            Verdict::Go => Ok(()),
            Verdict::Failed => Err(precondition_failed()),
            Verdict::NotModified => Err(not_modified(record)),
        }
    }

    /// For the source of a copy, where "not modified" is a failure too.
    pub(super) fn check_copy(&self, record: &VersionRecord) -> S3Result<()> {
        if self.judge(record) == Verdict::Go { Ok(()) } else { Err(precondition_failed()) }
    }
}

/// The conditions of a write.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// Takes the headers of a PUT; `If-None-Match` works with `*` alone, as on AWS.
    pub(super) fn of(if_match: Option<ETagCondition>, if_none_match: Option<ETagCondition>) -> S3Result<Self> {
        if if_none_match.as_ref().is_some_and(|condition| !condition.is_any()) {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented: If-None-Match takes only `*` on writes."
            ));
        }
        Ok(WriteConditions { if_match, if_none_match })
    }

    /// Judges on the newest version, which may be a delete marker.
    pub(super) fn check(&self, latest: Option<&VersionRecord>) -> S3Result<()> {
        let present = latest.filter(|record| !record.delete_marker);
        if self.if_none_match.is_some() && present.is_some() {
            return Err(precondition_failed());
        }
        let Some(wanted) = &self.if_match else { return Ok(()) };
        match present {
            None => Err(no_such_key()),
            Some(record) if matches(wanted, &record.etag) => Ok(()),
            Some(_) => Err(precondition_failed()),
        }
    }
}

pub(super) fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

fn not_modified(record: &VersionRecord) -> S3Error {
    let mut error = s3_error!(NotModified, "Not Modified");
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", record.etag)) {
        headers.insert(http::header::ETAG, etag);
    }
    let mut modified = Vec::new();
    let written = timestamp(record.modified_millis).format(s3s::dto::TimestampFormat::HttpDate, &mut modified);
    if let (Ok(()), Ok(value)) = (written, HeaderValue::from_bytes(&modified)) {
        headers.insert(http::header::LAST_MODIFIED, value);
    }
    error.set_status_code(http::StatusCode::NOT_MODIFIED);
    error.set_headers(headers);
    error
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

/// An ETag as answers carry it.
pub(super) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// S3 shows times in whole seconds.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    let time = OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Timestamp::from(time)
}

pub(super) fn seconds(timestamp: &Timestamp) -> i64 {
    OffsetDateTime::from(timestamp.clone()).unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> VersionRecord {
        VersionRecord { etag: "abc".to_owned(), modified_millis: 100_900, ..VersionRecord::default() }
    }

    fn tagged(value: &str) -> Option<ETagCondition> {
        Some(ETagCondition::ETag(etag(value)))
    }

    #[test]
    fn reads_follow_the_precedence_of_rfc_9110() {
        let at = |second: i64| Some(timestamp(second * 1000));
        let cases = [
            (ReadConditions::default(), Verdict::Go),
            (ReadConditions { if_match: tagged("abc"), ..Default::default() }, Verdict::Go),
            (ReadConditions { if_match: tagged("other"), ..Default::default() }, Verdict::Failed),
            (ReadConditions { if_unmodified_since: at(99), ..Default::default() }, Verdict::Failed),
            (ReadConditions { if_unmodified_since: at(100), ..Default::default() }, Verdict::Go),
            (
                ReadConditions { if_match: tagged("abc"), if_unmodified_since: at(99), ..Default::default() },
                Verdict::Go,
            ),
            (ReadConditions { if_none_match: tagged("abc"), ..Default::default() }, Verdict::NotModified),
            (ReadConditions { if_modified_since: at(100), ..Default::default() }, Verdict::NotModified),
            (ReadConditions { if_modified_since: at(99), ..Default::default() }, Verdict::Go),
            (
                ReadConditions { if_none_match: tagged("x"), if_modified_since: at(100), ..Default::default() },
                Verdict::Go,
            ),
        ];
        for (conditions, expected) in cases {
            assert_eq!(conditions.judge(&record()), expected, "{conditions:?}");
        }
    }

    #[test]
    fn writes_see_a_delete_marker_as_nothing() {
        let create_only = WriteConditions { if_none_match: Some(ETagCondition::Any), ..Default::default() };
        let marker = VersionRecord { delete_marker: true, ..record() };
        assert!(create_only.check(None).is_ok());
        assert!(create_only.check(Some(&marker)).is_ok());
        assert_eq!(create_only.check(Some(&record())).unwrap_err().code().as_str(), "PreconditionFailed");
        let swap = WriteConditions { if_match: tagged("abc"), ..Default::default() };
        assert!(swap.check(Some(&record())).is_ok());
        assert_eq!(swap.check(Some(&marker)).unwrap_err().code().as_str(), "NoSuchKey");
    }
}
