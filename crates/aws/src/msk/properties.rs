//! Properties as text: what MSK takes and answers, by meaning.

use std::collections::BTreeMap;

/// One property a line, sorted.
pub(super) fn to_text(properties: &BTreeMap<String, String>) -> String {
    properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// The properties in `text`, whoever wrote it: with spaces around `=` or `:`, with comments, the last of a key counts.
pub(super) fn from_text(text: &str) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
        properties.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_wrote_is_read() {
        let read =
            from_text("# ours\nauto.create.topics.enable = false\n\nlog.retention.hours:24\nempty=\n a = b=c \n");
        let expected =
            [("a", "b=c"), ("auto.create.topics.enable", "false"), ("empty", ""), ("log.retention.hours", "24")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(from_text(&to_text(&read)), read);
    }
}
