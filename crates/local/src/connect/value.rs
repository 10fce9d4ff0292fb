//! What a converter makes of bytes: the values of Kafka Connect.

/// A value, with or without a schema.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f32),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Data>),
    /// A `java.util.Map` with texts for keys, in the order in which Java lists it.
    Map(Vec<(String, Data)>),
    /// A `Struct`: fields in the order of its schema.
    Struct(Vec<(String, Data)>),
}

impl Data {
    /// What messages call the kind of a value.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Int(_) | Data::Float(_) | Data::Double(_) => "a number",
            Data::Text(_) => "a string",
            Data::Bytes(_) => "bytes",
            Data::List(_) => "an array",
            Data::Map(_) => "an object without a schema",
            Data::Struct(_) => "a struct",
        }
    }

    /// A member of a map or a struct, by a path with dots (`a.b`).
    pub(super) fn nested(&self, path: &str) -> Option<&Data> {
        let mut found = self;
        for name in path.split('.') {
            let (Data::Map(members) | Data::Struct(members)) = found else { return None };
            found = members.iter().find(|(member, _)| member == name).map(|(_, value)| value)?;
        }
        Some(found)
    }
}
