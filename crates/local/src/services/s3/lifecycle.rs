//! Lifecycle rules: put, read, removed, and what they decide for one key at one time.
//!
//! Ages are counted as AWS counts them: full days after the event, rounded up to the next midnight UTC.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::Cloud;
use super::bucket_settings::malformed_xml;
use super::conditions::seconds;
use super::records::{Lifecycle, UploadRecord, VersionRecord};

const MOST_RULES: usize = 1000;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// What AWS answers unless told otherwise.
const DEFAULT_MINIMUM_SIZE: &str = "all_storage_classes_128K";

pub(super) async fn get(
    cloud: &Cloud,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<GetBucketLifecycleConfigurationOutput> {
    let set = cloud.bucket(&request.input.bucket).await?.lifecycle;
    let set =
        set.ok_or_else(|| s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist"))?;
    Ok(GetBucketLifecycleConfigurationOutput {
        rules: Some(set.rules),
        transition_default_minimum_object_size: Some(TransitionDefaultMinimumObjectSize::from(
            set.transition_default_minimum_object_size,
        )),
    })
}

pub(super) async fn put(
    cloud: &Cloud,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<PutBucketLifecycleConfigurationOutput> {
    let input = request.input;
    let rules = input.lifecycle_configuration.ok_or_else(malformed_xml)?.rules;
    let rules = checked(rules)?;
    let minimum = input.transition_default_minimum_object_size;
    let minimum = minimum.map_or_else(|| DEFAULT_MINIMUM_SIZE.to_owned(), |minimum| minimum.as_str().to_owned());
    let lifecycle = Lifecycle { rules, transition_default_minimum_object_size: minimum.clone() };
    let alter = cloud.alter_bucket(input.bucket, move |record| {
        record.lifecycle = Some(lifecycle);
        Ok(())
    });
    alter.await?;
    cloud.sweep_due.store(0, Ordering::Relaxed);
    Ok(PutBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: Some(TransitionDefaultMinimumObjectSize::from(minimum)),
    })
}

pub(super) async fn delete(
    cloud: &Cloud,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<DeleteBucketLifecycleOutput> {
    let alter = cloud.alter_bucket(request.input.bucket, |record| {
        record.lifecycle = None;
        Ok(())
    });
    alter.await?;
    Ok(DeleteBucketLifecycleOutput {})
}

/// The rules with an id each, or why they are none.
fn checked(mut rules: Vec<LifecycleRule>) -> S3Result<Vec<LifecycleRule>> {
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(malformed_xml());
    }
    let mut ids = HashSet::new();
    for rule in &mut rules {
        check_rule(rule)?;
        let id = rule.id.get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
        if id.len() > 255 {
            return Err(invalid("ID length should not exceed allowed limit of 255"));
        }
        if !ids.insert(id.clone()) {
            return Err(invalid("Rule ID must be unique. Found same ID for more than one rule"));
        }
    }
    Ok(rules)
}

fn check_rule(rule: &LifecycleRule) -> S3Result<()> {
    if !matches!(rule.status.as_str(), ExpirationStatus::ENABLED | ExpirationStatus::DISABLED) {
        return Err(malformed_xml());
    }
    if rule.filter.is_some() && rule.prefix.is_some() {
        return Err(malformed_xml());
    }
    let moves = rule.transitions.as_ref().is_some_and(|list| !list.is_empty())
        || rule.noncurrent_version_transitions.as_ref().is_some_and(|list| !list.is_empty());
    if moves {
        return Err(s3_error!(
            NotImplemented,
            "the local cloud does not have lifecycle transitions between storage classes"
        ));
    }
    if rule.expiration.is_none()
        && rule.noncurrent_version_expiration.is_none()
        && rule.abort_incomplete_multipart_upload.is_none()
    {
        return Err(s3_error!(InvalidRequest, "At least one action needs to be specified in a rule"));
    }
    if let Some(expiration) = &rule.expiration {
        let given =
            [expiration.days.is_some(), expiration.date.is_some(), expiration.expired_object_delete_marker.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(malformed_xml());
        }
    }
    let days = [
        rule.expiration.as_ref().and_then(|expiration| expiration.days),
        rule.noncurrent_version_expiration.as_ref().and_then(|expiration| expiration.noncurrent_days),
        rule.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation),
    ];
    if days.into_iter().flatten().any(|days| days <= 0) {
        return Err(invalid("'Days' for a lifecycle action must be a positive integer"));
    }
    Ok(())
}

fn invalid(why: &'static str) -> S3Error {
    S3Error::with_message(s3s::S3ErrorCode::InvalidArgument, why)
}

/// What is to be done with a version.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Due {
    /// The current version expires: a delete, which in a versioned bucket makes a delete marker.
    Expire,
    /// This version is removed for good.
    Remove(String),
}

/// What the rules want done now with one key, whose versions come newest first.
pub(super) fn due(rules: &[LifecycleRule], key: &str, versions: &[VersionRecord], now_millis: i64) -> Vec<Due> {
    let mut due = Vec::new();
    for rule in rules.iter().filter(|rule| rule.status.as_str() == ExpirationStatus::ENABLED) {
        for (age, record) in versions.iter().enumerate() {
            let wanted = match age {
                0 => current_due(rule, key, record, versions.len(), now_millis),
                _ => noncurrent_due(rule, key, record, age, &versions[age - 1], now_millis),
            };
            due.extend(wanted.filter(|wanted| !due.contains(wanted)));
        }
    }
    due
}

fn current_due(rule: &LifecycleRule, key: &str, record: &VersionRecord, count: usize, now: i64) -> Option<Due> {
    let expiration = rule.expiration.as_ref()?;
    if record.delete_marker {
        // A marker with nothing behind it is swept by either kind of expiration.
        let old = expiration.days.is_some_and(|days| now >= day_after(record.modified_millis, days));
        let swept = expiration.expired_object_delete_marker == Some(true) || old;
        return (count == 1 && swept && matches_prefix(rule, key))
            .then(|| Due::Remove(record.version_name().to_owned()));
    }
    let by_days = expiration.days.is_some_and(|days| now >= day_after(record.modified_millis, days));
    let by_date = expiration.date.as_ref().is_some_and(|date| now >= seconds(date).saturating_mul(1000));
    ((by_days || by_date) && matches(rule, key, record)).then_some(Due::Expire)
}

fn noncurrent_due(
    rule: &LifecycleRule,
    key: &str,
    record: &VersionRecord,
    age: usize,
    successor: &VersionRecord,
    now: i64,
) -> Option<Due> {
    let expiration = rule.noncurrent_version_expiration.as_ref()?;
    let kept = expiration.newer_noncurrent_versions.and_then(|kept| usize::try_from(kept).ok()).unwrap_or(0);
    let old = expiration.noncurrent_days.is_some_and(|days| now >= day_after(successor.modified_millis, days));
    let applies = if record.delete_marker { matches_prefix(rule, key) } else { matches(rule, key, record) };
    (age > kept && old && applies).then(|| Due::Remove(record.version_name().to_owned()))
}

/// Whether an upload is to be aborted now.
pub(super) fn upload_is_due(rules: &[LifecycleRule], key: &str, upload: &UploadRecord, now_millis: i64) -> bool {
    rules.iter().filter(|rule| rule.status.as_str() == ExpirationStatus::ENABLED).any(|rule| {
        let abort = rule.abort_incomplete_multipart_upload.as_ref();
        let days = abort.and_then(|abort| abort.days_after_initiation);
        days.is_some_and(|days| now_millis >= day_after(upload.initiated_millis, days)) && matches_prefix(rule, key)
    })
}

/// The first midnight that is at least so many days after an event.
fn day_after(millis: i64, days: i32) -> i64 {
    let due = millis.saturating_add(i64::from(days).saturating_mul(DAY_MILLIS));
    due.div_euclid(DAY_MILLIS).saturating_add(i64::from(due.rem_euclid(DAY_MILLIS) > 0)).saturating_mul(DAY_MILLIS)
}

fn matches_prefix(rule: &LifecycleRule, key: &str) -> bool {
    let filter = rule.filter.as_ref();
    let prefixes = [
        rule.prefix.as_deref(),
        filter.and_then(|filter| filter.prefix.as_deref()),
        filter.and_then(|filter| filter.and.as_ref()).and_then(|and| and.prefix.as_deref()),
    ];
    prefixes.into_iter().flatten().all(|prefix| key.starts_with(prefix))
}

fn matches(rule: &LifecycleRule, key: &str, record: &VersionRecord) -> bool {
    if !matches_prefix(rule, key) {
        return false;
    }
    let Some(filter) = &rule.filter else { return true };
    let and = filter.and.as_ref();
    let size = i64::try_from(record.size).unwrap_or(i64::MAX);
    let greater = filter.object_size_greater_than.or_else(|| and.and_then(|and| and.object_size_greater_than));
    let less = filter.object_size_less_than.or_else(|| and.and_then(|and| and.object_size_less_than));
    let mut tags = filter.tag.iter().chain(and.and_then(|and| and.tags.as_ref()).into_iter().flatten());
    greater.is_none_or(|least| size > least)
        && less.is_none_or(|most| size < most)
        && tags.all(|tag| {
            let wanted = (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default());
            record.tags.iter().any(|(key, value)| (key.as_str(), value.as_str()) == wanted)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> LifecycleRule {
        LifecycleRule {
            abort_incomplete_multipart_upload: None,
            expiration: None,
            filter: None,
            id: None,
            noncurrent_version_expiration: None,
            noncurrent_version_transitions: None,
            prefix: None,
            status: ExpirationStatus::from_static(ExpirationStatus::ENABLED),
            transitions: None,
        }
    }

    fn expires(days: i32) -> LifecycleRule {
        LifecycleRule { expiration: Some(LifecycleExpiration { days: Some(days), ..Default::default() }), ..rule() }
    }

    fn version(id: &str, day: i64) -> VersionRecord {
        VersionRecord {
            version_id: Some(id.to_owned()),
            modified_millis: day * DAY_MILLIS + 1,
            ..VersionRecord::default()
        }
    }

    #[test]
    fn days_end_at_the_next_midnight() {
        assert_eq!(day_after(0, 1), DAY_MILLIS);
        assert_eq!(day_after(1, 1), 2 * DAY_MILLIS);
        assert_eq!(day_after(DAY_MILLIS - 1, 3), 4 * DAY_MILLIS);
    }

    #[test]
    fn a_current_version_expires_by_its_own_age() {
        let versions = [version("b", 10), version("a", 1)];
        assert_eq!(due(&[expires(2)], "k", &versions, 13 * DAY_MILLIS - 1), []);
        assert_eq!(due(&[expires(2)], "k", &versions, 13 * DAY_MILLIS), [Due::Expire]);
        let elsewhere = LifecycleRule { prefix: Some("logs/".to_owned()), ..expires(2) };
        assert_eq!(due(&[elsewhere], "k", &versions, 100 * DAY_MILLIS), []);
    }

    #[test]
    fn an_old_version_goes_by_the_age_of_its_successor() {
        let noncurrent = NoncurrentVersionExpiration { newer_noncurrent_versions: Some(1), noncurrent_days: Some(5) };
        let rule = LifecycleRule { noncurrent_version_expiration: Some(noncurrent), ..rule() };
        let versions = [version("d", 30), version("c", 20), version("b", 10), version("a", 1)];
        // `c` is the one that is kept; `b` was replaced on day 20, `a` on day 10.
        assert_eq!(due(std::slice::from_ref(&rule), "k", &versions, 20 * DAY_MILLIS), [Due::Remove("a".to_owned())]);
        let both = [Due::Remove("b".to_owned()), Due::Remove("a".to_owned())];
        assert_eq!(due(&[rule], "k", &versions, 100 * DAY_MILLIS), both);
    }

    #[test]
    fn a_marker_with_nothing_behind_it_is_removed() {
        let expiration = LifecycleExpiration { expired_object_delete_marker: Some(true), ..Default::default() };
        let rule = LifecycleRule { expiration: Some(expiration), ..rule() };
        let marker = VersionRecord { delete_marker: true, ..version("m", 1) };
        let removed = [Due::Remove("m".to_owned())];
        assert_eq!(due(std::slice::from_ref(&rule), "k", std::slice::from_ref(&marker), DAY_MILLIS), removed);
        assert_eq!(due(&[rule], "k", &[marker, version("a", 0)], DAY_MILLIS), []);
    }
}
