//! An official API model in the form the wire layer walks: shapes in one vector, names resolved to indexes.
//!
//! The source is botocore's `service-2.json` (see `models/NOTICE`). Everything that is looked up while a request
//! is read or an answer is written (wire names, regular expressions, routes) is prepared here, once per service.

use std::collections::HashMap;
use std::sync::OnceLock;

use regex::Regex;

use super::path::PathPattern;

/// Where a shape stands in its model.
pub(crate) type ShapeId = usize;

/// How a service puts requests and answers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `X-Amz-Target` and a JSON body; the text is the version in the content type, `1.0` or `1.1`.
    Json(&'static str),
    /// Method and path, with JSON bodies.
    RestJson,
    /// `Action=…` forms and XML answers.
    Query,
    /// EC2's variant of it: flat lists, capitalised names, another envelope.
    Ec2,
}

/// One service.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) protocol: Protocol,
    /// The part of `X-Amz-Target` before the dot.
    pub(crate) target_prefix: String,
    pub(crate) xml_namespace: String,
    pub(crate) operations: Vec<Operation>,
    pub(super) operations_by_name: HashMap<String, usize>,
    pub(super) shapes: Vec<Shape>,
    pub(super) shapes_by_name: HashMap<String, ShapeId>,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: PathPattern,
    pub(crate) status: u16,
    pub(crate) input: Option<ShapeId>,
    pub(crate) output: Option<ShapeId>,
    /// The element around the members of a query answer.
    pub(crate) result_wrapper: Option<String>,
    /// Whether it changes anything, judged by its name.
    pub(crate) mutating: bool,
}

/// A type with its constraints.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) values: Vec<String>,
    /// Its content is not repeated in error messages.
    pub(crate) sensitive: bool,
}

/// What a shape is made of.
#[derive(Debug)]
pub(crate) enum Kind {
    Structure(Structure),
    List { member: ShapeId, wire_name: Option<String>, flattened: bool },
    Map { key: ShapeId, value: ShapeId, key_name: String, value_name: String, flattened: bool },
    String,
    Blob,
    Boolean,
    Integer,
    Long,
    Double,
    Timestamp(Option<TimestampFormat>),
}

/// The members of a structure.
#[derive(Debug)]
pub(crate) struct Structure {
    pub(crate) members: Vec<Member>,
    pub(super) by_name: HashMap<String, usize>,
    pub(super) by_wire_name: HashMap<String, usize>,
    /// The member that is the whole body.
    pub(crate) payload: Option<usize>,
    pub(crate) error: Option<ErrorTrait>,
}

/// One member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Its name in JSON and XML bodies, headers and query strings.
    pub(crate) wire_name: String,
    /// Its name in `Action=…` forms.
    pub(crate) form_name: String,
    pub(crate) location: Location,
    pub(crate) shape: ShapeId,
    pub(crate) required: bool,
}

/// Which part of a request or an answer carries a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Body,
    Uri,
    Query,
    Header,
    /// All headers with a prefix.
    Headers,
    StatusCode,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimestampFormat {
    Epoch,
    Iso8601,
    HttpDate,
}

/// What the model says of an exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorTrait {
    /// The code on the wire where it is not the name of the shape.
    pub(crate) code: Option<String>,
    pub(crate) status: Option<u16>,
    /// The service's fault, not the caller's.
    pub(crate) fault: bool,
}

/// A regular expression that a whole value must match, compiled when first used.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As the model has it, which is how error messages show it.
    pub(crate) text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Model {
    pub(crate) fn shape(&self, id: ShapeId) -> &Shape {
        &self.shapes[id]
    }

    pub(crate) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations_by_name.get(name).map(|index| &self.operations[*index])
    }

    /// The exception of that name, or with that code on the wire.
    pub(crate) fn error(&self, name: &str) -> Option<(&Structure, &ErrorTrait)> {
        match self.shapes_by_name.get(name) {
            Some(id) => self.shape(*id).exception(),
            None => {
                let mut all = self.shapes.iter().filter_map(Shape::exception);
                all.find(|(_, about)| about.code.as_deref() == Some(name))
            }
        }
    }

    /// The structure a shape is, where it is one.
    pub(crate) fn structure(&self, id: ShapeId) -> Option<&Structure> {
        match &self.shape(id).kind {
            Kind::Structure(structure) => Some(structure),
            _ => None,
        }
    }
}

impl Shape {
    fn exception(&self) -> Option<(&Structure, &ErrorTrait)> {
        match &self.kind {
            Kind::Structure(structure) => Some((structure, structure.error.as_ref()?)),
            _ => None,
        }
    }
}

impl Structure {
    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.by_name.get(name).map(|index| &self.members[*index])
    }

    /// The member of the body that has this name on the wire.
    pub(crate) fn body_member(&self, wire_name: &str) -> Option<&Member> {
        self.by_wire_name.get(wire_name).map(|index| &self.members[*index])
    }
}

impl Pattern {
    pub(super) fn new(text: String) -> Pattern {
        Pattern { text, compiled: OnceLock::new() }
    }

    /// Whether the whole of `value` matches. A pattern that needs what `regex` leaves out (look-ahead; a test
    /// lists them) matches everything: the service has the last word on it.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.compiled().is_none_or(|regex| regex.is_match(value))
    }

    pub(super) fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&format!("^(?s:{})$", java_classes(&self.text))).ok()).as_ref()
    }
}

/// The models are written for Java, where `\w` and `\d` are ASCII; in `regex` they would be all of Unicode.
/// Nested classes are allowed there, so one text serves inside and outside of brackets.
fn java_classes(pattern: &str) -> String {
    pattern.replace(r"\w", "[0-9A-Za-z_]").replace(r"\d", "[0-9]")
}
