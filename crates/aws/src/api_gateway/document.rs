//! A REST API as typed data: what its paths take, what they call, and how answers are mapped.
//!
//! Maps are sorted and what AWS fills in by itself is left out, so that two documents can be compared field by field.

use std::collections::{BTreeMap, BTreeSet};

use pinfra_engine::value::Input;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::clients::partition;

/// The longest that API Gateway waits for an integration, in milliseconds, and what it takes where nothing is said
/// ("Integration timeout", API Gateway quotas).
pub const TIMEOUT_MILLIS: i32 = 29_000;

/// All that callers can do with an API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Media types whose bodies are bytes.
    pub binary_media_types: BTreeSet<String>,
    /// What is checked of a request before it goes on, by name.
    pub validators: BTreeMap<String, Validator>,
    /// JSON Schemas of bodies, by name (letters and digits).
    pub models: BTreeMap<String, Value>,
    /// By path (`/streams/{stream-name}`), then by verb (`GET`, or `ANY`).
    pub paths: BTreeMap<String, BTreeMap<String, Method>>,
}

/// Which parts of a request are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// The body, against the model of its content type.
    pub body: bool,
    /// That required parameters are there.
    pub parameters: bool,
}

/// One verb of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Who may call.
    pub authorization: Authorization,
    /// Whether a key of a usage plan has to come with the call, in `x-api-key`.
    pub api_key_required: bool,
    /// The name of a validator.
    pub validator: Option<String>,
    /// `method.request.path.stream-name` (also `querystring`, `header`), and whether it is required.
    pub parameters: BTreeMap<String, bool>,
    /// The model of a request's body, by content type.
    pub models: BTreeMap<String, String>,
    /// Answers that it may give, by status code.
    pub responses: BTreeMap<String, Response>,
    /// What it calls.
    pub integration: Integration,
}

/// Who may call a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authorization {
    /// Anybody, unless a key is required.
    #[default]
    #[serde(rename = "NONE")]
    None,
    /// AWS principals, by signed requests and their policies.
    #[serde(rename = "AWS_IAM")]
    Iam,
    /// Something that pinfra does not make: somebody else has set it.
    #[serde(rename = "OTHER")]
    Other,
}

/// An answer of a method, as declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Headers that it may have.
    pub headers: BTreeSet<String>,
    /// The model of its body, by content type.
    pub models: BTreeMap<String, String>,
}

/// What a method calls, and how requests and answers are mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Integration {
    /// `AWS`, `HTTP`, `HTTP_PROXY` or `MOCK`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A URL, or `arn:aws:apigateway:<region>:<service>:action/<action>`.
    pub uri: Option<String>,
    /// The verb of the call.
    pub http_method: Option<String>,
    /// The ARN of the role that the call is made as.
    pub credentials: Option<Input<String>>,
    /// `integration.request.header.Content-Type` and what it is set from.
    pub parameters: BTreeMap<String, String>,
    /// Mapping templates (VTL), by the request's content type.
    pub templates: BTreeMap<String, String>,
    /// What happens to content types without a template: `WHEN_NO_MATCH`, `WHEN_NO_TEMPLATES` or `NEVER`.
    pub passthrough: String,
    /// `CONVERT_TO_TEXT`, `CONVERT_TO_BINARY`, or nothing.
    pub content_handling: Option<String>,
    /// How long the call may take, 50 to 29,000 ms.
    pub timeout_millis: i32,
    /// Answers of the method, by status code, and when each is given.
    pub responses: BTreeMap<String, IntegrationResponse>,
}

/// How an answer of what was called becomes one of the method's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegrationResponse {
    /// A regular expression on the status code that came back; without one this is the answer where none fits.
    pub selection_pattern: Option<String>,
    /// `method.response.header.<name>` and what it is set from.
    pub parameters: BTreeMap<String, String>,
    /// Mapping templates (VTL), by content type.
    pub templates: BTreeMap<String, String>,
    /// `CONVERT_TO_TEXT`, `CONVERT_TO_BINARY`, or nothing.
    pub content_handling: Option<String>,
}

impl Document {
    /// A hash that two documents share when they say the same: what tells a deployment from the one before. References to other
    /// resources count as they are written, since their values are not known before a run.
    pub fn hash(&self) -> String {
        // Maps with text keys, texts and numbers always have a JSON form.
        let text = serde_json::to_string(self).expect("a document can be written as JSON");
        hex::encode(Sha256::digest(text))[..32].to_owned()
    }
}

/// The URI of an integration with an action of an AWS service: `arn:aws:apigateway:us-east-1:kinesis:action/PutRecord`.
pub fn service_action(region: &str, service: &str, action: &str) -> String {
    format!("arn:{}:apigateway:{region}:{service}:action/{action}", partition(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_back_as_it_is_written_and_its_hash_follows_its_contents() {
        let mut document = Document::default();
        document.paths.entry("/a".to_owned()).or_default().insert("GET".to_owned(), Method::default());
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
        let before = document.hash();
        assert_eq!(before, document.clone().hash());
        document.paths.get_mut("/a").unwrap().get_mut("GET").unwrap().api_key_required = true;
        assert_ne!(before, document.hash());
    }
}
