//! Where the states of stacks are kept: in a folder of this machine, or in a bucket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinfra_aws::state::S3Home;
use pinfra_engine::state::{FolderShelf, Shelf};

use crate::cli::StateArg;
use crate::report::Failure;

/// What is local even where state is in S3: the local cloud, packed programs.
pub(super) const WORK: &str = ".pinfra";

/// A place that holds the state of each stack under its name.
#[derive(Debug)]
pub(super) enum Home {
    /// A folder of this machine; it need not be there.
    Folder(PathBuf),
    /// A bucket and a folder in it.
    S3(S3Home),
}

impl Home {
    /// The place of the command line. One in S3 is looked for.
    pub(super) fn open(place: &StateArg) -> Result<Home, Failure> {
        match place {
            StateArg::Folder(folder) => Ok(Home::Folder(folder.clone())),
            StateArg::S3(location) => Ok(Home::S3(S3Home::open(location.clone())?)),
        }
    }

    /// The shelf of one stack.
    pub(super) fn shelf(&self, stack: &str) -> Arc<dyn Shelf> {
        match self {
            Home::Folder(folder) => Arc::new(FolderShelf::new(folder.join(stack))),
            Home::S3(home) => Arc::new(home.shelf(stack)),
        }
    }

    /// The names under which there is anything, in order; not all need be stacks.
    pub(super) fn names(&self) -> Result<Vec<String>, Failure> {
        match self {
            Home::Folder(folder) => Ok(folders(folder)),
            Home::S3(home) => Ok(home.folders()?),
        }
    }

    /// What people should know of the place before they trust it with state.
    pub(super) fn concerns(&self) -> Vec<String> {
        match self {
            Home::Folder(_) => Vec::new(),
            Home::S3(home) => home.concerns(),
        }
    }

    /// The bucket, where it is one.
    pub(super) fn bucket(&self) -> Option<&str> {
        match self {
            Home::Folder(_) => None,
            Home::S3(home) => Some(&home.location().bucket),
        }
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Home::Folder(folder) => write!(f, "{}", folder.display()),
            Home::S3(home) => write!(f, "{}", home.location()),
        }
    }
}

/// The names in a folder; none where there is no folder.
fn folders(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
