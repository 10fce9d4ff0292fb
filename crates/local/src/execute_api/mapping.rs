//! Parameter mappings: where the value of a header, a query parameter or a path variable comes from ("API Gateway mapping
//! template and parameter mapping", API Gateway developer guide).

use http::HeaderMap;
use serde_json::Value;

use super::exchange::Exchange;
use super::vtl::Template;

/// What a value is mapped from.
#[derive(Debug)]
pub(super) enum Source {
    /// `'text'`
    Static(String),
    /// `method.request.header.name`
    RequestHeader(String),
    /// `method.request.querystring.name`
    RequestQuery(String),
    /// `method.request.path.name`
    RequestPath(String),
    /// `method.request.body` and `method.request.body.path`, as the template that selects it.
    RequestBody(Template),
    /// `integration.response.header.name`
    ResponseHeader(String),
    /// `integration.response.body` and `integration.response.body.path`
    ResponseBody(Template),
    /// `context.path`
    Context(String),
    /// `stageVariables.name`
    StageVariable(String),
}

impl Source {
    /// Reads an expression; the problem is for people.
    pub(super) fn parse(text: &str) -> Result<Source, String> {
        if let Some(inside) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            return Ok(Source::Static(inside.to_owned()));
        }
        let after = |prefix: &str| text.strip_prefix(prefix).filter(|name| !name.is_empty()).map(str::to_owned);
        for (prefix, source) in [
            ("method.request.header.", Source::RequestHeader as fn(String) -> Source),
            ("method.request.multivalueheader.", Source::RequestHeader),
            ("method.request.querystring.", Source::RequestQuery),
            ("method.request.multivaluequerystring.", Source::RequestQuery),
            ("method.request.path.", Source::RequestPath),
            ("integration.response.header.", Source::ResponseHeader),
            ("integration.response.multivalueheader.", Source::ResponseHeader),
            ("context.", Source::Context),
            ("stageVariables.", Source::StageVariable),
        ] {
            if let Some(name) = after(prefix) {
                return Ok(source(name));
            }
        }
        for (prefix, source) in [
            ("method.request.body", Source::RequestBody as fn(Template) -> Source),
            ("integration.response.body", Source::ResponseBody),
        ] {
            let Some(path) = text.strip_prefix(prefix) else { continue };
            if path.is_empty() {
                return Ok(source(Template::parse("$input.body").map_err(|error| error.to_string())?));
            }
            if path.starts_with(['.', '[']) && !path.contains('"') {
                let template = format!("$!input.path(\"${path}\")");
                // The `$` of a JSONPath is followed by a point, so it begins no reference.
                return Ok(source(Template::parse(&template).map_err(|error| error.to_string())?));
            }
        }
        Err(format!("the mapping expression `{text}` cannot be read"))
    }

    /// Every value it has, decoded; none when there is nothing to map.
    pub(super) fn values(&self, exchange: &Exchange<'_>, answer: Option<(&HeaderMap, &str)>) -> Vec<String> {
        let of_headers = |headers: &HeaderMap, name: &str| -> Vec<String> {
            let values = headers.get_all(name).iter();
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
        };
        match self {
            Source::Static(text) => vec![text.clone()],
            Source::RequestHeader(name) => of_headers(&exchange.parts.headers, name),
            Source::RequestQuery(name) => {
                exchange.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
            }
            Source::RequestPath(name) => {
                exchange.path_values.iter().filter(|one| one.name == *name).map(|one| one.value.clone()).collect()
            }
            Source::RequestBody(template) => {
                template.render(&exchange.environment(&exchange.text())).into_iter().collect()
            }
            Source::ResponseHeader(name) => answer.map(|(headers, _)| of_headers(headers, name)).unwrap_or_default(),
            Source::ResponseBody(template) => {
                let rendered = answer.map(|(_, body)| template.render(&exchange.environment(body)));
                rendered.into_iter().flatten().collect()
            }
            Source::Context(path) => {
                let mut value = &exchange.context();
                for name in path.split('.') {
                    value = &value[name];
                }
                match value {
                    Value::Null => Vec::new(),
                    Value::String(text) => vec![text.clone()],
                    other => vec![other.to_string()],
                }
            }
            Source::StageVariable(name) => exchange.api.variables.get(name).cloned().into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let read = |text: &str| format!("{:?}", Source::parse(text).unwrap());
        assert_eq!(read("'application/x-amz-json-1.1'"), "Static(\"application/x-amz-json-1.1\")");
        assert_eq!(read("method.request.path.proxy"), "RequestPath(\"proxy\")");
        assert_eq!(read("method.request.header.X-Y"), "RequestHeader(\"X-Y\")");
        assert_eq!(read("stageVariables.host"), "StageVariable(\"host\")");
        for text in ["application/json", "method.request", "method.request.path.", "", "'", "method.request.bodyx"] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
    }
}
