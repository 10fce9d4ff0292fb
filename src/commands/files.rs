//! Files that a person names on the command line: what is said when one cannot be read or written.

use std::io::{Error, ErrorKind};
use std::path::Path;

use crate::report::Failure;

/// Why a file cannot be read or written; `doing` is such as `cannot write the report`.
pub(super) fn failure(doing: &str, path: &Path, error: &Error) -> Failure {
    let failure = |cause: String| Failure::Message {
        message: format!("{doing} `{}`", path.display()),
        causes: vec![cause],
        hint: None,
    };
    match (error.kind(), missing_folder(path)) {
        (ErrorKind::NotFound, Some(folder)) => failure(format!("there is no folder `{}`", folder.display()))
            .hint(format!("make it (`mkdir -p {}`), or name another place", folder.display())),
        (ErrorKind::NotFound, None) => failure("there is no such file".to_owned()),
        (ErrorKind::IsADirectory, _) => failure("it is a folder".to_owned()).hint("name a file"),
        _ => failure(words(error)),
    }
}

/// Refuses a file whose folder is not there, before any work is done for it.
pub(super) fn check_folder(doing: &str, path: &Path) -> Result<(), Failure> {
    match missing_folder(path) {
        Some(_) => Err(failure(doing, path, &Error::from(ErrorKind::NotFound))),
        None if path.is_dir() => Err(failure(doing, path, &Error::from(ErrorKind::IsADirectory))),
        None => Ok(()),
    }
}

/// The folder that a file would be in, if it is not there.
fn missing_folder(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
}

/// What the system says, without the number of its error.
fn words(error: &Error) -> String {
    let said = error.to_string();
    let said = said.split(" (os error").next().unwrap_or_default();
    let mut letters = said.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_of_a_file_is_said_without_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path, error: &Error| failure("cannot write the report", path, error).to_string();
        let nowhere = folder.path().join("nodir/x");
        let told = said(&nowhere, &std::fs::write(&nowhere, "").unwrap_err());
        assert!(told.contains("nodir/x`\n  caused by: there is no folder `"), "{told}");
        assert!(told.contains("hint: make it (`mkdir -p "), "{told}");
        assert!(check_folder("cannot write the report", &nowhere).is_err());
        let missing = folder.path().join("x");
        assert!(said(&missing, &std::fs::read(&missing).unwrap_err()).contains("there is no such file"));
        assert!(check_folder("cannot write the report", &missing).is_ok());
        let told = said(folder.path(), &std::fs::write(folder.path(), "").unwrap_err());
        assert!(told.contains("it is a folder"), "{told}");
        assert!(check_folder("cannot write the report", folder.path()).is_err());
        let denied = Error::from_raw_os_error(13);
        assert!(said(&missing, &denied).ends_with("caused by: permission denied"), "{}", said(&missing, &denied));
    }
}
