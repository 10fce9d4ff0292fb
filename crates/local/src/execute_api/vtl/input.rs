//! `$input`: the payload and the parameters.

use super::RenderError;
use super::evaluate::Evaluator;
use super::heap::{Entries, Value};
use super::json::{self, ReadError};
use super::json_path::JsonPath;

impl Evaluator<'_> {
    /// `None` when there is no such method.
    pub(super) fn input_method(&mut self, name: &str, arguments: &[Value]) -> Result<Option<Value>, RenderError> {
        let value = match (name, arguments) {
            ("params", []) => self.lenient(&self.environment.parameters())?,
            ("params", [name]) => {
                let name = self.shown(name)?;
                // A parameter that did not come is an empty text.
                let value = self.environment.parameter(&name).unwrap_or_default();
                self.heap.text(value)?
            }
            // What is not there is an empty text: the template of the Kinesis tutorial in the developer guide compares
            // `$input.path('$.ShardCount')` with `''` to find out.
            ("path", [path]) => match self.select(path)? {
                None | Some(Value::Null) => Value::text(""),
                Some(value) => value,
            },
            ("json", [path]) => {
                let mut text = String::new();
                match self.select(path)? {
                    None => text.push_str("\"\""),
                    Some(value) => json::write(&value, &self.heap, &mut text)?,
                }
                self.heap.text(text)?
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn select(&mut self, path: &Value) -> Result<Option<Value>, RenderError> {
        let text = self.shown(path)?;
        let path = JsonPath::parse(&text).map_err(|problem| {
            RenderError::Template(format!("the local cloud cannot read the JSONPath `{text}`: {problem}"))
        })?;
        let body = self.parsed_body()?;
        path.select(&body, &mut self.heap)
    }

    /// An empty body is an empty object.
    fn parsed_body(&mut self) -> Result<Value, RenderError> {
        if let Some(body) = &self.body {
            return Ok(body.clone());
        }
        let text = self.environment.body();
        let body = if text.trim_ascii().is_empty() {
            self.heap.map(Entries::default())?
        } else {
            json::read(text, &mut self.heap).map_err(|error| match error {
                ReadError::Syntax(problem) => RenderError::Body(problem),
                ReadError::Heap(error) => error,
            })?
        };
        self.body = Some(body.clone());
        Ok(body)
    }
}
