//! The tags of the objects that `up` writes, as a part of their metadata.
//!
//! S3 tells metadata together with the object, and `LastModified` changes with every write of it. Object tags take a request of
//! their own, change without a trace, and are billed. Objects that an earlier version wrote have them: where metadata has no
//! label, those are read.

use std::collections::HashMap;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::tags::Tags;

/// The metadata that holds all tags.
const LABEL: &str = "tags";

/// S3 takes 2 KB of metadata ("Working with object metadata", S3 user guide); the checksum and a machine's id need some.
const LONGEST: usize = 1_800;

/// What a request that writes an object says of its tags.
pub(crate) struct Label {
    /// The name and the value of a metadata, unless there is no room for it there.
    pub(crate) metadata: Option<(&'static str, String)>,
    /// The value of `x-amz-tagging`, where there is none.
    pub(crate) tagging: Option<String>,
}

/// The label of an object with these tags.
pub(crate) fn label(tags: &Tags) -> Label {
    let text = query(tags);
    if text.len() <= LONGEST {
        Label { metadata: Some((LABEL, text)), tagging: None }
    } else {
        Label { metadata: None, tagging: Some(text) }
    }
}

/// The tags that metadata holds; `None` where it has no label.
pub(crate) fn read(metadata: Option<&HashMap<String, String>>) -> Option<Tags> {
    let text = metadata?.get(LABEL)?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    Some(pairs.map(|(key, value)| (decoded(key), decoded(value))).collect())
}

/// Tags as the header of a request has them: a query string (S3 API reference, `x-amz-tagging`).
fn query(tags: &Tags) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = tags.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_any_text_read_back_and_long_ones_are_object_tags() {
        let tags = Tags::from(
            [("pinfra:stack", "pins"), ("Team & co", "Dätä=1"), ("none", "")].map(|(k, v)| (k.into(), v.into())),
        );
        let (name, text) = label(&tags).metadata.unwrap();
        assert!(text.is_ascii());
        assert_eq!(read(Some(&HashMap::from([(name.to_owned(), text)]))), Some(tags));
        assert_eq!(read(Some(&HashMap::from([("sha256".to_owned(), "ab".to_owned())]))), None);
        let long = label(&Tags::from([("k".to_owned(), "v".repeat(LONGEST))]));
        assert!(long.metadata.is_none() && long.tagging.is_some_and(|text| text.starts_with("k=vv")));
    }
}
