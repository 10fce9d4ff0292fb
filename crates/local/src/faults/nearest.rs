//! The known word that somebody most likely meant.

/// `; did you mean …?` with the nearest of the known words, or nothing where none is near.
pub(super) fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // The cost is the product of the lengths: a very long word is no misspelling of anything.
    let folded: String = written.chars().take(100).flat_map(char::to_lowercase).collect();
    let distance = |known: &str| strsim::damerau_levenshtein(&folded, &known.to_lowercase());
    let nearest = known.into_iter().map(|known| (distance(known), known)).min();
    match nearest {
        // A third of the letters may be wrong.
        Some((distance, known)) if distance <= folded.chars().count().div_ceil(3) => {
            format!("; did you mean `{known}`?")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_finds_its_word() {
        let known = ["throttle", "reset", "refuse"];
        assert_eq!(did_you_mean("trottle", known), "; did you mean `throttle`?");
        assert_eq!(did_you_mean("REFUSE", known), "; did you mean `refuse`?");
        assert_eq!(did_you_mean("explode", known), "");
        assert_eq!(did_you_mean("", known), "");
    }
}
