//! Writes a file as a whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::commands::files::failure;
use crate::report::Failure;

/// Puts `text` in the place of what `path` holds, if that is still `expected`. Whoever reads the file meanwhile, or after a
/// power cut, sees the one or the other.
pub(super) fn replace_file(path: &Path, expected: &str, text: &str) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| failure("cannot write", path, &error);
    // A link stays a link to the file that is changed.
    let real = std::fs::canonicalize(path).map_err(cannot)?;
    if std::fs::read(&real).map_err(cannot)? != expected.as_bytes() {
        let message = format!("`{}` was changed while it was compared; nothing was written", path.display());
        return Err(Failure::new(message).hint("run the command again"));
    }
    write_file(&real, text)
}

/// Makes or replaces a file.
fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Err(Failure::new(format!("`{}` is no name of a file", path.display())));
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = folder.join(format!(".{name}.{}.pinfra", std::process::id()));
    let written = fill(&draft, path, text).and_then(|()| std::fs::rename(&draft, path));
    if let Err(error) = written {
        // The draft may not be there at all.
        let _ = std::fs::remove_file(&draft);
        return Err(failure("cannot write", path, &error));
    }
    // The name is safe once the folder is; some file systems cannot sync a folder, and then there is no more to do.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Writes a draft with the permissions of the file that it will be.
fn fill(draft: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(draft)?;
    if let Ok(was) = std::fs::metadata(path) {
        file.set_permissions(was.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_where_a_link_leads_and_keeps_its_permissions() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.yaml"), folder.path().join("link.yaml"));
        std::fs::write(&real, "a: 1\n").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        replace_file(&link, "a: 1\n", "a: 2\n").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "a: 2\n");
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(replace_file(&real, "a: 1\n", "a: 3\n").is_err(), "somebody else wrote it meanwhile");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }
}
