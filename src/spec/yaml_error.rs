//! YAML that cannot be read at all, said in words that help: the parser's own terms are those of the YAML grammar.

use serde_saphyr::Error;

use super::place::Place;
use super::problem::Problem;
use super::source::Source;

/// What to call a YAML error, where it is, and what to do.
pub(super) fn explain(error: &Error, source: &Source) -> Problem {
    // What is wrong inside of an alias is said of the place that uses it.
    let cause = match error {
        Error::AliasError { error, .. } => error.as_ref(),
        other => other,
    };
    let place = error.location().map_or(Place::default(), |location| {
        let number = |n: u64| usize::try_from(n).unwrap_or(1);
        let start = match location.span().byte_offset() {
            Some(byte) => usize::try_from(byte).unwrap_or(0),
            None => source.offset(number(location.line()), number(location.column())),
        };
        visible(start, source)
    });
    let text = bare_message(cause);
    let line = source.line_at(place.start);
    let (message, label, help) = match cause {
        Error::MultipleDocuments { .. } => (
            "there is more than one YAML document in the file".to_owned(),
            "the second starts here",
            Some("keep one stack in a file: remove the `---`, or move what follows to a file of its own"),
        ),
        Error::UnknownAnchor { .. } => unknown_anchor(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("this alias stands inside what it refers to".to_owned(), "refers to itself", Some("write the value out"))
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            "the aliases of this file expand to far more than a stack file can mean".to_owned(),
            "the limit is passed here",
            Some("write the values out, or merge less"),
        ),
        Error::Budget { .. } => (
            "this file is nested too deeply, or has too many values, for a stack file".to_owned(),
            "the limit is passed here",
            None,
        ),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => (
            "`<<` merges mappings, and this is none".to_owned(),
            "not a mapping",
            Some("write `<<: *name`, with `&name` on a mapping above"),
        ),
        _ if text.contains("unknown anchor") => unknown_anchor(),
        _ if line.trim_start_matches(' ').starts_with('\t') || text.starts_with("tabs") => (
            "a tab cannot indent YAML".to_owned(),
            "a tab",
            Some("indent with spaces; most editors have a setting for it"),
        ),
        _ if unquoted_variable_in_braces(line) => (
            "`${env:…}` inside `{ }` or `[ ]` needs quotes, since YAML takes its braces for its own".to_owned(),
            "YAML gave up here",
            Some("write it as \"${env:NAME}\""),
        ),
        _ if text.contains("mapping values are not allowed") => (
            "a `:` stands where no key can be".to_owned(),
            "unexpected here",
            Some("give the keys of a section the same indentation, and put text that holds `: ` in quotes"),
        ),
        _ if text.contains("unclosed bracket") => {
            ("a `{` or `[` is never closed".to_owned(), "opened here", Some("close it with `}` or `]`"))
        }
        _ if text.contains("flow") || text.contains("illegal placement of ':'") => (
            "a `{` or `[` was opened and not closed, or a comma is missing".to_owned(),
            "this cannot come here",
            Some("close it with `}` or `]` before this place, and put commas between the entries"),
        ),
        _ if text.contains("quoted scalar") => (
            "a quote was opened and not closed".to_owned(),
            "still inside the quotes here",
            Some("close the quote on the line where it was opened"),
        ),
        _ if text.contains("<document start>") || text.contains("block mapping") => (
            "this line is not indented like the others of its section".to_owned(),
            "does not belong to anything above",
            Some("give the keys of a section the same indentation"),
        ),
        _ if text.contains("could not find expected ':'") || text.contains("simple key") => {
            ("a key without its `:`".to_owned(), "no `:` found", Some("write `key: value`"))
        }
        _ if text.contains("unexpected character") => (
            "a character that YAML does not allow here".to_owned(),
            "this character",
            Some("remove it, or put the text in quotes"),
        ),
        _ => (format!("this is not YAML: {text}"), "YAML gave up here", None),
    };
    let problem = Problem::error(message).at(place, label);
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn unknown_anchor() -> (String, &'static str, Option<&'static str>) {
    (
        "this alias refers to an anchor that is not above it".to_owned(),
        "no such `&` anchor",
        Some("write `&name` on the value above, or put text that starts with `*` in quotes"),
    )
}

/// The message without the place, which is shown in its own way.
fn bare_message(error: &Error) -> String {
    let text = error.without_snippet().to_string();
    match text.find(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// At the very end of the file there is nothing to underline: the last character that can be seen stands for it.
fn visible(start: usize, source: &Source) -> Place {
    let rest = source.text.get(start..).unwrap_or_default();
    if let Some(character) = rest.chars().next().filter(|c| !matches!(c, '\n' | '\r')) {
        return Place::new(start, character.len_utf8());
    }
    let before = source.text.get(..start).unwrap_or_default();
    match before.char_indices().rfind(|(_, c)| !c.is_whitespace()) {
        Some((at, character)) => Place::new(at, character.len_utf8()),
        None => Place::new(0, 0),
    }
}

/// Whether a line has `{ key: ${env:NAME} }` without quotes, which YAML reads as a mapping within a mapping.
fn unquoted_variable_in_braces(line: &str) -> bool {
    let Some(at) = line.find("${") else { return false };
    let before = &line[..at];
    before.contains(['{', '['])
        && before.matches('"').count().is_multiple_of(2)
        && before.matches('\'').count().is_multiple_of(2)
}
