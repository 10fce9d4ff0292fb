//! Into which directory a record goes.

use time::UtcOffset;

use super::path_format::PathFormat;
use super::timestamps::Extractor;
use super::value::Data;

/// `partitioner.class` with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Partitioner {
    /// `partition=<number of the Kafka partition>`.
    Default,
    /// `<field>=<value>` of fields of a struct.
    Field(Vec<String>),
    /// The time of a record, cut to the partition duration.
    Time(TimeBased),
}

/// `TimeBasedPartitioner` and its two presets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeBased {
    pub(super) format: PathFormat,
    pub(super) zone: UtcOffset,
    pub(super) duration_millis: i64,
    pub(super) extractor: Extractor,
}

impl Partitioner {
    /// The directory below the topic's. `time` is what the extractor said of the record. The text says why there is none.
    pub(super) fn directory(&self, partition: i32, value: &Data, time: Option<i64>) -> Result<String, String> {
        match self {
            Partitioner::Default => Ok(format!("partition={partition}")),
            Partitioner::Field(fields) => by_fields(fields, value),
            Partitioner::Time(settings) => Ok(settings.directory(time.unwrap_or_default())),
        }
    }

    /// What times of records are taken for.
    pub(super) fn extractor(&self) -> Option<&Extractor> {
        match self {
            Partitioner::Time(settings) => Some(&settings.extractor),
            Partitioner::Default | Partitioner::Field(_) => None,
        }
    }
}

impl TimeBased {
    fn directory(&self, millis: i64) -> String {
        let offset = i64::from(self.zone.whole_seconds()) * 1_000;
        let local = millis + offset;
        let begin = local / self.duration_millis * self.duration_millis;
        self.format.write(begin - offset, self.zone)
    }
}

/// The connector knows fields of structs only: a value that came without a schema has none.
fn by_fields(fields: &[String], value: &Data) -> Result<String, String> {
    let Data::Struct(members) = value else {
        return Err(format!(
            "Error encoding partition: FieldPartitioner needs a value with a schema, and this is {}. Value is not Struct \
             type.",
            value.kind()
        ));
    };
    let mut parts = Vec::new();
    for field in fields {
        let found = members.iter().find(|(name, _)| name == field).map(|(_, member)| member);
        let text = match found {
            Some(Data::Int(number)) => number.to_string(),
            Some(Data::Text(text)) => text.clone(),
            Some(Data::Bool(flag)) => flag.to_string(),
            Some(other) => {
                return Err(format!("Error encoding partition: the field `{field}` is {}", other.kind()));
            }
            None => return Err(format!("Error encoding partition: {field} is not a valid field name")),
        };
        parts.push(format!("{field}={text}"));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_make_directories() {
        let value = Data::Struct(vec![
            ("a".to_owned(), Data::Text("x".to_owned())),
            ("b".to_owned(), Data::Int(3)),
            ("c".to_owned(), Data::Double(1.0)),
        ]);
        let directory = |fields: &[&str]| {
            let fields = fields.iter().map(|field| (*field).to_owned()).collect();
            Partitioner::Field(fields).directory(0, &value, None)
        };
        assert_eq!(directory(&["a", "b"]).unwrap(), "a=x/b=3");
        assert!(directory(&["c"]).is_err());
        assert!(directory(&["d"]).is_err());
        let map = Partitioner::Field(vec!["a".to_owned()]).directory(0, &Data::Map(Vec::new()), None);
        assert!(map.unwrap_err().contains("schema"));
    }

    #[test]
    fn a_time_is_cut_to_the_duration() {
        let settings = TimeBased {
            format: PathFormat::parse("HH-mm").unwrap(),
            zone: UtcOffset::UTC,
            duration_millis: 600_000,
            extractor: Extractor::Record,
        };
        let partitioner = Partitioner::Time(settings);
        assert_eq!(partitioner.directory(0, &Data::Null, Some(3_600_000 + 1_199_999)).unwrap(), "01-10");
        assert_eq!(Partitioner::Default.directory(7, &Data::Null, None).unwrap(), "partition=7");
    }
}
