//! What a graph depends on beside the stack file: the program that is deployed, and the files that the stack file names.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Contents of files, as hashes where they are large. Whoever plans collects them; expanding opens no file.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What runs on the client machine.
    pub program: ProgramFile,
    /// The public SSH key that `client.key` names.
    pub public_key: Option<String>,
    /// The SQLite database that `workers.emulator.source` names.
    pub source: Option<SourceFile>,
    /// The cleaning SQL by table.
    pub cleaning: BTreeMap<String, String>,
}

/// The program as it is deployed.
#[derive(Clone, Debug, Default)]
pub struct ProgramFile {
    /// The SHA-256 of the program itself, in hex.
    pub sha256: String,
    /// Where it lies gzipped.
    pub packed: PathBuf,
    /// The SHA-256 of that file.
    pub packed_sha256: String,
}

/// A file that is uploaded as it is.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The SHA-256 of its content, in hex.
    pub sha256: String,
}
