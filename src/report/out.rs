//! The two streams of the program: data to stdout, all else to stderr.

use std::io::{ErrorKind, Write};

use super::Failure;

/// Writes data to stdout. A reader that has gone away (`pinfra schema | head -1`) is no error; a full disk is.
pub fn data(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(format!("cannot write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Writes a line to stderr. When stderr itself is gone there is nobody left to tell.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Asks on stderr and reads from stdin. Whatever is not a yes is a no, and so is a prompt that cannot be shown.
pub fn ask(question: &str) -> bool {
    let mut stderr = std::io::stderr();
    if write!(stderr, "{question}").and_then(|()| stderr.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "yes" | "y")
}
