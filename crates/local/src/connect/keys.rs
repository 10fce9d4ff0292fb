//! Every key of a connector's configuration that is known here, and what is done with it.
//!
//! A key that would change what the connector does on AWS and is not honoured here is refused, never ignored. A few keys
//! tune a real worker without changing what it writes; those are taken.

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It does what it does on AWS.
    Honoured,
    /// It changes the pace of a real connector, never its objects.
    Tuning,
    /// It is known, and only these values of it are there.
    Only(&'static [&'static str]),
}

use Use::{Honoured, Only, Tuning};

const NO: Use = Only(&["false"]);
const UNSET: Use = Only(&[""]);

/// The keys, by family.
pub(super) const KEYS: &[(&str, Use)] = &[
    // Apache Kafka Connect
    ("behavior.on.null.values", Honoured),
    ("config.action.reload", Tuning),
    ("connector.class", Honoured),
    ("errors.deadletterqueue.context.headers.enable", Honoured),
    ("errors.deadletterqueue.topic.name", Honoured),
    ("errors.deadletterqueue.topic.replication.factor", Honoured),
    ("errors.log.enable", Honoured),
    ("errors.log.include.messages", Honoured),
    ("errors.retry.delay.max.ms", Tuning),
    ("errors.retry.timeout", Tuning),
    ("errors.tolerance", Honoured),
    (
        "header.converter",
        Only(&[
            "org.apache.kafka.connect.storage.SimpleHeaderConverter",
            "org.apache.kafka.connect.storage.StringConverter",
            "org.apache.kafka.connect.converters.ByteArrayConverter",
        ]),
    ),
    ("key.converter", Honoured),
    ("key.converter.schemas.cache.size", Tuning),
    ("key.converter.schemas.enable", Honoured),
    ("name", Honoured),
    ("predicates", UNSET),
    ("tasks.max", Honoured),
    ("tasks.max.enforce", Tuning),
    ("topics", Honoured),
    ("topics.regex", Honoured),
    ("transforms", UNSET),
    ("value.converter", Honoured),
    ("value.converter.schemas.cache.size", Tuning),
    ("value.converter.schemas.enable", Honoured),
    // Its consumer
    ("consumer.override.auto.offset.reset", Honoured),
    ("consumer.override.fetch.max.bytes", Tuning),
    ("consumer.override.fetch.max.wait.ms", Tuning),
    ("consumer.override.fetch.min.bytes", Tuning),
    ("consumer.override.group.id", Honoured),
    ("consumer.override.heartbeat.interval.ms", Tuning),
    ("consumer.override.max.partition.fetch.bytes", Tuning),
    ("consumer.override.max.poll.interval.ms", Tuning),
    ("consumer.override.max.poll.records", Tuning),
    ("consumer.override.metadata.max.age.ms", Tuning),
    ("consumer.override.request.timeout.ms", Tuning),
    ("consumer.override.session.timeout.ms", Tuning),
    // The S3 sink
    ("directory.delim", Only(&["/"])),
    ("enhanced.avro.schema.support", Tuning),
    ("file.delim", Honoured),
    ("filename.offset.zero.pad.width", Honoured),
    ("flush.size", Honoured),
    ("format.bytearray.extension", Honoured),
    ("format.bytearray.separator", Honoured),
    ("format.class", Honoured),
    ("locale", Honoured),
    ("partition.duration.ms", Honoured),
    ("partition.field.name", Honoured),
    ("partitioner.class", Honoured),
    ("path.format", Honoured),
    ("retry.backoff.ms", Honoured),
    ("rotate.interval.ms", Honoured),
    ("rotate.schedule.interval.ms", Honoured),
    ("s3.acl.canned", UNSET),
    ("s3.bucket.name", Honoured),
    ("s3.compression.level", Honoured),
    ("s3.compression.type", Honoured),
    ("s3.credentials.provider.class", Only(&["com.amazonaws.auth.DefaultAWSCredentialsProviderChain"])),
    ("s3.elastic.buffer.enable", Tuning),
    ("s3.http.send.expect.continue", Tuning),
    ("s3.object.tagging", NO),
    ("s3.part.retries", Honoured),
    ("s3.part.size", Tuning),
    ("s3.path.style.access.enabled", Tuning),
    ("s3.proxy.url", UNSET),
    ("s3.region", Honoured),
    ("s3.retry.backoff.ms", Honoured),
    ("s3.ssea.name", Only(&["", "AES256"])),
    ("s3.wan.mode", NO),
    ("schema.compatibility", Only(&["NONE"])),
    ("schema.generator.class", Tuning),
    ("schemas.cache.config", Tuning),
    ("shutdown.timeout.ms", Tuning),
    ("storage.class", Only(&["io.confluent.connect.s3.storage.S3Storage"])),
    ("store.kafka.headers", NO),
    ("store.kafka.keys", NO),
    ("store.url", UNSET),
    ("timestamp.extractor", Honoured),
    ("timestamp.field", Honoured),
    ("timezone", Honoured),
    ("topics.dir", Honoured),
];

/// Refuses a key that is not honoured with this value; the text says what is.
pub(super) fn check(key: &str, value: &str) -> Result<(), String> {
    let Some((_, known)) = KEYS.iter().find(|(known, _)| *known == key) else { return Err(unknown(key)) };
    match known {
        Honoured | Tuning => Ok(()),
        Only(values) if values.iter().any(|allowed| allowed.eq_ignore_ascii_case(value)) => Ok(()),
        Only(values) => {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            Err(format!("`{key}` = `{value}` is not there in the local cloud, only {}", values.join(" or ")))
        }
    }
}

fn unknown(key: &str) -> String {
    let nearest = KEYS.iter().map(|(known, _)| (strsim::jaro_winkler(key, known), *known));
    let nearest = nearest.max_by(|one, two| one.0.total_cmp(&two.0)).filter(|(likeness, _)| *likeness > 0.85);
    let hint = nearest.map_or(String::new(), |(_, known)| format!("; did you mean `{known}`?"));
    format!("`{key}` is no key that the local cloud's S3 sink honours{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_within_their_families_and_not_repeated() {
        let mut names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn an_unknown_key_is_told_the_nearest() {
        assert!(check("flush.sice", "1").unwrap_err().contains("did you mean `flush.size`"));
        assert!(!check("zzz", "1").unwrap_err().contains("did you mean"));
        assert!(check("store.kafka.keys", "true").unwrap_err().contains("only `false`"));
        check("s3.ssea.name", "").unwrap();
    }
}
