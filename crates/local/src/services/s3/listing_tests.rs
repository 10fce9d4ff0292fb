//! Properties of listings: whatever the keys, pages joined are the sorted model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::blobs::Blobs;
use super::index::{Index, Refusal};
use super::listing::{Entry, Query, list_objects, list_uploads, list_versions};
use super::records::{UploadRecord, VersionRecord, Versioning};

/// What a model of the bucket lists: names, and groups by the delimiter.
fn model(keys: impl Iterator<Item = String>, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
    let grouped = keys.filter(|key| key.starts_with(prefix)).map(|key| {
        let rest = &key[prefix.len()..];
        match delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len())) {
            Some(end) => key[..prefix.len() + end].to_owned(),
            None => key,
        }
    });
    let names: BTreeSet<Vec<u8>> = grouped.map(String::into_bytes).collect();
    names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
}

/// Few letters, so that prefixes, groups and neighbours happen; the last code point there is, for the seeks.
fn key() -> impl Strategy<Value = String> {
    let part = proptest::sample::select(vec!["a", "b", "/", "//", "\u{1}", "+", "ü", "\u{10FFFF}"]);
    proptest::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

fn pages(index: &Index, mut query: Query) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let page = index.look(|read| list_objects(read, &query)).unwrap();
        assert!(page.entries.len() <= query.limit);
        seen.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
        if !page.truncated {
            return seen;
        }
        query.after = page.last_name().unwrap().to_owned();
    }
}

fn opened(folder: &std::path::Path) -> Index {
    let blobs = Arc::new(Blobs::open(folder.join("blobs")).unwrap());
    Index::open(&folder.join("index.redb"), blobs).unwrap()
}

fn change(index: &Index, work: impl FnOnce(&super::index::Writer<'_>) -> Result<(), Refusal> + Send + 'static) {
    futures::executor::block_on(index.change(vec![], work)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pages_of_objects_join_to_the_model(
        // Each key has some versions; the newest of every third is a delete marker.
        keys in proptest::collection::btree_map(key(), (1_usize..4, 0_u8..3), 0..30),
        queries in proptest::collection::vec((key(), any::<bool>(), 1_usize..6, 0_u8..3), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let index = opened(folder.path());
        let written = keys.clone();
        change(&index, move |writer| {
            for (key, (versions, kind)) in &written {
                for version in 1..=*versions {
                    let delete_marker = *kind == 0 && version == *versions;
                    let record = VersionRecord { delete_marker, ..VersionRecord::default() };
                    writer.put_version(Versioning::Enabled, "lake", key, record)?;
                }
            }
            // Neighbours in the table that are none of this bucket's business.
            writer.put_version(Versioning::Off, "lake2", "a", VersionRecord::default())?;
            writer.put_version(Versioning::Off, "lak", "z", VersionRecord::default())?;
            Ok(())
        });
        let present = || keys.iter().filter(|(_, (_, kind))| *kind != 0).map(|(key, _)| key.clone());
        for (prefix, all, limit, delimiter) in queries {
            let prefix = if all { String::new() } else { prefix };
            let delimiter = [None, Some("/"), Some("//")][usize::from(delimiter)];
            let query = Query {
                bucket: "lake".to_owned(),
                prefix: prefix.clone(),
                delimiter: delimiter.map(str::to_owned),
                after: String::new(),
                limit,
            };
            let expected = model(present(), &prefix, delimiter);
            prop_assert_eq!(pages(&index, query), expected, "prefix {:?} delimiter {:?}", prefix, delimiter);
        }
        // From any name, listed or not, exactly what is greater follows.
        for after in keys.keys().chain([&"zz".to_owned()]) {
            let query = Query { bucket: "lake".to_owned(), after: after.clone(), limit: 1000, ..Query::default() };
            let expected: Vec<String> = model(present().filter(|key| key.as_bytes() > after.as_bytes()), "", None);
            prop_assert_eq!(pages(&index, query), expected);
        }
    }

    #[test]
    fn pages_of_versions_and_uploads_join_to_the_model(
        keys in proptest::collection::btree_map(key(), 1_usize..4, 0..12),
        limit in 1_usize..4,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let index = opened(folder.path());
        let written = keys.clone();
        change(&index, move |writer| {
            for (key, count) in &written {
                for number in 0..*count {
                    let record = VersionRecord { size: number as u64, ..VersionRecord::default() };
                    writer.put_version(Versioning::Enabled, "lake", key, record)?;
                    let upload = UploadRecord {
                        initiated_millis: 0,
                        description: Default::default(),
                        tags: vec![],
                        checksum_algorithm: None,
                        checksum_type: None,
                    };
                    writer.put_upload("lake", key, &format!("id{number}"), &upload)?;
                }
            }
            Ok(())
        });
        let by_bytes: BTreeMap<Vec<u8>, usize> = keys.iter().map(|(key, count)| (key.clone().into_bytes(), *count)).collect();
        let mut query = Query { bucket: "lake".to_owned(), limit, ..Query::default() };

        let (mut seen, mut version) = (Vec::new(), None::<String>);
        loop {
            let page = index.look(|read| list_versions(read, &query, version.as_deref())).unwrap();
            for entry in &page.entries {
                let Entry::One(key, listed) = entry else { panic!("no delimiter was given") };
                seen.push((key.clone().into_bytes(), listed.record.size as usize, listed.is_latest));
                (query.after, version) = (key.clone(), Some(listed.record.version_name().to_owned()));
            }
            if !page.truncated {
                break;
            }
        }
        let newest_first = by_bytes.iter().flat_map(|(key, count)| {
            (0..*count).rev().map(move |number| (key.clone(), number, number + 1 == *count))
        });
        prop_assert_eq!(seen, newest_first.collect::<Vec<_>>());

        let (mut seen, mut upload) = (Vec::new(), None::<String>);
        query.after = String::new();
        loop {
            let page = index.look(|read| list_uploads(read, &query, upload.as_deref())).unwrap();
            for entry in &page.entries {
                let Entry::One(key, (id, _)) = entry else { panic!("no delimiter was given") };
                seen.push((key.clone().into_bytes(), id.clone()));
                (query.after, upload) = (key.clone(), Some(id.clone()));
            }
            if !page.truncated {
                break;
            }
        }
        let expected = by_bytes.iter().flat_map(|(key, count)| (0..*count).map(move |number| (key.clone(), format!("id{number}"))));
        prop_assert_eq!(seen, expected.collect::<Vec<_>>());
    }
}
