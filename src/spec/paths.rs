//! Paths in a stack file: relative to it, and there.

use std::path::{Path, PathBuf};

use super::nearest::{nearest, quoted};
use super::problem::Problem;
use super::reader::Reader;
use super::value::Value;

/// A path as a path of this machine: `~/` is the home folder, all else is relative to the stack file.
pub(super) fn resolve(reader: &Reader<'_>, written: &str) -> PathBuf {
    match (written.strip_prefix("~/"), (reader.env)("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => reader.folder.join(written),
    }
}

/// A file that has to be there, with this extension if one is given.
pub(super) fn file(
    reader: &mut Reader<'_>,
    path: &Value<String>,
    what: &str,
    extension: Option<&str>,
) -> Option<Value<PathBuf>> {
    let resolved = existing(reader, path, what)?;
    if resolved.is_dir() {
        reader.report(Problem::error(format!("{what} names a folder")).at(path.place, "expected a file"));
        return None;
    }
    if let Some(extension) = extension
        && resolved.extension().is_none_or(|found| found != extension)
    {
        reader.report(
            Problem::error(format!("{what} is not a `.{extension}` file"))
                .at(path.place, format!("expected a `.{extension}` file")),
        );
        return None;
    }
    Some(path.clone().map(|_| resolved))
}

/// A folder that has to be there.
pub(super) fn folder(reader: &mut Reader<'_>, path: &Value<String>, what: &str) -> Option<Value<PathBuf>> {
    let resolved = existing(reader, path, what)?;
    if !resolved.is_dir() {
        reader.report(Problem::error(format!("{what} names a file")).at(path.place, "expected a folder"));
        return None;
    }
    Some(path.clone().map(|_| resolved))
}

fn existing(reader: &mut Reader<'_>, path: &Value<String>, what: &str) -> Option<PathBuf> {
    if path.get().trim().is_empty() {
        reader.report(Problem::error(format!("{what} is empty")).at(path.place, "expected a path"));
        return None;
    }
    let resolved = resolve(reader, path.get());
    match std::fs::metadata(&resolved) {
        Ok(_) => Some(resolved),
        Err(_) if path.from_env => {
            reader.report(
                Problem::error(format!("{what} names nothing that is there"))
                    .at(path.place, "its value is no path that exists"),
            );
            None
        }
        Err(error) => {
            let problem = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Problem::error(format!("{what} names {}, which is not there", quoted(path.get())))
                }
                _ => Problem::error(format!("{what} names {}, which cannot be read: {error}", quoted(path.get()))),
            };
            let label = neighbour(&resolved)
                .map_or("no such file or folder".to_owned(), |near| format!("did you mean `{near}`?"));
            let help = "paths are relative to the stack file".to_owned();
            reader.report(problem.at(path.place, label).help(help));
            None
        }
    }
}

/// A name in the same folder that is nearly the one asked for.
fn neighbour(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    // A folder with more entries than this is nobody's `templates/`.
    let entries = std::fs::read_dir(path.parent()?).ok()?.take(1000);
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}
