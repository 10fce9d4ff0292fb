//! What a connector is asked to do: its configuration over that of its worker, read and checked whole.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use regex::Regex;

use super::converter::Converter;
use super::keys;
use super::partitioner::{Partitioner, TimeBased};
use super::path_format::PathFormat;
use super::timestamps::{Extractor, zone};
use super::writer::{Format, Plan, Schedule};

/// The key that names what runs.
pub(crate) const CONNECTOR_CLASS: &str = "connector.class";
/// The key that MSK Connect asks for besides the class.
pub(crate) const TASKS_MAX: &str = "tasks.max";

const S3_SINK: &str = "io.confluent.connect.s3.S3SinkConnector";
const PARTITIONERS: &str = "io.confluent.connect.storage.partitioner.";
const HOUR_MILLIS: i64 = 3_600_000;

/// An S3 sink that can run.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) topics: Topics,
    pub(super) tasks_max: usize,
    /// `connect-<name>`, unless the consumer is overridden.
    pub(super) group: String,
    /// Where a group without an offset begins: the oldest record, or the next.
    pub(super) from_latest: bool,
    pub(super) key_converter: Converter,
    pub(super) value_converter: Converter,
    pub(super) errors: Errors,
    pub(super) ignores_nulls: bool,
    pub(super) bucket: String,
    pub(super) region: String,
    pub(super) retries: u32,
    pub(super) backoff: Duration,
    pub(super) plan: Plan,
}

/// `topics` or `topics.regex`.
#[derive(Debug)]
pub(super) enum Topics {
    Named(Vec<String>),
    Matching(Regex),
}

/// What is done with records that cannot be written.
#[derive(Debug)]
pub(super) struct Errors {
    /// `errors.tolerance` is `all`.
    pub(super) tolerated: bool,
    pub(super) logged: bool,
    pub(super) log_has_messages: bool,
    pub(super) dead_letters: Option<DeadLetters>,
}

/// The dead-letter topic.
#[derive(Clone, Debug)]
pub(super) struct DeadLetters {
    pub(super) topic: String,
    pub(super) replication: i16,
    /// Whether headers tell what went wrong.
    pub(super) context: bool,
}

impl Sink {
    /// Reads the configuration of a connector. `worker` has the converters of its worker configuration. The text lists all
    /// that is wrong, in the words of Kafka Connect.
    pub(super) fn read(
        name: &str,
        connector: &BTreeMap<String, String>,
        worker: &BTreeMap<String, String>,
    ) -> Result<Sink, String> {
        let class = connector.get(CONNECTOR_CLASS).map(|class| class.trim()).unwrap_or_default();
        if class != S3_SINK && class != "S3SinkConnector" && class != "S3Sink" {
            return Err(format!(
                "Failed to find any class that implements Connector and which name matches {class}: the local cloud runs \
                 {S3_SINK}"
            ));
        }
        let mut asked = Asked { connector, worker, wrong: Vec::new() };
        asked.check_keys(name);
        let sink = asked.sink(name);
        if asked.wrong.is_empty() {
            return Ok(sink);
        }
        let count = asked.wrong.len();
        let all = asked.wrong.join("\n");
        Err(format!("Connector configuration is invalid and contains the following {count} error(s):\n{all}"))
    }
}

/// The two maps and what was found wrong in them.
struct Asked<'a> {
    connector: &'a BTreeMap<String, String>,
    worker: &'a BTreeMap<String, String>,
    wrong: Vec<String>,
}

impl Asked<'_> {
    fn check_keys(&mut self, name: &str) {
        for (key, value) in self.connector {
            if let Err(why) = keys::check(key, value.trim()) {
                self.wrong.push(why);
            }
            if value.contains("${") {
                self.wrong.push(format!(
                    "`{key}` refers to a configuration provider (`${{…}}`), and the local cloud has none: give the value"
                ));
            }
        }
        if self.connector.get("name").is_some_and(|other| other != name) {
            self.wrong.push(format!("`name` has to be the connector's name, `{name}`, or to be left out"));
        }
    }

    fn sink(&mut self, name: &str) -> Sink {
        let key_converter = self.converter("key.converter");
        let value_converter = self.converter("value.converter");
        let topics = self.topics();
        let errors = self.errors(&topics);
        let plan = self.plan();
        let group = self.text("consumer.override.group.id", "");
        Sink {
            topics,
            errors,
            tasks_max: self.number(TASKS_MAX, Some(1), 1),
            group: if group.is_empty() { format!("connect-{name}") } else { group },
            from_latest: self.one_of("consumer.override.auto.offset.reset", &["earliest", "latest"]) == 1,
            key_converter,
            value_converter,
            ignores_nulls: self.one_of("behavior.on.null.values", &["fail", "ignore"]) == 1,
            bucket: self.required("s3.bucket.name"),
            region: self.text("s3.region", "us-west-2"),
            retries: self.number("s3.part.retries", Some(3), 0),
            backoff: Duration::from_millis(self.number("s3.retry.backoff.ms", Some(200), 1)),
            plan,
        }
    }

    fn topics(&mut self) -> Topics {
        let named = self.list("topics");
        let regex = self.text("topics.regex", "");
        if named.is_empty() == regex.is_empty() {
            self.wrong.push("Must configure one of topics or topics.regex".to_owned());
        }
        if regex.is_empty() {
            return Topics::Named(named);
        }
        // Java's `matches` is about the whole name.
        match Regex::new(&format!("^(?:{regex})$")) {
            Ok(regex) => Topics::Matching(regex),
            Err(error) => {
                self.wrong.push(format!("Invalid value {regex} for configuration topics.regex: {error}"));
                Topics::Named(Vec::new())
            }
        }
    }

    fn errors(&mut self, topics: &Topics) -> Errors {
        let topic = self.text("errors.deadletterqueue.topic.name", "");
        let consumed = match topics {
            Topics::Named(names) => names.contains(&topic),
            Topics::Matching(regex) => regex.is_match(&topic),
        };
        if !topic.is_empty() && consumed {
            self.wrong.push(format!(
                "The DLQ topic '{topic}' may not be included in the list of topics (or match the regex) consumed by the \
                 connector"
            ));
        }
        let replication = self.number("errors.deadletterqueue.topic.replication.factor", Some(3), 1);
        let context = self.flag("errors.deadletterqueue.context.headers.enable");
        Errors {
            tolerated: self.one_of("errors.tolerance", &["none", "all"]) == 1,
            logged: self.flag("errors.log.enable"),
            log_has_messages: self.flag("errors.log.include.messages"),
            dead_letters: (!topic.is_empty()).then_some(DeadLetters { topic, replication, context }),
        }
    }

    fn plan(&mut self) -> Plan {
        let (format, extension) = self.format();
        let gzip = self.one_of("s3.compression.type", &["none", "gzip"]) == 1;
        let level = self.number("s3.compression.level", Some(-1), -1);
        if level > 9 {
            self.wrong.push(format!("Invalid value {level} for configuration s3.compression.level: -1 to 9"));
        }
        let interval: i64 = self.number("rotate.schedule.interval.ms", Some(-1), -1);
        let schedule = (interval > 0).then(|| Schedule { interval_millis: interval, zone: self.zone() });
        Plan {
            topics_dir: self.text("topics.dir", "topics"),
            file_delim: self.text("file.delim", "+"),
            pad_width: self.number("filename.offset.zero.pad.width", Some(10), 0),
            flush_size: self.number("flush.size", None, 1),
            rotate_millis: self.number("rotate.interval.ms", Some(-1), -1),
            schedule,
            extension: if gzip { format!("{extension}.gz") } else { extension },
            gzip: gzip.then_some(level),
            format,
            partitioner: self.partitioner(),
        }
    }

    fn format(&mut self) -> (Format, String) {
        const JSON: &str = "io.confluent.connect.s3.format.json.JsonFormat";
        const BYTES: &str = "io.confluent.connect.s3.format.bytearray.ByteArrayFormat";
        let class = self.text("format.class", "io.confluent.connect.s3.format.avro.AvroFormat");
        if class == BYTES {
            let separator = self.connector.get("format.bytearray.separator").map_or("\n", |given| given.trim());
            let format = Format::Bytes { separator: separator.as_bytes().to_vec() };
            return (format, self.text("format.bytearray.extension", ".bin"));
        }
        if class != JSON {
            self.wrong.push(format!(
                "Invalid value {class} for configuration format.class: the local cloud has {JSON} and {BYTES}"
            ));
        }
        (Format::Json, ".json".to_owned())
    }

    fn partitioner(&mut self) -> Partitioner {
        let class = self.text("partitioner.class", &format!("{PARTITIONERS}DefaultPartitioner"));
        match class.strip_prefix(PARTITIONERS) {
            Some("DefaultPartitioner") => Partitioner::Default,
            Some("FieldPartitioner") => {
                let fields = self.list("partition.field.name");
                if fields.is_empty() {
                    self.wrong.push(missing("partition.field.name"));
                }
                Partitioner::Field(fields)
            }
            Some("TimeBasedPartitioner") => {
                let duration = self.number("partition.duration.ms", None, 1);
                let pattern = self.required("path.format");
                self.time_based(&pattern, duration)
            }
            Some("DailyPartitioner") => self.time_based("'year'=YYYY/'month'=MM/'day'=dd", 24 * HOUR_MILLIS),
            Some("HourlyPartitioner") => self.time_based("'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH", HOUR_MILLIS),
            _ => {
                self.wrong.push(format!(
                    "Invalid value {class} for configuration partitioner.class: the local cloud has {PARTITIONERS}\
                     DefaultPartitioner, TimeBasedPartitioner, DailyPartitioner, HourlyPartitioner and FieldPartitioner"
                ));
                Partitioner::Default
            }
        }
    }

    fn time_based(&mut self, pattern: &str, duration_millis: i64) -> Partitioner {
        let locale = self.required("locale");
        let extractor =
            match self.text("timestamp.extractor", "Wallclock").rsplit(['.', '$']).next().unwrap_or_default() {
                "Wallclock" | "WallclockTimestampExtractor" => Extractor::Wallclock,
                "Record" | "RecordTimestampExtractor" => Extractor::Record,
                "RecordField" | "RecordFieldTimestampExtractor" => {
                    Extractor::Field(self.text("timestamp.field", "timestamp"))
                }
                other => {
                    self.wrong.push(format!(
                        "Invalid timestamp extractor: {other}: the local cloud has Wallclock, Record and RecordField"
                    ));
                    Extractor::Wallclock
                }
            };
        let format = PathFormat::parse(pattern.trim_end_matches('/')).unwrap_or_else(|why| {
            self.wrong.push(format!("Invalid value {pattern} for configuration path.format: {why}"));
            PathFormat::default()
        });
        if format.has_names() && !locale.is_empty() && !locale.to_lowercase().starts_with("en") {
            self.wrong.push(format!(
                "`path.format` writes names of months or days, which the local cloud knows in English and not in `{locale}`"
            ));
        }
        Partitioner::Time(TimeBased { format, zone: self.zone(), duration_millis, extractor })
    }

    fn zone(&mut self) -> time::UtcOffset {
        let name = self.text("timezone", "");
        zone(&name).unwrap_or_else(|| {
            self.wrong.push(format!(
                "Invalid value {name} for configuration timezone: The datetime zone id '{name}' is not recognised (the \
                 local cloud has UTC and offsets such as +02:00)"
            ));
            time::UtcOffset::UTC
        })
    }

    /// The connector's own, or its worker's: a connector that names a class brings all settings of it.
    fn converter(&mut self, key: &str) -> Converter {
        let own = self.connector.contains_key(key);
        let from = if own { self.connector } else { self.worker };
        let class = from.get(key).map_or("", |class| class.trim()).to_owned();
        let schemas = from.get(&format!("{key}.schemas.enable")).map_or("true", |flag| flag.trim());
        let schemas = !schemas.eq_ignore_ascii_case("false");
        match class.rsplit('.').next().unwrap_or_default() {
            // What MSK Connect's default worker configuration has.
            "" | "StringConverter" => Converter::Text,
            "JsonConverter" => Converter::Json { schemas },
            "ByteArrayConverter" => Converter::Bytes,
            _ => {
                self.wrong.push(format!(
                    "Invalid value {class} for configuration {key}: the local cloud has StringConverter, JsonConverter \
                     and ByteArrayConverter of Apache Kafka"
                ));
                Converter::Text
            }
        }
    }

    fn text(&self, key: &str, default: &str) -> String {
        self.connector.get(key).map_or(default, |value| value.trim()).to_owned()
    }

    fn list(&self, key: &str) -> Vec<String> {
        let text = self.text(key, "");
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn required(&mut self, key: &str) -> String {
        let text = self.text(key, "");
        if text.is_empty() {
            self.wrong.push(missing(key));
        }
        text
    }

    fn flag(&mut self, key: &str) -> bool {
        self.one_of(key, &["false", "true"]) == 1
    }

    /// The place of the value among those allowed, the first of which is the default.
    fn one_of(&mut self, key: &str, allowed: &[&str]) -> usize {
        let value = self.text(key, allowed.first().copied().unwrap_or_default());
        allowed.iter().position(|allowed| allowed.eq_ignore_ascii_case(&value)).unwrap_or_else(|| {
            let allowed = allowed.join(", ");
            self.wrong.push(format!(
                "Invalid value {value} for configuration {key}: String must be one of (case insensitive): {allowed}"
            ));
            0
        })
    }

    /// A number that is at least `least`; without a default it has to be there.
    fn number<T: FromStr + PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        key: &str,
        default: Option<T>,
        least: T,
    ) -> T {
        let Some(text) = self.connector.get(key).map(|text| text.trim()) else {
            return default.unwrap_or_else(|| {
                self.wrong.push(missing(key));
                least
            });
        };
        match text.parse::<T>() {
            Ok(number) if number >= least => number,
            Ok(_) => {
                self.wrong
                    .push(format!("Invalid value {text} for configuration {key}: Value must be at least {least}"));
                least
            }
            Err(_) => {
                self.wrong.push(format!("Invalid value {text} for configuration {key}: Not a number"));
                least
            }
        }
    }
}

fn missing(key: &str) -> String {
    format!("Missing required configuration \"{key}\" which has no default value.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let base = [
            ("connector.class", S3_SINK),
            ("tasks.max", "3"),
            ("topics.regex", "pinterest.*"),
            ("flush.size", "1"),
            ("s3.region", "us-east-1"),
            ("s3.bucket.name", "lake"),
            ("schema.compatibility", "NONE"),
            ("format.class", "io.confluent.connect.s3.format.json.JsonFormat"),
            ("storage.class", "io.confluent.connect.s3.storage.S3Storage"),
            ("partitioner.class", "io.confluent.connect.storage.partitioner.DefaultPartitioner"),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter.schemas.enable", "false"),
        ];
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn read(more: &[(&str, &str)]) -> Result<Sink, String> {
        Sink::read("c", &asked(more), &BTreeMap::new())
    }

    #[test]
    fn the_pipelines_own_configuration() {
        let sink = read(&[]).unwrap();
        assert_eq!((sink.group.as_str(), sink.tasks_max, sink.plan.flush_size), ("connect-c", 3, 1));
        assert_eq!((sink.plan.topics_dir.as_str(), sink.plan.pad_width), ("topics", 10));
        assert_eq!(sink.value_converter, Converter::Json { schemas: false });
        assert!(
            matches!(sink.topics, Topics::Matching(regex) if regex.is_match("pinterest.pin") && !regex.is_match("xpinterest"))
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let wrong = read(&[("flush.size", "0"), ("flush.sizes", "1"), ("s3.bucket.name", ""), ("topics", "a")]);
        let wrong = wrong.unwrap_err();
        for part in [
            "following 4 error(s)",
            "Value must be at least 1",
            "did you mean `flush.size`",
            "\"s3.bucket.name\" which has no default",
            "one of topics or topics.regex",
        ] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for (key, value) in [
            ("connector.class", "io.debezium.Mine"),
            ("format.class", "io.confluent.connect.s3.format.parquet.ParquetFormat"),
            ("partitioner.class", "com.example.Mine"),
            ("value.converter", "io.confluent.connect.avro.AvroConverter"),
            ("schema.compatibility", "BACKWARD"),
            ("errors.tolerance", "some"),
            ("s3.compression.type", "snappy"),
            ("behavior.on.null.values", "write"),
            ("transforms", "route"),
            ("rotate.schedule.interval.ms", "1000"),
            ("aws.secret.access.key", "x"),
            ("s3.bucket.name", "${ssm::bucket}"),
        ] {
            assert!(read(&[(key, value)]).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn a_worker_gives_converters_to_those_without() {
        let mut connector = asked(&[]);
        connector.remove("value.converter");
        connector.remove("value.converter.schemas.enable");
        let worker = BTreeMap::from([
            ("value.converter".to_owned(), "org.apache.kafka.connect.json.JsonConverter".to_owned()),
            ("value.converter.schemas.enable".to_owned(), "false".to_owned()),
        ]);
        let sink = Sink::read("c", &connector, &worker).unwrap();
        assert_eq!(sink.value_converter, Converter::Json { schemas: false });
        let sink = Sink::read("c", &connector, &BTreeMap::new()).unwrap();
        assert_eq!(sink.value_converter, Converter::Text);
    }

    #[test]
    fn time_needs_its_four_settings() {
        let class = ("partitioner.class", "io.confluent.connect.storage.partitioner.TimeBasedPartitioner");
        let wrong = read(&[class]).unwrap_err();
        assert!(wrong.contains("following 4 error(s)"), "{wrong}");
        read(&[
            class,
            ("path.format", "YYYY"),
            ("locale", "en-US"),
            ("timezone", "UTC"),
            ("partition.duration.ms", "1"),
        ])
        .unwrap();
    }
}
