//! The emulator's log: its standard error, which the agent keeps.

use std::error::Error;
use std::io::Write;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One line.
pub(super) fn say(message: &str) {
    let now = OffsetDateTime::now_utc();
    let at = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
    // Nobody may be there to read it; there is no better place to say so.
    let _ = writeln!(std::io::stderr(), "{at} {message}");
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
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
