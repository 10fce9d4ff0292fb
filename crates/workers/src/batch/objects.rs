//! The objects of a topic that hold what was not read yet.
//!
//! An object is named `topics/<topic>/<folders>/<topic>+<partition>+<first offset>.json`, or `.json.gz`. Of a sink that was
//! made again, for offsets that may begin at 0 again, it is `topics/generation=<n>/<topic>/…`. What has one name up to the
//! offset is a *chain*: the sink writes its objects one after the other, in the order of their offsets. With the default
//! partitioner a partition is one chain in each generation; with folders by time or by a field, each folder has one for each
//! partition. Offsets have ten digits, so a chain's objects stand together in a listing and in their order.
//!
//! Nothing is known of a chain but where its reading ended ([`Reached`]): an object and the lines read in it. The listing
//! leaps over what lies before that, so looking for news costs about one call a chain, however many objects there are.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use time::OffsetDateTime;

use super::reached::Reached;
use crate::cleaner::error::TableError;

/// The folder of the bucket in which the sink stores topics.
const FOLDER: &str = "topics";

/// What the folder of a later generation begins with.
const GENERATION: &str = "generation=";

/// Offsets in names are filled up with zeros to so many digits.
const DIGITS: usize = 10;

/// After so many objects of a chain that were read before, the listing leaps to its end. A page has a thousand, so chains
/// of a few objects cost less when they are just passed.
const PASSED: u32 = 64;

/// An object to be read, or to be read on.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its key.
    pub(crate) key: Path,
    /// The chain that it belongs to.
    pub(crate) chain: String,
    /// The offset of its first record.
    pub(crate) first: i64,
    /// Bytes.
    pub(crate) size: u64,
    /// Of its content: it is read only as it was listed.
    pub(crate) etag: Option<String>,
    /// When it was stored.
    pub(crate) modified: OffsetDateTime,
    /// Whether it is packed.
    pub(crate) gzip: bool,
    /// Lines that were read before.
    pub(crate) read: u64,
}

/// What there is to read, in the order of names.
pub(crate) struct Listing {
    store: Arc<dyn ObjectStore>,
    topic: String,
    known: HashMap<String, Reached>,
    /// The generation that is listed: empty for the first, else `generation=<n>/`.
    generation: String,
    /// Those to come, the next one last.
    later: Vec<String>,
    pages: BoxStream<'static, object_store::Result<ObjectMeta>>,
    /// An object that was looked at and is to come once more.
    first: Option<Object>,
    /// The chain that is passed, and how many of its objects were.
    passed: (String, u32),
    /// Objects under the topic that the sink has not named.
    pub(crate) strangers: u64,
}

impl Listing {
    /// Of a topic of which so much is known.
    pub(crate) async fn new(
        store: Arc<dyn ObjectStore>,
        topic: &str,
        known: HashMap<String, Reached>,
    ) -> Result<Listing, TableError> {
        let later = generations(&store).await?;
        let pages = store.list(Some(&Path::from_iter([FOLDER, topic])));
        Ok(Listing {
            store,
            topic: topic.to_owned(),
            known,
            generation: String::new(),
            later,
            pages,
            first: None,
            passed: (String::new(), 0),
            strangers: 0,
        })
    }

    /// The same, with this object before the others.
    pub(crate) fn from(self, first: Object) -> Listing {
        Listing { first: Some(first), ..self }
    }

    /// The next object; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Object>, TableError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            let Some(found) = self.pages.next().await else {
                let Some(generation) = self.later.pop() else { return Ok(None) };
                self.generation = generation;
                self.passed = (String::new(), 0);
                self.pages = self.store.list(Some(&self.folder()));
                continue;
            };
            let found = found.map_err(|source| TableError::Object { doing: "listed", source })?;
            let key = found.location.as_ref();
            let Some(Name { chain: within, first, gzip }) = Name::parse(&self.generation, &self.topic, key) else {
                self.strangers += 1;
                continue;
            };
            let chain = format!("{}{within}", self.generation);
            let Some(first) = first else {
                return Err(TableError::LongOffset { key: found.location.to_string() });
            };
            let mut read = 0;
            if let Some(reached) = self.known.get(&chain) {
                if first < reached.object {
                    let (within, object) = (within.to_owned(), reached.object);
                    self.pass(within, object);
                    continue;
                }
                if first == reached.object {
                    if i64::try_from(found.size) == Ok(reached.size) {
                        continue;
                    }
                    read = reached.lines.unsigned_abs();
                }
            }
            let modified = OffsetDateTime::from_unix_timestamp_nanos(
                i128::from(found.last_modified.timestamp_millis()) * 1_000_000,
            );
            return Ok(Some(Object {
                chain,
                key: found.location,
                first,
                size: found.size,
                etag: found.e_tag,
                modified: modified.unwrap_or(OffsetDateTime::UNIX_EPOCH),
                gzip,
                read,
            }));
        }
    }

    /// Where the objects of the topic are in this generation.
    fn folder(&self) -> Path {
        Path::from(format!("{FOLDER}/{}{}", self.generation, self.topic))
    }

    /// Counts an object that was read before, and leaps to the last one that was when there may be many.
    fn pass(&mut self, chain: String, last: i64) {
        if self.passed.0 != chain {
            self.passed = (chain, 0);
        }
        self.passed.1 += 1;
        if self.passed.1 != PASSED {
            return;
        }
        // Without its ending, the name of the last object sorts just before it.
        let before = format!("{}/{}+{last:0DIGITS$}", self.folder(), self.passed.0);
        if let Ok(before) = Path::parse(before) {
            self.pages = self.store.list_with_offset(Some(&self.folder()), &before);
        }
    }
}

/// The generations that there are besides the first, as what their keys begin with; the last one first.
async fn generations(store: &Arc<dyn ObjectStore>) -> Result<Vec<String>, TableError> {
    let listed = store.list_with_delimiter(Some(&Path::from(FOLDER))).await;
    let listed = listed.map_err(|source| TableError::Object { doing: "listed", source })?;
    let mut numbers: Vec<u32> = Vec::new();
    for folder in &listed.common_prefixes {
        numbers.extend(folder.filename().and_then(|name| name.strip_prefix(GENERATION)?.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers.into_iter().rev().map(|number| format!("{GENERATION}{number}/")).collect())
}

/// The folder of a topic, as people see it.
pub(crate) fn prefix(topic: &str) -> String {
    format!("{FOLDER}/{topic}/")
}

/// What an object's key says.
#[derive(Debug, PartialEq, Eq)]
struct Name<'a> {
    /// Folders within the topic's, topic and partition: `partition=0/pinterest.pin+0`.
    chain: &'a str,
    /// `None` where it has more than ten digits.
    first: Option<i64>,
    gzip: bool,
}

impl<'a> Name<'a> {
    /// `None` for what the sink has not written.
    fn parse(generation: &str, topic: &str, key: &'a str) -> Option<Name<'a>> {
        let rest = key.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_prefix(generation)?;
        let rest = rest.strip_prefix(topic)?.strip_prefix('/')?;
        let (stem, gzip) = match rest.strip_suffix(".json.gz") {
            Some(stem) => (stem, true),
            None => (rest.strip_suffix(".json")?, false),
        };
        let (chain, offset) = stem.rsplit_once('+')?;
        let file = chain.rsplit_once('/').map_or(chain, |(_, file)| file);
        let partition = file.strip_prefix(topic)?.strip_prefix('+')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(partition) || !digits(offset) || offset.len() < DIGITS {
            return None;
        }
        let first = if offset.len() == DIGITS { offset.parse().ok() } else { None };
        Some(Name { chain, first, gzip })
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn names_of_every_partitioner_are_read() {
        let name = |key| Name::parse("", "p.pin", key).map(|name| (name.chain, name.first, name.gzip));
        let plain = "topics/p.pin/partition=3/p.pin+3+0000000162.json";
        assert_eq!(name(plain), Some(("partition=3/p.pin+3", Some(162), false)));
        let by_time = "topics/p.pin/year=2026/month=11/p.pin+0+0000000000.json.gz";
        assert_eq!(name(by_time), Some(("year=2026/month=11/p.pin+0", Some(0), true)));
        assert_eq!(name("topics/p.pin/p.pin+0+0000000007.json"), Some(("p.pin+0", Some(7), false)));
        assert_eq!(name("topics/p.pin/a+b/p.pin+0+10000000000.json"), Some(("a+b/p.pin+0", None, false)));
        let later = "topics/generation=2/p.pin/partition=0/p.pin+0+0000000000.json";
        assert_eq!(name(later), None);
        let later = Name::parse("generation=2/", "p.pin", later);
        assert_eq!(later, Some(Name { chain: "partition=0/p.pin+0", first: Some(0), gzip: false }));
        for key in [
            "topics/p.pin/partition=0/p.geo+0+0000000000.json",
            "topics/p.pin/partition=0/p.pin+0+0000000000.avro",
            "topics/p.pin/partition=0/p.pin+0+12.json",
            "topics/p.pin/partition=0/p.pin+x+0000000012.json",
            "topics/p.pin/partition=0/notes.json",
            "topics/p.pins/partition=0/p.pins+0+0000000000.json",
        ] {
            assert_eq!(name(key), None, "{key}");
        }
    }

    #[tokio::test]
    async fn what_was_read_is_leapt_over() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let put = async |partition: u32, offset: u32, body: &'static str| {
            let key = format!("topics/t/partition={partition}/t+{partition}+{offset:010}.json");
            store.put(&Path::parse(key).unwrap(), body.into()).await.unwrap();
        };
        for partition in 0..3 {
            for offset in 0..200 {
                put(partition, offset * 10, "{}\n").await;
            }
        }
        store.put(&Path::from("topics/t/_note"), "x".into()).await.unwrap();
        let list = async |known: &[(&str, Reached)]| {
            let known = known.iter().map(|(chain, reached)| ((*chain).to_owned(), *reached)).collect();
            let mut listing = Listing::new(store.clone(), "t", known).await.unwrap();
            let mut found = Vec::new();
            while let Some(object) = listing.next().await.unwrap() {
                found.push((object.chain, object.first, object.read));
            }
            (found, listing.strangers)
        };
        let (found, strangers) = list(&[]).await;
        assert_eq!((found.len(), strangers), (600, 1));
        let reached = |object, lines, size| Reached { object, lines, size };
        let known = [
            ("partition=0/t+0", reached(1990, 1, 3)),
            // It was read in part, or has grown since.
            ("partition=1/t+1", reached(1980, 7, -1)),
            ("partition=2/t+2", reached(0, 1, 3)),
        ];
        let (found, _) = list(&known).await;
        let chain = |n| found.iter().filter(|(chain, ..)| *chain == format!("partition={n}/t+{n}")).collect::<Vec<_>>();
        assert_eq!((chain(0).len(), chain(2).len()), (0, 199));
        assert_eq!(chain(1), [&("partition=1/t+1".to_owned(), 1980, 7), &("partition=1/t+1".to_owned(), 1990, 0)]);

        // Generations are chains of their own, in the order of their numbers.
        for (generation, offset) in [(10, 0), (2, 0), (2, 500)] {
            let key = format!("topics/generation={generation}/t/partition=0/t+0+{offset:010}.json");
            store.put(&Path::parse(key).unwrap(), "{}\n".into()).await.unwrap();
        }
        store.put(&Path::from("topics/generation=x/t/partition=0/t+0+0000000000.json"), "{}\n".into()).await.unwrap();
        let read = known.map(|(chain, _)| (chain, reached(1990, 1, 3)));
        let (found, _) = list(&read).await;
        let second = "generation=2/partition=0/t+0".to_owned();
        let tenth = "generation=10/partition=0/t+0".to_owned();
        assert_eq!(found, [(second.clone(), 0, 0), (second, 500, 0), (tenth, 0, 0)]);
    }
}
