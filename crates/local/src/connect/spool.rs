//! The bytes of an object that is still open: in memory while they are few, then in a file without a name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// What an open object may take of memory. Connect itself buffers a part of the upload, 25 MB by default.
const IN_MEMORY: usize = 4 << 20;

/// Where files are made: `<data_dir>/connect/spool`.
#[derive(Clone, Debug)]
pub(super) struct SpoolFolder(Arc<PathBuf>);

impl SpoolFolder {
    pub(super) fn of(data_dir: &Path) -> SpoolFolder {
        SpoolFolder(Arc::new(folder(data_dir)))
    }
}

/// Removes what a kill may have left there.
pub(crate) fn clear(data_dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder(data_dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("connect").join("spool")
}

/// Bytes that are being written.
#[derive(Debug)]
pub(super) struct Spool {
    folder: SpoolFolder,
    memory: Vec<u8>,
    file: Option<File>,
}

/// Bytes that are complete; they can be read more than once.
#[derive(Clone, Debug)]
pub(super) enum Spooled {
    Memory(Bytes),
    File(Arc<File>),
}

impl Spool {
    pub(super) fn new(folder: SpoolFolder) -> Spool {
        Spool { folder, memory: Vec::new(), file: None }
    }

    /// No more is written.
    pub(super) fn finish(mut self) -> io::Result<Spooled> {
        match self.file.take() {
            None => Ok(Spooled::Memory(Bytes::from(self.memory))),
            Some(mut file) => {
                file.write_all(&self.memory)?;
                Ok(Spooled::File(Arc::new(file)))
            }
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(nameless(&self.folder.0)?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY {
            self.spill()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spooled {
    /// All bytes from the start. One reader at a time.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read>> {
        match self {
            Spooled::Memory(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Spooled::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                Ok(Box::new(file))
            }
        }
    }

    /// What it takes of memory.
    pub(super) fn in_memory(&self) -> usize {
        match self {
            Spooled::Memory(bytes) => bytes.len(),
            Spooled::File(_) => 0,
        }
    }
}

/// A file that goes with its last handle.
fn nameless(folder: &Path) -> io::Result<File> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spilled_is_read_whole_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(SpoolFolder::of(folder.path()));
        let block: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for _ in 0..9 {
            spool.write_all(&block).unwrap();
        }
        assert!(spool.memory.len() <= IN_MEMORY + block.len());
        let spooled = spool.finish().unwrap();
        assert_eq!(spooled.in_memory(), 0);
        for _ in 0..2 {
            let mut read = Vec::new();
            spooled.reader().unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, block.repeat(9));
        }
        clear(folder.path()).unwrap();
        clear(folder.path()).unwrap();
    }
}
