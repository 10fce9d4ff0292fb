//! A method as it is served: everything of its definition that is looked at per call, read once per deployment. What cannot
//! be read is kept as the reason, and fails the calls that need it, as it does on AWS.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::mapping::Source;
use super::schema::Schema;
use super::vtl::Template;
use crate::services::apigateway::Deployed;

/// Something that was read, or why it could not be.
pub(super) type Readable<T> = Result<T, String>;

/// A method of a resource.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) verb: String,
    /// The path of the resource, such as `/streams/{stream-name}`.
    pub(super) path: String,
    pub(super) resource_id: String,
    pub(super) authorization: Authorization,
    pub(super) key_required: bool,
    pub(super) required: Vec<(Place, String)>,
    /// Whether required parameters and the body are checked.
    pub(super) checks: (bool, bool),
    /// By media type.
    pub(super) body_models: BTreeMap<String, Readable<Schema>>,
    pub(super) integration: Readable<Integration>,
    /// The headers that each declared response may have, and the media types of its models.
    pub(super) responses: BTreeMap<String, MethodResponse>,
}

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authorization {
    None,
    Iam,
    /// An authorizer, which is not here.
    Other(String),
}

/// Where a parameter stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    Query,
    Path,
}

/// One of a method's responses.
#[derive(Debug, Default)]
pub(super) struct MethodResponse {
    pub(super) headers: Vec<String>,
    pub(super) media_type: Option<String>,
}

/// What a method is connected to.
#[derive(Debug)]
pub(super) struct Integration {
    pub(super) kind: Kind,
    /// `None` with `ANY`: that of the request.
    pub(super) verb: Option<String>,
    pub(super) uri: String,
    pub(super) role: Option<String>,
    pub(super) parameters: Vec<(Place, String, Source)>,
    /// By media type, in the order of the definition.
    pub(super) templates: Vec<(String, Readable<Template>)>,
    pub(super) passthrough: Passthrough,
    pub(super) content_handling: Option<ContentHandling>,
    pub(super) timeout: std::time::Duration,
    pub(super) responses: Vec<IntegrationResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Aws,
    Http,
    HttpProxy,
    Mock,
}

/// What becomes of a body whose media type has no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passthrough {
    WhenNoMatch,
    WhenNoTemplates,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentHandling {
    ToBinary,
    ToText,
}

/// How one kind of answer becomes a response.
#[derive(Debug)]
pub(super) struct IntegrationResponse {
    pub(super) status: String,
    /// Matched against the whole status of the answer; `None` is the default response.
    pub(super) pattern: Option<Readable<Regex>>,
    /// Headers and where they come from.
    pub(super) headers: Vec<(String, Readable<Source>)>,
    pub(super) templates: Vec<(String, Readable<Template>)>,
    pub(super) content_handling: Option<ContentHandling>,
}

impl Method {
    /// Reads a method from an item of `GetResources`.
    pub(super) fn read(resource: &Value, verb: &str, method: &Value, deployed: &Deployed) -> Method {
        let validator = method["requestValidatorId"].as_str().and_then(|id| deployed.validators.get(id));
        let checks = |what: &str| validator.is_some_and(|validator| validator[what] == true);
        let model = |(media_type, name): (&String, &Value)| {
            let name = name.as_str().unwrap_or_default();
            let schema = deployed.models.get(name).and_then(|model| model["schema"].as_str());
            let schema = schema.ok_or_else(|| format!("there is no model `{name}`"));
            let schema =
                schema.and_then(|text| Schema::parse(text).map_err(|error| format!("the model `{name}`: {error}")));
            (media_type.to_ascii_lowercase(), schema)
        };
        let required = members(&method["requestParameters"]).filter(|(_, required)| **required == true);
        let response = |(status, response): (&String, &Value)| {
            let headers = members(&response["responseParameters"]).filter_map(|(name, _)| name.rsplit_once("header."));
            let headers = headers.map(|(_, name)| name.to_ascii_lowercase()).collect();
            let media_type = members(&response["responseModels"]).next().map(|(media_type, _)| media_type.clone());
            (status.clone(), MethodResponse { headers, media_type })
        };
        Method {
            verb: verb.to_owned(),
            path: text(resource, "path").to_owned(),
            resource_id: text(resource, "id").to_owned(),
            authorization: match text(method, "authorizationType") {
                "NONE" | "" => Authorization::None,
                "AWS_IAM" => Authorization::Iam,
                other => Authorization::Other(other.to_owned()),
            },
            key_required: method["apiKeyRequired"] == true,
            required: required.filter_map(|(name, _)| place(name.strip_prefix("method.request.")?)).collect(),
            checks: (checks("validateRequestParameters"), checks("validateRequestBody")),
            body_models: members(&method["requestModels"]).map(model).collect(),
            integration: integration(&method["methodIntegration"]),
            responses: members(&method["methodResponses"]).map(response).collect(),
        }
    }

    #[cfg(test)]
    pub(super) fn for_test(path: &str, verb: &str) -> Method {
        let resource = serde_json::json!({"id": "r", "path": path});
        Method::read(&resource, verb, &Value::Null, &super::tests::deployed(Vec::new()))
    }
}

fn integration(of: &Value) -> Readable<Integration> {
    let kind = match text(of, "type") {
        "AWS" => Kind::Aws,
        "HTTP" => Kind::Http,
        "HTTP_PROXY" => Kind::HttpProxy,
        "MOCK" => Kind::Mock,
        "" => return Err("the method has no integration".to_owned()),
        other => return Err(format!("the local cloud does not have integrations of type {other}")),
    };
    let parameter = |(target, source): (&String, &Value)| -> Readable<(Place, String, Source)> {
        let target = target.strip_prefix("integration.request.").and_then(place);
        let (place, name) = target.ok_or_else(|| "a parameter is mapped to nowhere".to_owned())?;
        Ok((place, name, Source::parse(source.as_str().unwrap_or_default())?))
    };
    let verb = text(of, "httpMethod");
    Ok(Integration {
        kind,
        verb: (!verb.is_empty() && verb != "ANY").then(|| verb.to_owned()),
        uri: text(of, "uri").to_owned(),
        role: of["credentials"].as_str().map(str::to_owned),
        parameters: members(&of["requestParameters"]).map(parameter).collect::<Result<_, _>>()?,
        templates: templates(&of["requestTemplates"]),
        passthrough: match text(of, "passthroughBehavior") {
            "NEVER" => Passthrough::Never,
            "WHEN_NO_TEMPLATES" => Passthrough::WhenNoTemplates,
            _ => Passthrough::WhenNoMatch,
        },
        content_handling: content_handling(of)?,
        timeout: std::time::Duration::from_millis(of["timeoutInMillis"].as_u64().unwrap_or(29_000).min(29_000)),
        responses: members(&of["integrationResponses"])
            .map(|(_, response)| integration_response(response))
            .collect::<Result<_, _>>()?,
    })
}

fn integration_response(of: &Value) -> Readable<IntegrationResponse> {
    let pattern = Some(text(of, "selectionPattern")).filter(|pattern| !pattern.is_empty());
    let header = |(target, source): (&String, &Value)| {
        let name = target.rsplit_once("header.").map_or(target.as_str(), |(_, name)| name);
        (name.to_ascii_lowercase(), Source::parse(source.as_str().unwrap_or_default()))
    };
    Ok(IntegrationResponse {
        status: text(of, "statusCode").to_owned(),
        pattern: pattern.map(|pattern| {
            Regex::new(&format!("^(?s:{pattern})$"))
                .map_err(|_| format!("the selection pattern `{pattern}` cannot be read"))
        }),
        headers: members(&of["responseParameters"]).map(header).collect(),
        templates: templates(&of["responseTemplates"]),
        content_handling: content_handling(of)?,
    })
}

fn content_handling(of: &Value) -> Readable<Option<ContentHandling>> {
    match text(of, "contentHandling") {
        "" => Ok(None),
        "CONVERT_TO_BINARY" => Ok(Some(ContentHandling::ToBinary)),
        "CONVERT_TO_TEXT" => Ok(Some(ContentHandling::ToText)),
        other => Err(format!("`{other}` is not a content handling")),
    }
}

fn templates(of: &Value) -> Vec<(String, Readable<Template>)> {
    let template = |(media_type, template): (&String, &Value)| {
        let parsed = Template::parse(template.as_str().unwrap_or_default());
        let parsed = parsed.map_err(|error| format!("the mapping template of {media_type}, {error}"));
        (media_type.to_ascii_lowercase(), parsed)
    };
    members(of).map(template).collect()
}

/// `header.x`, `querystring.x`, `path.x`, and their forms for several values.
fn place(text: &str) -> Option<(Place, String)> {
    let (place, name) = text.split_once('.')?;
    let place = match place {
        "header" | "multivalueheader" => Place::Header,
        "querystring" | "multivaluequerystring" => Place::Query,
        "path" => Place::Path,
        _ => return None,
    };
    Some((place, name.to_owned()))
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}
