//! The keys of one section: which are known, which were given, which nobody may forget.

use std::rc::Rc;

use schemars::JsonSchema;
use serde::de::value::{Error as SerdeError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde_json::{Map, Value as Json};

use super::nearest::{alternatives, nearest, quoted};
use super::node::{Data, Entry, Node};
use super::place::{Place, Spanned};
use super::problem::Problem;
use super::reader::Reader;
use super::value::Value;

/// The entries of a mapping and the JSON Schema properties it is read by.
pub(super) struct Fields<'n> {
    entries: Vec<(String, &'n Entry)>,
    properties: Rc<Map<String, Json>>,
    /// The section in back-ticks, such as `` `streams` ``, or what the whole file is called.
    what: String,
    /// Where the section is.
    pub(super) place: Place,
    /// Known keys that a misspelt key was taken for.
    meant: Vec<String>,
    taken: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    pub(super) fn new(
        reader: &mut Reader<'_>,
        entries: &'n [Entry],
        properties: Rc<Map<String, Json>>,
        what: &str,
        place: Place,
    ) -> Self {
        let entries = named_entries(reader, entries, what);
        let mut fields = Self {
            entries: Vec::new(),
            properties,
            what: what.to_owned(),
            place,
            meant: Vec::new(),
            taken: Vec::new(),
        };
        for (key, entry) in entries {
            if fields.properties.contains_key(&key) {
                fields.entries.push((key, entry));
            } else {
                fields.report_unknown(reader, &key, entry.key.place);
            }
        }
        fields
    }

    fn report_unknown(&mut self, reader: &mut Reader<'_>, key: &str, place: Place) {
        let known: Vec<&str> = self.properties.keys().map(String::as_str).collect();
        let near = nearest(key, known.iter().copied());
        let problem = Problem::error(format!("unknown key {} in {}", quoted(key), self.what));
        let label = near.map_or("not known".to_owned(), |near| format!("did you mean `{near}`?"));
        // With the right word found, the list of all would only be in its way.
        let help =
            near.is_none().then(|| format!("{} may have {}", self.what, alternatives(&known).replace(" or ", " and ")));
        reader.report(problem.at(place, label).maybe_help(help));
        self.meant.extend(near.map(str::to_owned));
    }

    /// The value of a key, when it was given.
    pub(super) fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        debug_assert!(self.properties.contains_key(key), "`{key}` is read and not in the schema of {}", self.what);
        self.taken.push(key);
        self.entry(key).map(|entry| &entry.node)
    }

    /// The value of a key without which the section means nothing.
    pub(super) fn required(&mut self, reader: &mut Reader<'_>, key: &'static str, help: &str) -> Option<&'n Node> {
        let node = self.node(key);
        if node.is_none() && !self.meant.iter().any(|meant| meant == key) {
            let problem = Problem::error(format!("`{key}` is missing in {}", self.what));
            reader.report(problem.at(self.place, format!("no `{key}` here")).help(help));
        }
        node
    }

    /// Where a key stands, when it was given.
    pub(super) fn key_place(&self, key: &str) -> Option<Place> {
        self.entry(key).map(|entry| entry.key.place)
    }

    /// The key as messages call it: `` `streams.shards` ``, or `` `name` `` at the top.
    pub(super) fn called(&self, key: &str) -> String {
        match self.what.strip_prefix('`').and_then(|what| what.strip_suffix('`')) {
            Some(section) => format!("`{section}.{key}`"),
            None => format!("`{key}`"),
        }
    }

    /// A whole number, when it was given; its range is the schema's.
    pub(super) fn optional_whole(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Value<u32>> {
        let node = self.node(key)?;
        let bound =
            |name: &str, otherwise: i128| self.rule(key, name).and_then(Json::as_i64).map_or(otherwise, i128::from);
        let (least, most) = (bound("minimum", 0), bound("maximum", u32::MAX.into()));
        reader.whole(node, &self.called(key), least, most)
    }

    /// A whole number, by default the schema's.
    pub(super) fn whole(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Value<u32> {
        let given = self.optional_whole(reader, key);
        given.unwrap_or_else(|| {
            let default =
                self.rule(key, "default").and_then(Json::as_u64).and_then(|default| u32::try_from(default).ok());
            debug_assert!(default.is_some(), "`{key}` has no default in the schema of {}", self.what);
            Value::written(default.unwrap_or_default(), self.place)
        })
    }

    /// `true` or `false`, by default the schema's.
    pub(super) fn flag(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Value<bool> {
        let given = self.node(key).and_then(|node| reader.flag(node, &self.called(key)));
        let default = self.rule(key, "default").and_then(Json::as_bool).unwrap_or_default();
        given.unwrap_or_else(|| Value::written(default, self.place))
    }

    /// Text, when it was given.
    pub(super) fn text(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Value<String>> {
        let node = self.node(key)?;
        reader.text(node, &self.called(key))
    }

    /// Text that is one of the words of a list.
    pub(super) fn word(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        what: &str,
        words: &[&str],
    ) -> Option<Value<String>> {
        let text = self.text(reader, key)?;
        reader.is_one_of(&text, what, words).then_some(text)
    }

    /// Text that names something, when it was given; never from the environment.
    pub(super) fn identity(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Spanned<String>> {
        let node = self.node(key)?;
        reader.identity(node, &self.called(key))
    }

    /// One of an enum's variants; their names are those of the enum's own schema, the default is its `Default`.
    pub(super) fn choice<T>(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Value<T>
    where
        T: JsonSchema + DeserializeOwned + Default,
    {
        let default = Value::written(T::default(), self.place);
        let Some(text) = self.text(reader, key) else { return default };
        let names = variants::<T>();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let called = self.called(key);
        if !reader.is_one_of(&text, &format!("value of {called}"), &names) {
            return default;
        }
        let deserializer: StrDeserializer<'_, SerdeError> = text.get().as_str().into_deserializer();
        T::deserialize(deserializer).map_or(default, |choice| text.map(|_| choice))
    }

    /// Every key of the schema has to have been read by now.
    pub(super) fn finish(self) {
        debug_assert!(
            self.properties.keys().all(|key| self.taken.contains(&key.as_str())),
            "not all keys of the schema of {} are read: {:?}",
            self.what,
            self.taken
        );
    }

    fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, entry)| *entry)
    }

    fn rule(&self, key: &str, name: &str) -> Option<&Json> {
        self.properties.get(key)?.get(name)
    }
}

/// Entries with their keys as text; keys that are no text, and all but the first of a repeated key, are reported and left out.
pub(super) fn named_entries<'n>(reader: &mut Reader<'_>, entries: &'n [Entry], what: &str) -> Vec<(String, &'n Entry)> {
    let mut named: Vec<(String, &'n Entry)> = Vec::with_capacity(entries.len());
    let mut first: std::collections::HashMap<String, Place> = std::collections::HashMap::new();
    for entry in entries {
        let key = match &entry.key.data {
            Data::Text(text) => text.clone(),
            Data::List(_) | Data::Map(_) => {
                let problem = Problem::error(format!("a key of {what} is not text"));
                reader.report(problem.at(entry.key.place, format!("expected text, found {}", entry.key.found())));
                continue;
            }
            _ => entry.key.written(reader.source).to_owned(),
        };
        if let Some(earlier) = first.get(&key) {
            reader.report(
                Problem::error(format!("{} is given twice in {what}", quoted(&key)))
                    .at(entry.key.place, "given again here")
                    .at(*earlier, "first given here")
                    .help("keep one of them"),
            );
            continue;
        }
        first.insert(key.clone(), entry.key.place);
        named.push((key, entry));
    }
    named
}

/// The names of an enum's variants, from its schema.
fn variants<T: JsonSchema>() -> Vec<String> {
    let schema = schemars::schema_for!(T);
    let text = |json: &Json| json.as_str().map(str::to_owned);
    match (schema.get("enum").and_then(Json::as_array), schema.get("oneOf").and_then(Json::as_array)) {
        (Some(names), _) => names.iter().filter_map(text).collect(),
        (_, Some(variants)) => variants.iter().filter_map(|variant| text(variant.get("const")?)).collect(),
        _ => Vec::new(),
    }
}
