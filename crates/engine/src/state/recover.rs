//! What `up --recover` and `down --recover` do to damaged state: it is set aside, never deleted, and a state that records nothing takes its
//! place. The next plan finds what the cloud holds by names and tags.

use time::OffsetDateTime;
use time::macros::format_description;

use super::shelf::{Document, Shelf, ShelfError, When};
use super::snapshot::BadSnapshot;
use super::store::{JOURNAL, SNAPSHOT, StateError, load};
use super::{Lock, Place, State, StateStore};

/// What was done about damaged state.
#[derive(Debug)]
pub struct Recovered {
    /// What was wrong.
    pub damage: StateError,
    /// Where the damaged files are now.
    pub set_aside: Vec<String>,
    /// Whether the new state goes on with the lineage of the old one. With another one, what is hashed with it (values from
    /// the environment) looks changed once.
    pub kept_lineage: bool,
}

impl StateStore {
    /// Where a damaged state says that its stack lives, as far as that can be read; `None` where the state is whole.
    pub fn damaged_place(shelf: &dyn Shelf, stack: &str) -> Result<Option<Place>, StateError> {
        match load(shelf, stack) {
            Err(StateError::Snapshot { source: BadSnapshot::OtherStack { .. }, .. }) | Ok(_) => Ok(None),
            Err(error) if error.is_damage() => {
                Ok(Salvaged::of(shelf.read(SNAPSHOT)?.as_ref(), shelf.read(JOURNAL)?.as_ref()).place)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the state of `stack` as [`StateStore::open`] does. One that is damaged is set aside and begun anew; the second
    /// value says so.
    pub fn recover(lock: Lock, stack: &str) -> Result<(StateStore, Option<Recovered>), StateError> {
        let damage = match load(&**lock.shelf(), stack) {
            Ok(_) => return Ok((StateStore::open(lock, stack)?, None)),
            Err(error) if error.is_damage() => error,
            Err(error) => return Err(error),
        };
        let shelf = &**lock.shelf();
        let (snapshot, journal) = (shelf.read(SNAPSHOT)?, shelf.read(JOURNAL)?);
        let mut set_aside = Vec::new();
        for (document, content) in [(SNAPSHOT, &snapshot), (JOURNAL, &journal)] {
            if let Some(content) = content {
                set_aside.push(copy_aside(shelf, document, content)?);
            }
        }
        // Of another stack's state nothing is ours.
        let theirs = matches!(&damage, StateError::Snapshot { source: BadSnapshot::OtherStack { .. }, .. });
        let salvaged = if theirs { Salvaged::default() } else { Salvaged::of(snapshot.as_ref(), journal.as_ref()) };
        let kept_lineage = salvaged.lineage.is_some();
        let lineage = salvaged.lineage.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let mut state = State::new(stack, lineage);
        state.place = salvaged.place;
        state.serial = salvaged.serial;
        state.token = salvaged.token;
        // Client tokens are made of lineage and step, and what the cloud was told under one must never come again for
        // something else. How many steps there were may be in the damaged part; seconds are always more.
        state.next_step = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(u64::MAX / 2);
        let mut store = StateStore::of(lock, state, snapshot.as_ref(), journal.as_ref())?;
        store.snapshot()?;
        Ok((store, Some(Recovered { damage, set_aside, kept_lineage })))
    }
}

/// Copies a document to a name that says since when it is not used any more. The caller replaces the original.
fn copy_aside(shelf: &dyn Shelf, document: &str, content: &Document) -> Result<String, ShelfError> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let now = OffsetDateTime::now_utc().format(format).expect("a date has all that the format asks for");
    let mut aside = format!("{document}.damaged-{now}");
    let mut copies = 1;
    loop {
        match shelf.write(&aside, &content.bytes, When::Absent) {
            Ok(_) => return Ok(shelf.name(&aside)),
            // Two in one second.
            Err(ShelfError::Changed { .. }) if copies < 100 => {
                copies += 1;
                aside = format!("{document}.damaged-{now}-{copies}");
            }
            Err(error) => return Err(error),
        }
    }
}

/// What can still be read of damaged files.
#[derive(Debug, Default)]
struct Salvaged {
    lineage: Option<String>,
    serial: u64,
    token: u64,
    place: Option<Place>,
}

impl Salvaged {
    fn of(snapshot: Option<&Document>, journal: Option<&Document>) -> Salvaged {
        let texts: Vec<_> = [snapshot, journal]
            .into_iter()
            .flatten()
            .map(|document| String::from_utf8_lossy(&document.bytes))
            .collect();
        let highest = |name| texts.iter().filter_map(|text| first(text, name)?.parse().ok()).max().unwrap_or(0);
        let lineage = texts.iter().find_map(|text| {
            let lineage = first(text, "lineage")?.strip_prefix('"')?.strip_suffix('"')?;
            // Anything shorter was cut off, and anything else was not made by us.
            uuid::Uuid::try_parse(lineage).ok().map(|_| lineage.to_owned())
        });
        let place = texts.iter().find_map(|text| place(text));
        Salvaged { lineage, serial: highest("serial"), token: highest("token"), place }
    }
}

/// Where a text that need not be whole says that the stack lives.
fn place(text: &str) -> Option<Place> {
    let (_, from) = text.split_once("\"place\"")?;
    let from = from.trim_start().strip_prefix(':')?.trim_start().strip_prefix('{')?;
    let from = &from[..=from.find('}')?];
    let value = |name| Some(first(from, name)?.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    Some(Place { target: value("target")?, region: value("region")?, account: value("account")? })
}

/// The first value of the field in a text that need not be whole. These fields come before any that hold people's values.
fn first<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("\"{name}\""))?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = value.find([',', '}', '\n', '\r'])?;
    Some(value[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use serde_json::json;

    use super::super::{Entry, FolderShelf};
    use super::*;
    use crate::{Action, Address};

    fn lock(folder: &Path) -> Lock {
        Lock::take(Arc::new(FolderShelf::new(folder)), "test").unwrap()
    }

    /// A state that was written by some runs, and what it says.
    fn some_state() -> (tempfile::TempDir, State) {
        let folder = tempfile::tempdir().unwrap();
        for step in 1..4 {
            let mut store = StateStore::open(lock(folder.path()), "s").unwrap();
            let [target, region, account] = ["aws", "eu-west-1", "123456789012"].map(str::to_owned);
            let place = Place { target, region, account };
            store.append(vec![Entry::Stack { place, protected: BTreeSet::new() }]).unwrap();
            let address = Address::new("test/thing", format!("n{step}"));
            let inputs = json!({ "lineage": "mine", "serial": 77 });
            let begin = Entry::Begin { step, address, action: Action::Create, id: None, inputs, needs: vec![] };
            store.append(vec![begin]).unwrap();
            store.append(vec![Entry::Failed { step, reason: "no".into() }]).unwrap();
        }
        let state = StateStore::load(&FolderShelf::new(folder.path()), "s").unwrap().unwrap();
        (folder, state)
    }

    fn edit(folder: &Path, name: &str, edit: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
        let damaged = edit(fs::read(folder.join(name)).unwrap());
        fs::write(folder.join(name), &damaged).unwrap();
        damaged
    }

    #[test]
    fn a_state_that_is_whole_stays() {
        let (folder, state) = some_state();
        let (store, recovered) = StateStore::recover(lock(folder.path()), "s").unwrap();
        assert!(recovered.is_none());
        assert_eq!(store.state(), &state);
    }

    #[test]
    fn what_is_damaged_is_set_aside_and_begun_anew_with_its_lineage() {
        type Edit = fn(Vec<u8>) -> Vec<u8>;
        let cases: [(&str, Edit); 4] = [
            (SNAPSHOT, |text| text[..text.len() - 20].to_vec()),
            (SNAPSHOT, |text| String::from_utf8(text).unwrap().replace("\"s\"", "\"S\"").into_bytes()),
            (JOURNAL, |text| String::from_utf8(text).unwrap().replace("\"no\"", "\"on\"").into_bytes()),
            (JOURNAL, |text| [b"\xff\xff\n".to_vec(), text].concat()),
        ];
        for (name, damage) in cases {
            let (folder, before) = some_state();
            let damaged = edit(folder.path(), name, damage);
            let (store, recovered) = StateStore::recover(lock(folder.path()), "s").unwrap();
            let recovered = recovered.unwrap();
            assert!(recovered.kept_lineage, "{name}: {}", recovered.damage);
            assert_eq!(recovered.set_aside.len(), 2);
            let aside = recovered.set_aside.iter().find(|aside| aside.contains(name)).unwrap();
            assert_eq!(fs::read(aside).unwrap(), damaged);
            let state = store.state();
            assert_eq!((&state.lineage, state.resources.len()), (&before.lineage, 0));
            assert_eq!(state.place, before.place, "{name}");
            assert!(state.next_step > before.next_step && state.serial > before.serial && state.token > before.token);
            let expected = store.close().unwrap();
            assert_eq!(StateStore::load(&FolderShelf::new(folder.path()), "s").unwrap(), Some(expected));
        }
    }

    #[test]
    fn of_what_cannot_be_read_at_all_nothing_is_kept() {
        let (folder, before) = some_state();
        edit(folder.path(), SNAPSHOT, |_| vec![0; 400]);
        fs::remove_file(folder.path().join(JOURNAL)).unwrap();
        let (store, recovered) = StateStore::recover(lock(folder.path()), "s").unwrap();
        let recovered = recovered.unwrap();
        assert!(!recovered.kept_lineage);
        assert_eq!(recovered.set_aside.len(), 1);
        assert_ne!(store.state().lineage, before.lineage);
    }

    #[test]
    fn another_stacks_lineage_is_not_taken() {
        let (folder, theirs) = some_state();
        let (store, recovered) = StateStore::recover(lock(folder.path()), "t").unwrap();
        assert!(!recovered.unwrap().kept_lineage);
        assert_ne!(store.state().lineage, theirs.lineage);
        assert_eq!(store.state().stack, "t");
    }

    #[test]
    fn a_newer_programs_state_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SNAPSHOT), "{\"format\": 99}").unwrap();
        assert!(StateStore::recover(lock(folder.path()), "s").is_err());
        assert_eq!(fs::read_to_string(folder.path().join(SNAPSHOT)).unwrap(), "{\"format\": 99}");
    }

    #[test]
    fn damage_twice_in_a_second_is_set_aside_twice() {
        let (folder, _) = some_state();
        for _ in 0..2 {
            edit(folder.path(), SNAPSHOT, |_| b"{".to_vec());
            StateStore::recover(lock(folder.path()), "s").unwrap().0.close().unwrap();
        }
        let aside = fs::read_dir(folder.path()).unwrap().filter_map(Result::ok);
        let aside = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("state.json.damaged-"));
        assert_eq!(aside.count(), 2);
    }
}
