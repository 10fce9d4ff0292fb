//! `$util`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::RenderError;
use super::escapes::{escape_java_script, url_decode, url_encode};
use super::evaluate::Evaluator;
use super::heap::Value;
use super::json::{self, ReadError};

impl Evaluator<'_> {
    /// `None` when there is no such method.
    pub(super) fn util_method(&mut self, name: &str, arguments: &[Value]) -> Result<Option<Value>, RenderError> {
        let [argument] = arguments else { return Ok(None) };
        let known = ["base64Encode", "base64Decode", "escapeJavaScript", "urlEncode", "urlDecode", "parseJson"];
        if !known.contains(&name) {
            return Ok(None);
        }
        if matches!(argument, Value::Null) {
            return Ok(Some(Value::Null));
        }
        let text = self.shown(argument)?;
        let value = match name {
            "base64Encode" => self.heap.text(STANDARD.encode(text.as_bytes()))?,
            "base64Decode" => {
                let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| {
                    RenderError::Template("`$util.base64Decode` of a text that is not base64".to_owned())
                })?;
                self.heap.text(String::from_utf8_lossy(&bytes))?
            }
            "escapeJavaScript" => self.heap.text(escape_java_script(&text))?,
            "urlEncode" => self.heap.text(url_encode(&text))?,
            "urlDecode" => self.heap.text(url_decode(&text))?,
            _ => json::read(&text, &mut self.heap).map_err(|error| match error {
                ReadError::Syntax(problem) => {
                    RenderError::Template(format!("`$util.parseJson` of a text that is no JSON: {problem}"))
                }
                ReadError::Heap(error) => error,
            })?,
        };
        Ok(Some(value))
    }
}
