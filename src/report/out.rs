//! The two streams of the program: data to stdout, all else to stderr.

use std::io::{ErrorKind, Write};

/// Writes data to stdout. A reader that has gone away (`pinfra schema | head -1`) is no error.
pub fn data(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a line to stderr. When stderr itself is gone there is nobody left to tell.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
