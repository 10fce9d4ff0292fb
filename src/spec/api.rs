//! `api`: the REST API in front of the topics and the streams.

use schemars::JsonSchema;
use serde::Deserialize;

use super::nearest::quoted;
use super::node::Node;
use super::place::Place;
use super::problem::Problem;
use super::reader::Reader;
use super::value::Value;

/// Amazon API Gateway: the REST API that takes events
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Api {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// The stage, the first part of every path
    #[schemars(length(min = 1, max = 128), extend("default" = "prod"))]
    pub stage: Value<String>,
    /// Who may call: holders of an API `key` with its usage plan, `iam` principals, or `none` to let everybody in
    #[schemars(extend("default" = "key"))]
    pub auth: Value<ApiAuth>,
    /// Also let callers create and delete streams, beyond writing, listing and describing
    #[schemars(extend("default" = false))]
    pub admin: Value<bool>,
}

/// Who may call the API.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ApiAuth {
    /// Holders of the API key.
    #[default]
    Key,
    /// AWS principals, with signed requests.
    Iam,
    /// Everybody.
    None,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Api> {
    let mut fields = reader.fields::<Api>(node, "`api`")?;
    let stage = fields.text(reader, "stage").unwrap_or_else(|| Value::written("prod".to_owned(), node.place));
    let api =
        Api { place: node.place, stage, auth: fields.choice(reader, "auth"), admin: fields.flag(reader, "admin") };
    fields.finish();
    check_stage(reader, &api.stage);
    if *api.auth.get() == ApiAuth::None {
        let problem = if *api.admin.get() {
            Problem::error("an API that asks for nothing cannot give admin rights")
                .at(api.admin.place, "lets callers delete streams")
        } else {
            Problem::warning("anybody on the internet can send events to this API")
        };
        reader.report(problem.at(api.auth.place, "asks for nothing").help("write `auth: key` or `auth: iam`"));
    }
    Some(api)
}

/// Letters, digits, hyphens and underscores, up to 128 ("CreateStage", API Gateway API reference).
fn check_stage(reader: &mut Reader<'_>, stage: &Value<String>) {
    let good = (1..=128).contains(&stage.get().len())
        && stage.get().chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if good {
        return;
    }
    let name = if stage.from_env { "this".to_owned() } else { quoted(stage.get()) };
    reader.report(
        Problem::error(format!("{name} cannot name a stage"))
            .at(stage.place, "the first part of every path")
            .help("use up to 128 letters, digits, hyphens and underscores"),
    );
}
