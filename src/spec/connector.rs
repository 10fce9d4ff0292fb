//! `connector`: MSK Connect, from topics to the lake.

use schemars::JsonSchema;

use super::nearest::quoted;
use super::node::Node;
use super::paths;
use super::place::Place;
use super::problem::Problem;
use super::reader::Reader;
use super::schema;
use super::value::Value;

/// Amazon MSK Connect: the S3 sink that writes every topic to the lake
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Connector {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// The plugin as the path of a `.zip` or `.jar` file, or an `https://` or `s3://` URL; a pinned one is built in
    pub plugin: Option<Value<String>>,
    /// How many records go to one object
    #[schemars(range(min = 1), extend("default" = 1000))]
    pub flush_size: Value<u32>,
    /// After how many seconds an object is written, though it is not full
    #[schemars(range(min = 1, max = 86_400), extend("default" = 60))]
    pub rotate_seconds: Value<u32>,
    /// The size of a worker in units of MSK Connect: 1, 2, 4 or 8
    #[schemars(schema_with = "schema::mcu", extend("default" = 1))]
    pub mcu: Value<u32>,
    /// How many workers
    #[schemars(range(min = 1, max = 10), extend("default" = 1))]
    pub workers: Value<u32>,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Connector> {
    let mut fields = reader.fields::<Connector>(node, "`connector`")?;
    let connector = Connector {
        place: node.place,
        plugin: fields.text(reader, "plugin"),
        flush_size: fields.whole(reader, "flush_size"),
        rotate_seconds: fields.whole(reader, "rotate_seconds"),
        mcu: fields.whole(reader, "mcu"),
        workers: fields.whole(reader, "workers"),
    };
    fields.finish();
    if !matches!(connector.mcu.get(), 1 | 2 | 4 | 8) {
        let problem = Problem::error("`connector.mcu` has to be 1, 2, 4 or 8");
        reader.report(problem.at(connector.mcu.place, "MSK Connect has no workers of this size"));
    }
    if let Some(plugin) = &connector.plugin {
        check_plugin(reader, plugin);
    }
    Some(connector)
}

fn check_plugin(reader: &mut Reader<'_>, plugin: &Value<String>) {
    let text = plugin.get();
    let Some((scheme, _)) = text.split_once("://") else {
        if let Some(file) = paths::file(reader, plugin, "`connector.plugin`", None)
            && !is_archive(&file.get().to_string_lossy())
        {
            reader.report(not_an_archive(plugin));
        }
        return;
    };
    let good = url::Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    match scheme {
        "https" | "s3" if good && is_archive(text) => {}
        "https" | "s3" if good => reader.report(not_an_archive(plugin)),
        "https" | "s3" => {
            reader.report(Problem::error("`connector.plugin` is not a URL").at(plugin.place, "cannot be read as one"));
        }
        _ => {
            let scheme = if plugin.from_env { "this".to_owned() } else { quoted(scheme) };
            reader.report(
                Problem::error(format!("`connector.plugin` cannot be fetched by {scheme}"))
                    .at(plugin.place, "what comes runs inside your cluster's network")
                    .help("use an `https://` or `s3://` URL, or the path of a file"),
            );
        }
    }
}

fn not_an_archive(plugin: &Value<String>) -> Problem {
    Problem::error("`connector.plugin` is not a `.zip` or `.jar`").at(plugin.place, "MSK Connect takes only these")
}

fn is_archive(name: &str) -> bool {
    let name = name.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    name.ends_with(".zip") || name.ends_with(".jar")
}
