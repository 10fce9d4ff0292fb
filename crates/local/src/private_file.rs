//! Files with secrets in them: readable by their owner alone, replaced as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

/// Makes an empty file that only its owner can read; one that exists keeps its content.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    private(OpenOptions::new().create(true).append(true)).open(path)?;
    restrict(path, 0o600)
}

/// Writes a JSON document under a temporary name, syncs it, and renames it over `path`.
pub(crate) fn replace<T: Serialize>(path: &Path, document: &T) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(document)?;
    text.push(b'\n');
    let temporary = path.with_extension("tmp");
    let mut file = private(OpenOptions::new().create(true).truncate(true).write(true)).open(&temporary)?;
    restrict(&temporary, 0o600)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes a folder that only its owner can enter; one that exists is left as it is.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    restrict(path, 0o700)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &OpenOptions {
    options
}

/// For a file that was there before with other permissions.
#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}
