//! The checksums of a journal's lines.
//!
//! Each line ends in a field `sum`, the first 64 bits of the SHA-256 of the line without it and of the sum of the line
//! before. So an edited line is found, and so is one that was taken out of the middle, put there or moved. Lines that are
//! missing at the end are not found: they cannot be told from lines that were never written.

use sha2::{Digest, Sha256};

const FIELD: &str = r#","sum":""#;
/// Of a sum, in hexadecimal digits.
const DIGITS: usize = 16;
const END: &str = r#""}"#;

/// The sum of the last line; empty before the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain(String);

impl Chain {
    /// `json`, an object with fields, as a line that ends in its sum and a newline.
    pub(super) fn seal(&mut self, json: &str) -> String {
        self.0 = self.next(json);
        let body = json.strip_suffix('}').unwrap_or(json);
        format!("{body}{FIELD}{}{END}\n", self.0)
    }

    /// The object of a line without its sum; `None` when the line has none, or does not belong behind the one before.
    pub(super) fn unseal(&mut self, line: &str) -> Option<String> {
        let (body, sum) = split(line)?;
        let json = format!("{body}}}");
        let expected = self.next(&json);
        if sum != expected {
            return None;
        }
        self.0 = expected;
        Some(json)
    }

    fn next(&self, json: &str) -> String {
        let digest = Sha256::new().chain_update(&self.0).chain_update(json).finalize();
        let mut sum = hex::encode(digest);
        sum.truncate(DIGITS);
        sum
    }
}

/// Whether a line ends in a sum.
pub(super) fn is_sealed(line: &str) -> bool {
    split(line).is_some()
}

fn split(line: &str) -> Option<(&str, &str)> {
    let at = line.len().checked_sub(FIELD.len() + DIGITS + END.len())?;
    let (body, tail) = line.split_at_checked(at)?;
    Some((body, tail.strip_prefix(FIELD)?.strip_suffix(END)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the lines unseal to what was sealed.
    fn opened(lines: &[String]) -> Option<Vec<String>> {
        let mut chain = Chain::default();
        lines.iter().map(|line| chain.unseal(line.trim_end_matches('\n'))).collect()
    }

    proptest! {
        #[test]
        fn no_line_is_changed_taken_out_doubled_or_moved_unseen(
            texts in prop::collection::vec("[ -~äß🙂]{0,12}", 2..8),
            at in any::<prop::sample::Index>(),
            to in any::<prop::sample::Index>(),
        ) {
            let jsons: Vec<String> = texts.iter().map(|text| serde_json::json!({ "x": text }).to_string()).collect();
            let mut chain = Chain::default();
            let lines: Vec<String> = jsons.iter().map(|json| chain.seal(json)).collect();
            prop_assert_eq!(opened(&lines), Some(jsons));

            let (at, to) = (at.index(lines.len()), to.index(lines.len()));
            let mut edited = lines.clone();
            edited[at] = edited[at].replacen("{\"x\":\"", "{\"x\":\"!", 1);
            prop_assert_eq!(opened(&edited), None);

            let mut shorter = lines.clone();
            shorter.remove(at);
            prop_assert_eq!(opened(&shorter).is_some(), at == lines.len() - 1, "only the last may be missing");

            let mut doubled = lines.clone();
            doubled.insert(at, lines[at].clone());
            prop_assert_eq!(opened(&doubled), None);

            let mut moved = lines.clone();
            moved.swap(at, to);
            prop_assert_eq!(opened(&moved).is_some(), at == to);
        }
    }

    #[test]
    fn a_line_without_a_sum_is_none() {
        for line in ["", "{}", r#"{"x":1}"#, r#"{"x":1,"sum":"short"}"#, "äöüäöüäöüäöüäöü"] {
            assert_eq!(Chain::default().unseal(line), None, "{line}");
            assert!(!is_sealed(line), "{line}");
        }
    }
}
