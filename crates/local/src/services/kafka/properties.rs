//! The text of `server.properties`: reading it, and refusing what MSK would not take.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::book::{Book, Revised};
use super::errors::{invalid, unsupported};
use super::property_table::{PROPERTIES, Takes};
use crate::kafka::configs::out_of_bounds;
use crate::wire::error::ApiError;

/// Properties by name.
pub(super) type Properties = BTreeMap<String, String>;

/// What the local brokers do alone, of properties that change what clients see. Those that tune threads, buffers and
/// intervals are kept and have no effect.
const HONOURED: [(&str, &str); 4] = [
    ("allow.everyone.if.no.acl.found", "true"),
    ("compression.type", "producer"),
    ("log.cleanup.policy", "delete"),
    ("log.message.timestamp.type", "CreateTime"),
];

/// Reads and checks the server properties of a request, which come as base64.
pub(super) fn checked(blob: &str) -> Result<Properties, ApiError> {
    let bytes = STANDARD.decode(blob).unwrap_or_default();
    let text = String::from_utf8(bytes).map_err(|_| refused("they are not text in UTF-8"))?;
    let properties = parse(&text).map_err(|line| refused(&format!("the line `{line}` is no property")))?;
    for (name, value) in &properties {
        let known = PROPERTIES.iter().find(|(known, _)| known == name);
        let Some((_, takes)) = known else {
            return Err(refused(&format!("`{name}` is not a property that a configuration can set")));
        };
        check(*takes, value).map_err(|expected| refused(&format!("`{name}` must be {expected}, not `{value}`")))?;
        if let Some((_, only)) = HONOURED.iter().find(|(known, only)| known == name && only != value) {
            return Err(unsupported("serverProperties", &format!("`{name}={value}`, only `{only}`")));
        }
        if let Some((low, high)) = out_of_bounds(name, value) {
            return Err(unsupported("serverProperties", &format!("`{name}={value}`, only from {low} to {high}")));
        }
    }
    Ok(properties)
}

/// The properties of a revision that was checked when it was made; none without one.
pub(super) fn of(book: &Book, revised: Option<&Revised>) -> Properties {
    let revision = revised.and_then(|revised| book.revision(revised));
    revision.and_then(|revision| checked(&revision.properties).ok()).unwrap_or_default()
}

/// Lines of `name = value`, as Java reads property files; escapes are not needed here. The line that is none otherwise.
pub(super) fn parse(text: &str) -> Result<Properties, String> {
    let mut properties = Properties::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (name, value) = line.split_once(['=', ':']).ok_or_else(|| line.to_owned())?;
        if name.trim().is_empty() {
            return Err(line.to_owned());
        }
        properties.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(properties)
}

/// What would be right, where a value is not.
fn check(takes: Takes, value: &str) -> Result<(), String> {
    match takes {
        Takes::Flag if matches!(value, "true" | "false") => Ok(()),
        Takes::Flag => Err("true or false".to_owned()),
        Takes::Whole(from, to) => match value.parse::<i64>() {
            Ok(number) if (from..=to).contains(&number) => Ok(()),
            _ => Err(format!("a whole number from {from} to {to}")),
        },
        Takes::Number(from, to) => match value.parse::<f64>() {
            Ok(number) if (from..=to).contains(&number) => Ok(()),
            _ => Err(format!("a number from {from} to {to}")),
        },
        Takes::OneOf(values) if values.contains(&value) => Ok(()),
        Takes::OneOf(values) => Err(format!("one of {}", values.join(", "))),
        Takes::SomeOf(values) if value.split(',').all(|one| values.contains(&one.trim())) => Ok(()),
        Takes::SomeOf(values) => Err(format!("some of {}", values.join(", "))),
    }
}

fn refused(what: &str) -> ApiError {
    invalid("serverProperties", format!("The server properties are not valid: {what}."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<Properties, ApiError> {
        checked(&STANDARD.encode(text))
    }

    #[test]
    fn properties_are_read_as_java_reads_them() {
        let read = check("# a comment\n\nauto.create.topics.enable = true\nlog.retention.ms:604800000\n").unwrap();
        assert_eq!(read["auto.create.topics.enable"], "true");
        assert_eq!(read["log.retention.ms"], "604800000");
        assert_eq!(read.len(), 2);
        assert!(check("").unwrap().is_empty());
        check("log.cleanup.policy=delete\nlog.cleaner.min.cleanable.ratio=0.5").unwrap();
    }

    #[test]
    fn names_and_values_are_checked() {
        for (wrong, says) in [
            ("broker.id=1", "`broker.id`"),
            ("auto.create.topics.enable=yes", "true or false"),
            ("min.insync.replicas=0", "from 1 to 15"),
            ("num.partitions=many", "whole number"),
            ("compression.type=brotli", "one of gzip"),
            ("log.cleanup.policy=forget", "some of delete, compact"),
            ("log.cleaner.min.cleanable.ratio=2", "from 0 to 1"),
            ("log.cleanup.policy=compact,delete", "the local cloud does not have"),
            ("message.max.bytes=100000000", "from 0 to 66060288"),
            ("log.segment.bytes=2147483647", "from 14 to 1073741824"),
            ("no property", "`no property`"),
        ] {
            let error = check(wrong).unwrap_err();
            assert_eq!(error.code, "BadRequestException");
            assert!(error.message.contains(says), "{wrong}: {}", error.message);
        }
    }

    #[test]
    fn names_are_in_order() {
        assert!(PROPERTIES.is_sorted_by_key(|(name, _)| *name));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            properties in prop::collection::btree_map("[a-z][a-z.]{0,20}", "[!-~]([ -~]{0,20}[!-~])?", 0..8),
        ) {
            // A value cannot begin with what separates it from its name.
            prop_assume!(properties.values().all(|value| !value.starts_with(['=', ':'])));
            let lines: Vec<String> = properties.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            prop_assert_eq!(parse(&lines.join("\n")).unwrap(), properties);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            if let Err(error) = check(&text) {
                prop_assert_eq!(error.code, "BadRequestException");
            }
        }
    }
}
