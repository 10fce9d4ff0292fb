//! The tags of the objects that `up` writes, as a part of their metadata.
//!
//! S3 tells metadata together with the object, and `LastModified` changes with every write of it. Object tags take a request of
//! their own, change without a trace, and are billed. Objects that an earlier version wrote have them: where metadata has no
//! label, those are read.

use std::collections::HashMap;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::tags::Tags;

/// The metadata that holds all tags. S3 takes 2 KB of metadata ("Working with object metadata", S3 user guide).
pub(crate) const LABEL: &str = "tags";

/// Tags as metadata has them: a query string, since S3 takes ASCII there.
pub(crate) fn label(tags: &Tags) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = tags.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
    pairs.join("&")
}

/// The tags that metadata holds; `None` where it has no label.
pub(crate) fn read(metadata: Option<&HashMap<String, String>>) -> Option<Tags> {
    let text = metadata?.get(LABEL)?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    Some(pairs.map(|(key, value)| (decoded(key), decoded(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_any_text_read_back() {
        let tags = [("pinfra:stack", "pins"), ("Team & co", "Dätä=1"), ("none", "")];
        let tags = Tags::from(tags.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let text = label(&tags);
        assert!(text.is_ascii());
        assert_eq!(read(Some(&HashMap::from([(LABEL.to_owned(), text)]))), Some(tags));
        assert_eq!(read(Some(&HashMap::from([("sha256".to_owned(), "ab".to_owned())]))), None);
    }
}
