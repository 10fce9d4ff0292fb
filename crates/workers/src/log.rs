//! A worker's own log, and how its errors are told. The log is its standard error: the agent keeps those of its workers,
//! the agent's own is the journal on a real machine and the console on a local one.

use std::error::Error;
use std::io::Write;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Longer messages are cut: some libraries put whole answers of servers into theirs.
const LONGEST: usize = 600;

/// One line.
pub(crate) fn say(message: &str) {
    let now = OffsetDateTime::now_utc();
    // Years of four digits can be written so, and no log is worth ending for.
    let at = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
    // Nobody may be there to read it; there is no better place to say so.
    let _ = writeln!(std::io::stderr(), "{at} {message}");
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    short(&text)
}

/// As much of a text as a person reads.
fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{message}")]
    struct Link {
        message: String,
        source: Option<Box<Link>>,
    }

    fn link(message: &str, source: Option<Link>) -> Link {
        Link { message: message.to_owned(), source: source.map(Box::new) }
    }

    #[test]
    fn causes_are_told_once_and_not_without_end() {
        let error = link("no table: denied", Some(link("denied", Some(link("403", None)))));
        assert_eq!(chain(&error), "no table: denied: 403");
        let told = chain(&link(&"ä".repeat(10_000), None));
        assert_eq!(told.chars().count(), LONGEST + 1);
    }
}
