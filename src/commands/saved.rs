//! Saved plans: `plan --out` writes what a plan was made from, `up --plan` makes it again and does it when all is as it was.
//!
//! The file holds hashes and addresses alone (`pinfra_engine::Fingerprint`): it can be kept, sent and shown, and says which
//! resources have moved. What it was made from is read anew, so the stack file, and what it names, have to be there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use pinfra_engine::state::Place;
use pinfra_engine::{Fingerprint, Moved, State};
use serde::{Deserialize, Serialize};

use super::files;
use super::plan::Planned;
use crate::report::Failure;

/// What is said where a plan cannot be saved.
pub(super) const CANNOT_WRITE: &str = "cannot write the plan";

/// The version of the file's format.
const FORMAT: u32 = 1;

/// What has moved is told of so many resources; there may be hundreds.
const MOST_TOLD: usize = 12;

/// A plan that was saved.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    /// The file's format.
    pinfra_plan: u32,
    /// The program that made it.
    version: String,
    /// Where it is to be carried out.
    place: Place,
    /// What its hashes are keyed with.
    key: String,
    /// What it was made from.
    made_from: Fingerprint,
}

/// Saves the plan that `made_from` tells the fingerprint of, given the key for its hashes.
pub(super) fn write(path: &Path, place: &Place, made_from: impl Fn(&str) -> Fingerprint) -> Result<(), Failure> {
    let key = uuid::Uuid::new_v4().to_string();
    let saved = Saved {
        pinfra_plan: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        place: place.clone(),
        made_from: made_from(&key),
        key,
    };
    let mut text =
        serde_json::to_string_pretty(&saved).expect("texts, numbers and maps with text keys have a JSON form");
    text.push('\n');
    put(path, &text).map_err(|error| files::failure(CANNOT_WRITE, path, &error))
}

/// Whole or not at all, and for its owner's eyes.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let put = written.and_then(|()| fs::rename(&temporary, path));
    if put.is_err() {
        // What is left of it is of no use, and why it was not written is told.
        let _ = fs::remove_file(&temporary);
    }
    put
}

/// Reads a plan that was saved.
pub(super) fn read(path: &Path) -> Result<Saved, Failure> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| {
        let hint = format!("`pinfra plan STACK.yaml --out {shown}` saves one");
        files::failure("cannot read the plan", path, &error).hint(hint)
    })?;
    let saved: Saved = serde_json::from_slice(&text).map_err(|error| {
        Failure::new(format!("`{shown}` is not a saved plan: {error}"))
            .hint("`pinfra plan STACK.yaml --out FILE` saves one")
    })?;
    let this = env!("CARGO_PKG_VERSION");
    if saved.pinfra_plan != FORMAT || saved.version != this {
        let message = format!("`{shown}` was made by pinfra {}, and this is {this}", saved.version);
        return Err(Failure::new(message).hint("plan again with this version"));
    }
    Ok(saved)
}

impl Saved {
    /// Whether this is what was planned now; says what has moved when it is not.
    pub(super) fn is_of(&self, now: &Planned, state: &State) -> Result<(), Failure> {
        if self.place != now.place {
            let named = |place: &Place| format!("`{}` in `{}`, account {}", place.target, place.region, place.account);
            let message = format!("the plan is for {}, and this is {}", named(&self.place), named(&now.place));
            return Err(Failure::new(message).hint("name the target and the credentials that it was made with"));
        }
        let made_from = Fingerprint::of(&self.key, &now.graph, state, &now.observed, &now.plan);
        let moved = self.made_from.moved(&made_from);
        if moved.is_empty() {
            return Ok(());
        }
        let more = moved.len().saturating_sub(MOST_TOLD);
        let mut causes: Vec<String> = moved.iter().take(MOST_TOLD).map(Moved::to_string).collect();
        if more > 0 {
            causes.push(format!("and {more} more"));
        }
        Err(Failure::Message {
            message: "the saved plan is of a world that has moved, so nothing was done".to_owned(),
            causes,
            hint: Some("plan again, and look at what has become of it".to_owned()),
        })
    }
}
