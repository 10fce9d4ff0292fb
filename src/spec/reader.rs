//! Reading typed values out of the tree, collecting every problem on the way.
//!
//! A section's type derives its JSON Schema, and that schema is what it is read by: the keys that are known, their ranges,
//! their defaults and their choices come from it. So `pinfra schema` cannot say anything else than what is enforced.
//! In debug builds, a key of the schema that nobody reads, or the other way round, is an assertion.

use std::any::TypeId;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use schemars::JsonSchema;
use serde_json::{Map, Value as Json};

use super::environment::{expand, mentions_variable};
use super::fields::Fields;
use super::nearest::{alternatives, nearest, quoted};
use super::node::{Data, Node};
use super::place::{Place, Spanned};
use super::problem::Problem;
use super::source::Source;
use super::value::Value;

/// What the sections are read with.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    /// The folder of the stack file, which paths are relative to.
    pub(super) folder: &'a Path,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) problems: Vec<Problem>,
    schemas: HashMap<TypeId, Rc<Map<String, Json>>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source, folder: &'a Path, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { source, folder, env, problems: Vec::new(), schemas: HashMap::new() }
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The JSON Schema properties of a section's type.
    pub(super) fn properties<T: JsonSchema + 'static>(&mut self) -> Rc<Map<String, Json>> {
        let properties = || {
            let schema = schemars::schema_for!(T);
            let properties = schema.get("properties").and_then(Json::as_object).cloned();
            Rc::new(properties.unwrap_or_default())
        };
        Rc::clone(self.schemas.entry(TypeId::of::<T>()).or_insert_with(properties))
    }

    /// The fields of a mapping that is to become a `T`, with unknown and repeated keys reported.
    pub(super) fn fields<'n, T: JsonSchema + 'static>(&mut self, node: &'n Node, what: &str) -> Option<Fields<'n>> {
        let Data::Map(entries) = &node.data else {
            self.wrong_type(node, what, "a mapping");
            return None;
        };
        let properties = self.properties::<T>();
        Some(Fields::new(self, entries, properties, what, node.place))
    }

    /// Says that a node is not what was expected.
    pub(super) fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        let written = node.written(self.source).to_owned();
        let problem = match &node.data {
            Data::Null if expected == "a mapping" => Problem::error(format!("{what} is empty"))
                .at(node.place, "expected a mapping, found nothing")
                .help("write `{}` after the `:` for its defaults, or leave it out"),
            Data::Null => Problem::error(format!("{what} has no value"))
                .at(node.place, format!("expected {expected}, found nothing")),
            Data::Text(text) if mentions_variable(text) => {
                Problem::error(format!("{what} is not {expected}")).at(node.place, format!("expected {expected}"))
            }
            found => {
                let help = match (expected, found) {
                    ("text", Data::Flag(_) | Data::Whole(_) | Data::Number) => {
                        Some(format!("put it in quotes: \"{written}\""))
                    }
                    ("true or false", Data::Text(text)) => truth(text).map(|truth| format!("write `{truth}`")),
                    ("a whole number", Data::Text(text)) if text.trim().parse::<u64>().is_ok() => {
                        Some(format!("write it without quotes: `{}`", text.trim()))
                    }
                    ("a list", Data::Text(_) | Data::Whole(_)) => Some(format!("a list of one is `[{written}]`")),
                    _ => None,
                };
                let label = format!("expected {expected}, found {}", node.found());
                Problem::error(format!("{what} is not {expected}")).at(node.place, label).maybe_help(help)
            }
        };
        self.report(problem);
    }

    /// Text, with its variables replaced.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<Value<String>> {
        let Data::Text(text) = &node.data else {
            self.wrong_type(node, what, "text");
            return None;
        };
        match expand(text, self.env) {
            Ok(expanded) => Some(Value::new(expanded.text, expanded.from_env, node.place)),
            Err(refused) => {
                self.report(Problem::error(refused.message).at(node.place, refused.label).help(refused.help));
                None
            }
        }
    }

    /// Text that identifies something: it is printed and recorded, so it cannot come from the environment.
    pub(super) fn identity(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        if let Data::Text(text) = &node.data
            && mentions_variable(text)
        {
            self.report(variable_refused(what, node.place));
            return None;
        }
        self.text(node, what).map(|text| Spanned::new(text.get().clone(), node.place))
    }

    /// A whole number between two bounds.
    pub(super) fn whole(&mut self, node: &Node, what: &str, least: i128, most: i128) -> Option<Value<u32>> {
        let number = match &node.data {
            Data::Whole(number) => Value::written(*number, node.place),
            Data::Text(text) if mentions_variable(text) => {
                let text = self.text(node, what)?;
                let Ok(number) = text.get().trim().parse::<i128>() else {
                    self.wrong_type(node, what, "a whole number");
                    return None;
                };
                text.map(|_| number)
            }
            _ => {
                self.wrong_type(node, what, "a whole number");
                return None;
            }
        };
        if *number.get() < least || *number.get() > most {
            let label =
                if number.from_env { "not in that range".to_owned() } else { format!("{number} is not in that range") };
            self.report(Problem::error(format!("{what} has to be {}", range(least, most))).at(node.place, label));
            return None;
        }
        u32::try_from(*number.get()).ok().map(|whole| number.map(|_| whole))
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, node: &Node, what: &str) -> Option<Value<bool>> {
        match &node.data {
            Data::Flag(flag) => Some(Value::written(*flag, node.place)),
            Data::Text(text) if mentions_variable(text) => {
                let text = self.text(node, what)?;
                let flag = match text.get().as_str() {
                    "true" => true,
                    "false" => false,
                    _ => {
                        self.wrong_type(node, what, "true or false");
                        return None;
                    }
                };
                Some(text.map(|_| flag))
            }
            _ => {
                self.wrong_type(node, what, "true or false");
                None
            }
        }
    }

    /// The items of a list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.data {
            Data::List(items) => Some(items),
            _ => {
                self.wrong_type(node, what, "a list");
                None
            }
        }
    }

    /// Reports text that is not one of the words that are allowed; `true` when it is one.
    pub(super) fn is_one_of(&mut self, text: &Value<String>, what: &str, words: &[&str]) -> bool {
        if words.contains(&text.get().as_str()) {
            return true;
        }
        if text.from_env {
            let problem = Problem::error(format!("this variable's value is not a {what}")).at(text.place, "not known");
            self.report(problem.help(word_list(words)));
            return false;
        }
        let problem = Problem::error(format!("{} is not a {what}", quoted(text.get())));
        let (label, help) = match nearest(text.get(), words.iter().copied()) {
            Some(near) => (format!("did you mean `{near}`?"), word_list(words)),
            None => ("not known".to_owned(), word_list(words)),
        };
        self.report(problem.at(text.place, label).help(help));
        false
    }
}

/// Says that a value which identifies something cannot be a variable.
pub(super) fn variable_refused(what: &str, place: Place) -> Problem {
    Problem::error(format!("{what} cannot come from the environment")).at(place, "write the text itself").help(
        "a value from the environment is a secret, never printed or recorded; but this one names something, and is",
    )
}

/// A few words are listed, many are not.
fn word_list(words: &[&str]) -> String {
    const MOST: usize = 12;
    match words.len() {
        0..=MOST => format!("write {}", alternatives(words)),
        all => format!("`pinfra schema` lists all {all} that are known"),
    }
}

fn range(least: i128, most: i128) -> String {
    match most {
        _ if most >= i128::from(u32::MAX) => format!("{least} or more"),
        _ => format!("from {least} to {most}"),
    }
}

/// What YAML 1.1 took for a boolean.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "true" => Some(true),
        "no" | "n" | "off" | "false" => Some(false),
        _ => None,
    }
}
