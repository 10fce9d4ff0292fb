//! The text of a stack file: reading it with care, finding lines in it, and showing it without what must not be shown.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::place::Place;
use super::problem::Problem;

/// The largest stack file that is read. Ten thousand tables fit in it; a log file given by mistake does not.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// The path and the text of a stack file, or of a file that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it.
    pub path: PathBuf,
    /// What is in the file.
    pub text: String,
}

impl Source {
    /// A file's path and text.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Line and column of a byte, both from 1, columns in characters.
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(byte.min(self.text.len()))];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        // A byte order mark takes no column.
        (line, before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1)
    }

    /// A place as `stacks/dev.yaml:12:3`.
    pub fn location(&self, place: Place) -> String {
        let (line, column) = self.line_column(place.start);
        format!("{}:{line}:{column}", self.path.display())
    }

    /// The byte at a line and column, both from 1, columns in characters.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let line_start: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = &self.text[line_start..];
        let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
        line_start + within
    }

    /// The line that holds a byte, without its end.
    pub(super) fn line_at(&self, byte: usize) -> &str {
        let byte = self.text.floor_char_boundary(byte.min(self.text.len()));
        let start = self.text[..byte].rfind('\n').map_or(0, |newline| newline + 1);
        self.text[start..].lines().next().unwrap_or_default()
    }

    /// What is written at a place.
    pub(super) fn slice(&self, place: Place) -> &str {
        self.text.get(place.start..place.end()).unwrap_or_default()
    }

    /// The text with every byte in its place, made fit to be shown: passwords in URLs and private keys are starred out, since
    /// CI logs keep what a diagnostic draws; and control characters, which could write to the terminal, are dots.
    pub fn shown(&self) -> String {
        let mut hidden = vec![false; self.text.len()];
        for place in secrets(&self.text) {
            hidden[place.start..place.end()].fill(true);
        }
        let mut shown = String::with_capacity(self.text.len());
        for (at, character) in self.text.char_indices() {
            match character {
                '\n' | '\t' => shown.push(character),
                '\r' => shown.push(' '),
                _ if hidden[at] => shown.extend(std::iter::repeat_n('*', character.len_utf8())),
                _ if character.is_control() && character.len_utf8() == 1 => shown.push('.'),
                _ if character.is_control() => shown.push('·'),
                _ => shown.push(character),
            }
        }
        shown
    }
}

/// Reads a file that the stack file names; `what` is what a message calls it.
pub(super) fn read_named(path: &Path, what: &str) -> Result<String, Problem> {
    let cannot = |error: &std::io::Error| Problem::error(format!("{what} cannot be read: {}", reason(error)));
    let file = std::fs::File::open(path).map_err(|error| cannot(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Problem::error(format!("{what} is larger than 1 MiB")).help("check that it is the right file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Problem::error(format!("{what} is not UTF-8 text: line {line} has a byte that cannot be there"))
            .help("save the file as UTF-8")
    })
}

/// Reads a stack file, or says why it cannot be one.
pub(super) fn read(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let cannot = |error: &std::io::Error| {
        let problem = Problem::error(format!("cannot read `{shown}`: {}", reason(error)));
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                problem.help("name an existing stack file, or write one with `pinfra init`")
            }
            _ => problem,
        }
    };
    let file = std::fs::File::open(path).map_err(|error| cannot(&error))?;
    if file.metadata().map_err(|error| cannot(&error))?.is_dir() {
        return Err(Problem::error(format!("`{shown}` is a folder, not a stack file"))
            .maybe_help(stack_file_in(path).map(|found| format!("did you mean `{}`?", found.display()))));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Problem::error(format!("`{shown}` is larger than 1 MiB, the most that a stack file may have"))
            .help("check that it is the right file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Problem::error(format!("`{shown}` is not UTF-8 text: line {line} has a byte that cannot be there"))
            .help("save the file as UTF-8")
    })
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The one YAML file of a folder.
fn stack_file_in(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut yaml = files.filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"));
    let first = yaml.next()?;
    yaml.next().is_none().then_some(first)
}

/// Where the text has a password inside a URL, or a private key.
pub(super) fn secrets(text: &str) -> Vec<Place> {
    let mut found = Vec::new();
    let mut searched = 0;
    for (at, _) in text.match_indices("://") {
        // A second `://` in the same word says nothing new; searching it again would make a hostile file slow.
        if at >= searched {
            let (password, end) = url_password(text, at);
            found.extend(password);
            searched = end;
        }
    }
    let mut searched = 0;
    for (at, _) in text.match_indices("PRIVATE KEY-----") {
        if at < searched {
            continue;
        }
        let end = text[at..].find("-----END").map_or(text.len(), |end| at + end);
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        if text[line_start..at].contains("-----BEGIN") {
            let start = at + "PRIVATE KEY-----".len();
            found.push(Place::new(start, end.saturating_sub(start)));
            searched = end;
        }
    }
    found
}

/// The password of the URL whose `://` is at a byte (`scheme://user:password@host`), and where the URL ends. A password that
/// comes from the environment is none.
fn url_password(text: &str, at: usize) -> (Option<Place>, usize) {
    let start = at + "://".len();
    // A password may hold a slash or a colon by mistake: up to the last `@` of the word, it is all hidden.
    let word = text[start..].split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).next().unwrap_or_default();
    let user = word.rfind('@').map(|at_sign| &word[..at_sign]).and_then(|user| user.split_once(':'));
    let password =
        user.map(|(_, password)| password).filter(|password| !password.is_empty() && !password.starts_with("${env:"));
    let place = password.zip(user).map(|(password, (name, _))| Place::new(start + name.len() + 1, password.len()));
    (place, start + word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_private_keys_are_not_shown() {
        let source = Source::new(
            "x",
            "a: mysql://me:p@ss/w:rd@host/db # x\nb: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  b3Bl\n  -----END OPENSSH PRIVATE KEY-----\n",
        );
        let shown = source.shown();
        assert!(shown.contains("mysql://me:*********@host/db # x"), "{shown}");
        assert!(!shown.contains("b3Bl"), "{shown}");
        assert_eq!(shown.len(), source.text.len());
    }

    #[test]
    fn a_password_from_the_environment_is_shown_as_written() {
        assert_eq!(secrets("mysql://me:${env:PASSWORD}@host/db"), []);
        assert_eq!(secrets("https://host:8080/a@b"), [Place::new(13, 6)]);
        assert_eq!(secrets("https://host/path"), []);
        assert_eq!(secrets("a://b:c@d e://f:g@h"), [Place::new(6, 1), Place::new(16, 1)]);
        assert_eq!(secrets(&"://".repeat(300_000)), []);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let source = Source::new("x", "a: \u{1b}[31m\u{9b}é\r\n");
        assert_eq!(source.shown(), "a: .[31m·é \n");
    }

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let source = Source::new("x", "é: 1\nab: ü2\n");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(source.text.find('2').unwrap()), (2, 6));
        assert_eq!(source.offset(2, 6), source.text.find('2').unwrap());
        assert_eq!(source.offset(9, 9), source.text.len());
    }
}
