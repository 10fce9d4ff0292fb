//! Mapping templates: the part of the Velocity Template Language that API Gateway documents, with its `$input` and `$util`.
//!
//! A template is parsed once into `ast` and rendered often. All lists and maps of one rendering live in a `heap`, so a
//! template may share and change them as Java does, and everything goes at once when the rendering ends. What a template
//! may do is bounded: iterations, steps, nesting, and the bytes it makes. The engine follows Velocity 1.7 in what it does to
//! white space around directives, in what counts as true, and in showing a reference literally that has no value.

mod arithmetic;
mod ast;
mod directives;
mod escapes;
mod evaluate;
mod expression;
mod functions;
mod heap;
mod input;
mod json;
mod json_path;
mod list_methods;
mod map_methods;
mod methods;
mod parse;
mod reference;
mod show;
#[cfg(test)]
mod tests;
mod text_methods;

use ast::Node;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

/// A template that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct ParseError {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong there.
    pub(crate) problem: String,
}

/// A rendering that cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderError {
    /// `$input.json` or `$input.path` was asked of a body that is no JSON; the caller's fault, not the template's.
    #[error("Could not parse request body into json: {0}")]
    Body(String),
    /// The template asks for too much, or for what is not here.
    #[error("{0}")]
    Template(String),
}

/// What a template sees.
pub(crate) trait Environment {
    /// The body of the request, or of the integration's answer.
    fn body(&self) -> &str;
    /// `$input.params(name)`: looked for in path, query string and headers, in this order.
    fn parameter(&self, name: &str) -> Option<String>;
    /// `$input.params()`: an object of `path`, `querystring` and `header`.
    fn parameters(&self) -> serde_json::Value;
    /// `$context`.
    fn context(&self) -> serde_json::Value;
    /// Changes made with `#set($context.x.y = …)`, such as `$context.responseOverride.status`.
    fn set_context(&self, path: &[String], value: serde_json::Value);
    /// `$stageVariables`.
    fn stage_variables(&self) -> serde_json::Value;
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Template, ParseError> {
        parse::template(text).map(|nodes| Template { nodes })
    }

    /// Renders it.
    pub(crate) fn render(&self, environment: &dyn Environment) -> Result<String, RenderError> {
        evaluate::render(&self.nodes, environment)
    }
}
