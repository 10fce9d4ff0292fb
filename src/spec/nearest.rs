//! The known spelling nearest to what somebody wrote, and how to show what they wrote.

/// The candidate that `written` was most likely meant to be, if any is near.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = fold(written);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&plain, &fold(candidate)), candidate))
        // A third of the letters may be wrong: `shrads` is `shards`, but `tables` is not `lake`.
        .filter(|(distance, candidate)| *distance <= plain.chars().count().max(candidate.len()).div_ceil(3).min(4))
        // Letters are left out more often than put in: `cont` is `count` rather than `cot`.
        .min_by_key(|(distance, candidate)| {
            (*distance, !holds_in_order(&fold(candidate), &plain), candidate.len().abs_diff(written.len()))
        })
        .map(|(_, candidate)| candidate)
}

/// `retentionHours`, `retention-hours` and `RETENTION_HOURS` are one word.
fn fold(word: &str) -> String {
    // strsim's cost is the product of the lengths: a word of a megabyte is no misspelling of anything.
    word.chars().take(200).filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Whether all letters of `some` stand in `all`, in their order.
fn holds_in_order(all: &str, some: &str) -> bool {
    let mut letters = all.chars();
    some.chars().all(|wanted| letters.any(|letter| letter == wanted))
}

/// Text from the file as a message quotes it: escaped, on one line, and not too long.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut escaped: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect();
    if text.chars().count() > MOST {
        escaped.push('…');
    }
    format!("`{escaped}`")
}

/// `a`, `a` or `b`; `a`, `b` or `c`.
pub(super) fn alternatives<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_its_word_and_another_word_does_not() {
        let keys = ["name", "target", "region", "tables", "streams", "lake", "retention_hours"];
        assert_eq!(nearest("streems", keys), Some("streams"));
        assert_eq!(nearest("retentionHours", keys), Some("retention_hours"));
        assert_eq!(nearest("regoin", keys), Some("region"));
        assert_eq!(nearest("database", keys), None);
        assert_eq!(nearest("x", keys), None);
        assert_eq!(nearest("cont", ["cot", "count", "cont_x"]), Some("count"));
    }

    #[test]
    fn what_is_quoted_stays_on_its_line() {
        assert_eq!(quoted("a\nb\u{1b}"), "`a\\nb\\u{1b}`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 63);
    }
}
