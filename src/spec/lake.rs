//! `lake`: the S3 bucket that everything ends up in.

use schemars::JsonSchema;

use super::names::bucket_name_problem;
use super::node::Node;
use super::place::{Place, Spanned};
use super::problem::Problem;
use super::reader::Reader;
use super::value::Value;

/// The Amazon S3 bucket of the stack: raw events, Delta tables, what is deployed
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Lake {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// The name of a bucket that exists: it is used, and never created, changed or deleted
    #[schemars(rename = "use", length(min = 3, max = 63))]
    pub existing: Option<Spanned<String>>,
    /// Keep earlier versions of objects. Once on, S3 can only suspend it
    #[schemars(extend("default" = false))]
    pub versioning: Value<bool>,
    /// Delete raw events (under `topics/`) after so many days; kept for ever when absent
    #[schemars(range(min = 1, max = 36_500))]
    pub expire_days: Option<Value<u32>>,
    /// Delete earlier versions of objects after so many days; with `versioning: true`
    #[schemars(range(min = 1, max = 36_500))]
    pub noncurrent_days: Option<Value<u32>>,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Lake> {
    let mut fields = reader.fields::<Lake>(node, "`lake`")?;
    let lake = Lake {
        place: node.place,
        existing: fields.identity(reader, "use"),
        versioning: fields.flag(reader, "versioning"),
        expire_days: fields.optional_whole(reader, "expire_days"),
        noncurrent_days: fields.optional_whole(reader, "noncurrent_days"),
    };
    if let Some(existing) = &lake.existing {
        if let Some((message, help)) = bucket_name_problem(existing) {
            reader.report(Problem::error(message).at(existing.place, "not the name of a bucket").help(help));
        }
        for setting in ["versioning", "expire_days", "noncurrent_days"] {
            if let Some(place) = fields.key_place(setting) {
                reader.report(
                    Problem::error(format!("`lake.{setting}` cannot be set on a bucket that exists"))
                        .at(place, "a setting")
                        .at(existing.place, "this bucket is only used, never changed")
                        .help(format!("remove `{setting}`, or remove `use` to have a bucket made")),
                );
            }
        }
    } else if let (Some(days), false) = (fields.key_place("noncurrent_days"), *lake.versioning.get()) {
        reader.report(
            Problem::error("`lake.noncurrent_days` deletes earlier versions, and none are kept")
                .at(days, "needs versioning")
                .help("add `versioning: true`, or remove `noncurrent_days`"),
        );
    }
    fields.finish();
    Some(lake)
}
