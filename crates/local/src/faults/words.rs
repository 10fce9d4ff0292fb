//! A line as words. Quotes keep blanks together, `#` at the start of a word begins a comment.

/// A word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Without its quotes.
    pub(super) text: String,
    /// Where it begins, in characters from 1.
    pub(super) column: usize,
}

/// The words; the column of a quote that is not closed.
pub(super) fn words(line: &str) -> Result<Vec<Word>, usize> {
    let mut words = Vec::new();
    let mut characters = (1..).zip(line.chars()).peekable();
    while let Some((column, first)) = characters.next() {
        if first.is_whitespace() {
            continue;
        }
        if first == '#' {
            break;
        }
        let mut text = String::new();
        let mut next = Some((column, first));
        while let Some((at, character)) = next {
            if character == '"' {
                quoted(&mut characters, &mut text).ok_or(at)?;
            } else {
                text.push(character);
            }
            next = characters.next_if(|(_, character)| !character.is_whitespace());
        }
        words.push(Word { text, column });
    }
    Ok(words)
}

/// Reads up to the closing quote; a backslash takes the character behind it as it is.
fn quoted(characters: &mut impl Iterator<Item = (usize, char)>, text: &mut String) -> Option<()> {
    loop {
        match characters.next()?.1 {
            '"' => return Some(()),
            '\\' => text.push(characters.next()?.1),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<(usize, String)> {
        words(line).unwrap().into_iter().map(|word| (word.column, word.text)).collect()
    }

    #[test]
    fn blanks_part_words_and_quotes_keep_them() {
        assert_eq!(texts("  a  b=c#d # e"), [(3, "a".to_owned()), (6, "b=c#d".to_owned())]);
        assert_eq!(texts(r#"m="a # \"b\" \\" x"#), [(1, r#"m=a # "b" \"#.to_owned()), (18, "x".to_owned())]);
        assert_eq!(texts("# all of it"), []);
        assert_eq!(words("do refuse message=\"a"), Err(19));
        assert_eq!(words("m=\"\\"), Err(3));
    }
}
