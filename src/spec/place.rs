//! Where things stand in the stack file: byte ranges, and values that remember theirs.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// A range of bytes in the stack file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first byte.
    pub start: usize,
    /// How many bytes.
    pub len: usize,
}

impl Place {
    /// A range from its first byte and its length.
    pub fn new(start: usize, len: usize) -> Self {
        Self { start, len }
    }

    /// The first byte after the range.
    pub fn end(self) -> usize {
        self.start + self.len
    }
}

/// A value that identifies something (a name, a target, a region): printed, recorded, and never from the environment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where; for a default, the key or section that implies it.
    pub place: Place,
}

impl<T> Spanned<T> {
    /// A value and its place.
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // Written out in place: a `$ref` would take no further rules from the field that holds it.
        T::json_schema(generator)
    }
}
