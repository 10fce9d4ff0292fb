//! The agent's own log: its standard error, which is the journal on a real machine and the console on a local one.

use std::io::Write;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One line.
pub(crate) fn say(message: &str) {
    let now = OffsetDateTime::now_utc();
    // Years of four digits can be written so, and no log is worth ending for.
    let at = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "{at} {message}");
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
}
