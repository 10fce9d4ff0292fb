//! What the lake wants of this machine. A manifest that cannot be read or understood leaves its worker as it was: it
//! ends only when its manifest is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::lake::{Lake, LakeError, Listed, MAX_MANIFEST};
use crate::config::Manifest;

/// A worker that is wanted.
#[derive(Debug, PartialEq)]
pub(super) struct Assignment {
    /// What it is to do.
    pub(super) manifest: Manifest,
    /// The SHA-256 of the manifest object.
    pub(super) hash: String,
}

/// All manifests, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    known: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
struct Known {
    etag: String,
    /// The last that was understood.
    wanted: Option<Arc<Assignment>>,
    /// What is wrong with the one that is there now.
    error: Option<String>,
}

impl Manifests {
    /// Asks the lake; reads only what has changed.
    pub(super) async fn refresh(&mut self, lake: &Lake) -> Result<(), LakeError> {
        let listed = lake.list().await?;
        for changed in self.take_up(&listed) {
            if changed.size > MAX_MANIFEST {
                self.learn(&changed, Err(format!("it is larger than {MAX_MANIFEST} bytes")));
                continue;
            }
            // Gone since it was listed: the next listing says so.
            let Some(body) = lake.manifest(&changed.name).await? else { continue };
            self.learn(&changed, understand(&changed.name, &body));
        }
        Ok(())
    }

    /// Forgets what is listed no more and returns what has changed.
    fn take_up(&mut self, listed: &[Listed]) -> Vec<Listed> {
        let names: BTreeSet<&str> = listed.iter().map(|listed| listed.name.as_str()).collect();
        self.known.retain(|name, _| names.contains(name.as_str()));
        let is_known = |listed: &&Listed| self.known.get(&listed.name).is_some_and(|known| known.etag == listed.etag);
        listed.iter().filter(|listed| !is_known(listed)).cloned().collect()
    }

    fn learn(&mut self, listed: &Listed, understood: Result<Assignment, String>) {
        let known = self.known.entry(listed.name.clone()).or_default();
        known.etag.clone_from(&listed.etag);
        match understood {
            Ok(assignment) => {
                known.error = None;
                known.wanted = Some(Arc::new(assignment));
            }
            Err(error) => known.error = Some(error),
        }
    }

    /// The workers that are wanted, by name.
    pub(super) fn wanted(&self) -> BTreeMap<String, Arc<Assignment>> {
        let wanted = |known: &Known| known.wanted.clone();
        self.known.iter().filter_map(|(name, known)| Some((name.clone(), wanted(known)?))).collect()
    }

    /// The programs that they run as.
    pub(super) fn programs(&self) -> BTreeSet<String> {
        self.known.values().filter_map(|known| Some(known.wanted.as_ref()?.manifest.program.sha256.clone())).collect()
    }

    /// What is wrong with manifests, if anything.
    pub(super) fn error(&self) -> Option<String> {
        let errors = self.known.iter().filter_map(|(name, known)| {
            let error = known.error.as_ref()?;
            Some(format!("the manifest of `{name}` cannot be used: {error}"))
        });
        let errors: Vec<String> = errors.collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }
}

fn understand(name: &str, body: &[u8]) -> Result<Assignment, String> {
    let manifest: Manifest = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if manifest.name != name {
        return Err(format!("it is for `{}`", manifest.name));
    }
    if !is_sha256(&manifest.program.sha256) {
        return Err(format!("`{}` is not a SHA-256 in hex", manifest.program.sha256));
    }
    Ok(Assignment { manifest, hash: hex::encode(Sha256::digest(body)) })
}

/// Whether this is a SHA-256 in small hex: programs' files are called so.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(name: &str, etag: &str) -> Listed {
        Listed { name: name.to_owned(), etag: etag.to_owned(), size: 10 }
    }

    fn body(name: &str, rate: u32) -> Vec<u8> {
        let program = json!({"key": "_pinfra/bin/x.gz", "sha256": "a".repeat(64)});
        json!({"name": name, "worker": "emulator", "program": program, "config": {"rate": rate}}).to_string().into()
    }

    #[test]
    fn only_what_has_changed_is_read_again() {
        let mut manifests = Manifests::default();
        let (a, b) = (listed("a", "1"), listed("b", "1"));
        assert_eq!(manifests.take_up(&[a.clone(), b.clone()]), [a.clone(), b.clone()]);
        manifests.learn(&a, understand("a", &body("a", 1)));
        // `b` could not be read: it stays unknown, and the next round tries again.
        assert_eq!(manifests.take_up(&[a.clone(), b.clone()]), [b]);
        let changed = listed("a", "2");
        assert_eq!(manifests.take_up(std::slice::from_ref(&changed)), [changed]);
    }

    #[test]
    fn a_worker_ends_with_its_manifest_and_not_with_a_broken_one() {
        let mut manifests = Manifests::default();
        manifests.learn(&listed("a", "1"), understand("a", &body("a", 1)));
        manifests.learn(&listed("a", "2"), understand("a", b"{"));
        manifests.learn(&listed("b", "1"), understand("b", &body("a", 1)));
        assert_eq!(manifests.wanted().keys().collect::<Vec<_>>(), ["a"]);
        let error = manifests.error().unwrap();
        assert!(error.contains("`a` cannot be used: EOF") && error.contains("`b` cannot be used: it is for `a`"));
        assert_eq!(manifests.take_up(&[]), []);
        assert_eq!((manifests.wanted().len(), manifests.error()), (0, None));
    }

    #[test]
    fn a_hash_names_a_file_and_nothing_else() {
        assert!(is_sha256(&"0f".repeat(32)));
        for wrong in ["", "../x", &"0F".repeat(32), &"0".repeat(63)] {
            assert!(!is_sha256(wrong), "{wrong}");
        }
    }
}
