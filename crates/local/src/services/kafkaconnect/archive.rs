//! Whether a plugin's file is an archive at all: a ZIP, which a JAR is as well. Nothing is unpacked, and what is in it is not
//! judged: no code of it runs here.

use std::io::{Read, Seek};

use zip::ZipArchive;

/// More entries than any connector has.
const MOST_ENTRIES: usize = 100_000;

/// Reads the directory of an archive. The text says what is wrong with it.
pub(super) fn check(file: impl Read + Seek, content_type: &str) -> Result<(), String> {
    let archive = ZipArchive::new(file).map_err(|error| {
        format!("The file is no {content_type}: its content cannot be read as an archive ({error})")
    })?;
    match archive.len() {
        0 => Err(format!("The file is no {content_type}: the archive is empty")),
        count if count > MOST_ENTRIES => Err(format!("The archive has more than {MOST_ENTRIES} entries")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip_of(name: Option<&str>) -> Cursor<Vec<u8>> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        if let Some(name) = name {
            writer.start_file(name, SimpleFileOptions::default()).unwrap();
            writer.write_all(b"x").unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn archives_are_known_by_their_content() {
        check(zip_of(Some("confluentinc-kafka-connect-s3/lib/a.jar")), "ZIP").unwrap();
        check(zip_of(Some("com/example/Sink.class")), "JAR").unwrap();
        assert!(check(zip_of(None), "JAR").unwrap_err().contains("empty"));
        assert!(check(Cursor::new(b"not an archive".to_vec()), "ZIP").unwrap_err().contains("no ZIP"));
    }
}
