//! `workers`: the processes that feed, receive and clean events on the client machine.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::nearest::{nearest, quoted};
use super::node::Node;
use super::paths;
use super::place::Place;
use super::problem::Problem;
use super::reader::Reader;
use super::source::secrets;
use super::value::Value;

/// The processes on the client machine
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Workers {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// Reads source rows and posts them to the API as events
    pub emulator: Option<Emulator>,
    /// Takes events from the API to the topics
    pub gateway: Option<Gateway>,
    /// Cleans events into Delta tables
    pub cleaner: Option<Cleaner>,
}

impl Workers {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.emulator.is_none() && self.gateway.is_none() && self.cleaner.is_none()
    }
}

/// Reads source rows and posts them to the API as events
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Emulator {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// Where rows come from: `sample` (built in), `mysql://…` or `sqlite:…`
    #[schemars(with = "Value<String>", extend("default" = "sample"))]
    pub source: Value<EventSource>,
    /// Which way events go: to the streams (`kinesis`), to the topics (`kafka`), or every way that the stack has (`all`)
    #[schemars(extend("default" = "all"))]
    pub paths: Value<Paths>,
    /// Events a second over all tables
    #[schemars(range(min = 1, max = 100_000), extend("default" = 2))]
    pub rate: Value<u32>,
    /// How many events may go out at once after a pause
    #[schemars(range(min = 1, max = 100_000), extend("default" = 10))]
    pub burst: Value<u32>,
    /// Seconds over which the rate grows from nothing
    #[schemars(range(min = 0, max = 86_400), extend("default" = 0))]
    pub ramp: Value<u32>,
    /// Stop after so many events over all tables; go on for ever when absent
    #[schemars(range(min = 1))]
    pub count: Option<Value<u32>>,
    /// Rows in each table of the `sample` source
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = 11_154))]
    pub rows: Value<u32>,
    /// What the rows of the `sample` source and the order of all events follow from
    #[schemars(extend("default" = 100))]
    pub seed: Value<u32>,
    /// The port on the machine where its health and counters can be asked for; any free one when absent
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: Option<Value<u32>>,
}

/// Takes events from the API to the topics
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Gateway {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// The port it answers on
    #[schemars(range(min = 1024, max = 65_535), extend("default" = 8082))]
    pub port: Value<u32>,
}

/// Cleans events into Delta tables
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Cleaner {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// Clean what is in the streams as it comes
    #[schemars(extend("default" = true))]
    pub streaming: Value<bool>,
    /// After how many milliseconds an event is to be visible in its table
    #[schemars(range(min = 100, max = 60_000), extend("default" = 1000))]
    pub commit_ms: Value<u32>,
    /// When to clean what the connector wrote, as a cron expression in UTC: minute, hour, day, month, day of the week
    pub schedule: Option<Value<String>>,
    /// The port on the machine where its health and counters can be asked for; any free one when absent
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: Option<Value<u32>>,
}

/// Which way the emulator's events go.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Paths {
    /// Every way that the stack has.
    #[default]
    All,
    /// To the topics, by the gateway.
    Kafka,
    /// To the streams.
    Kinesis,
}

/// Where the emulator's rows come from.
#[derive(Clone, PartialEq, Eq)]
pub enum EventSource {
    /// Built-in rows.
    Sample,
    /// A MySQL URL; it may have a password in it.
    MySql(String),
    /// An SQLite file.
    Sqlite(PathBuf),
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventSource::Sample => f.write_str("Sample"),
            EventSource::MySql(_) => f.write_str("MySql(…)"),
            EventSource::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Workers> {
    let mut fields = reader.fields::<Workers>(node, "`workers`")?;
    let workers = Workers {
        place: node.place,
        emulator: fields.node("emulator").and_then(|node| emulator(reader, node)),
        gateway: fields.node("gateway").and_then(|node| gateway(reader, node)),
        cleaner: fields.node("cleaner").and_then(|node| cleaner(reader, node)),
    };
    fields.finish();
    check_ports(reader, &workers);
    Some(workers)
}

fn emulator(reader: &mut Reader<'_>, node: &Node) -> Option<Emulator> {
    let mut fields = reader.fields::<Emulator>(node, "`workers.emulator`")?;
    let source = fields.text(reader, "source").and_then(|text| event_source(reader, text));
    let emulator = Emulator {
        place: node.place,
        source: source.unwrap_or_else(|| Value::written(EventSource::Sample, node.place)),
        paths: fields.choice(reader, "paths"),
        rate: fields.whole(reader, "rate"),
        burst: fields.whole(reader, "burst"),
        ramp: fields.whole(reader, "ramp"),
        count: fields.optional_whole(reader, "count"),
        rows: fields.whole(reader, "rows"),
        seed: fields.whole(reader, "seed"),
        port: fields.optional_whole(reader, "port"),
    };
    fields.finish();
    Some(emulator)
}

fn gateway(reader: &mut Reader<'_>, node: &Node) -> Option<Gateway> {
    let mut fields = reader.fields::<Gateway>(node, "`workers.gateway`")?;
    let port = fields.whole(reader, "port");
    fields.finish();
    Some(Gateway { place: node.place, port })
}

fn cleaner(reader: &mut Reader<'_>, node: &Node) -> Option<Cleaner> {
    let mut fields = reader.fields::<Cleaner>(node, "`workers.cleaner`")?;
    let cleaner = Cleaner {
        place: node.place,
        streaming: fields.flag(reader, "streaming"),
        commit_ms: fields.whole(reader, "commit_ms"),
        schedule: fields.text(reader, "schedule"),
        port: fields.optional_whole(reader, "port"),
    };
    fields.finish();
    if let Some(schedule) = &cleaner.schedule {
        check_schedule(reader, schedule);
    } else if !cleaner.streaming.get() {
        reader.report(
            Problem::error("this cleaner never cleans anything")
                .at(cleaner.streaming.place, "not while events stream, and there is no `schedule`")
                .help("write `streaming: true`, or add a `schedule` such as \"0 12 * * *\""),
        );
    }
    Some(cleaner)
}

fn event_source(reader: &mut Reader<'_>, text: Value<String>) -> Option<Value<EventSource>> {
    const HELP: &str = "write `sample`, `mysql://user:${env:PASSWORD}@host:3306/database` or `sqlite:rows.db`";
    let written = text.get();
    if written == "sample" {
        return Some(text.map(|_| EventSource::Sample));
    }
    if let Some(path) = written.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path).to_owned();
        let path = paths::file(reader, &text.map(|_| path), "`workers.emulator.source`", None)?;
        return Some(path.map(EventSource::Sqlite));
    }
    if written.starts_with("mysql://") {
        let parsed = url::Url::parse(written).ok();
        let whole =
            parsed.is_some_and(|url| url.host_str().is_some_and(|host| !host.is_empty()) && url.path().len() > 1);
        if !whole {
            reader.report(
                Problem::error("`workers.emulator.source` is not a whole MySQL URL")
                    .at(text.place, "expected `mysql://user@host:port/database`")
                    .help(HELP),
            );
            return None;
        }
        if !secrets(reader.source.slice(text.place)).is_empty() {
            reader.report(
                Problem::warning("there is a password in the stack file, in plain text")
                    .at(text.place, "whoever reads the file has it")
                    .help("put it into the environment: `mysql://user:${env:PASSWORD}@host/database`"),
            );
        }
        return Some(text.map(EventSource::MySql));
    }
    // The value may hold a password, so only its scheme is repeated.
    let problem = match written.split_once(':') {
        _ if text.from_env => Problem::error("`workers.emulator.source` is not a source that is known"),
        Some((scheme, _)) => Problem::error(format!("a source cannot be read by {}", quoted(scheme))),
        None => Problem::error(format!("{} is not a source", quoted(written))),
    };
    let scheme = written.split(':').next().unwrap_or_default();
    let near = nearest(scheme, ["sample", "mysql", "sqlite"]).filter(|near| !text.from_env && *near != scheme);
    let label = near.map_or("not known".to_owned(), |near| format!("did you mean `{near}`?"));
    reader.report(problem.at(text.place, label).help(HELP));
    None
}

fn check_schedule(reader: &mut Reader<'_>, schedule: &Value<String>) {
    const HELP: &str =
        "write five fields: minute, hour, day, month, day of the week; \"0 12 * * *\" is every day at 12:00 UTC";
    let parser = croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Disallowed)
        .year(croner::parser::Year::Disallowed)
        .build();
    let label = match schedule.get().split_whitespace().count() {
        5 => match parser.parse(schedule.get()) {
            Ok(_) => return,
            Err(_) if schedule.from_env => "cannot be read".to_owned(),
            Err(error) => cron_reason(&error),
        },
        found => format!("{found} fields instead of five"),
    };
    reader.report(
        Problem::error("`workers.cleaner.schedule` is not a cron expression").at(schedule.place, label).help(HELP),
    );
}

/// The parser's reason without its class: `component error: number out of bounds`.
fn cron_reason(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or(&text).trim_end_matches('.').to_lowercase()
}

fn check_ports(reader: &mut Reader<'_>, workers: &Workers) {
    let ports = [
        ("emulator", workers.emulator.as_ref().and_then(|emulator| emulator.port.as_ref())),
        ("gateway", workers.gateway.as_ref().map(|gateway| &gateway.port)),
        ("cleaner", workers.cleaner.as_ref().and_then(|cleaner| cleaner.port.as_ref())),
    ];
    let given: Vec<(&str, &Value<u32>)> = ports.iter().filter_map(|(name, port)| Some((*name, (*port)?))).collect();
    for (index, (name, port)) in given.iter().enumerate() {
        if let Some((other, first)) = given[..index].iter().find(|(_, earlier)| earlier.get() == port.get()) {
            reader.report(
                Problem::error("two workers cannot have one port")
                    .at(port.place, format!("the {name}"))
                    .at(first.place, format!("the {other}"))
                    .help("they run on the same machine: give one of them another port"),
            );
        }
    }
}
