//! Source rows for those who have none: three tables with the shapes, the dirt and the hidden structure of the data that
//! the pipeline was made for. All of it is synthetic.
//!
//! A [`Sample`] holds no rows. Each is made when it is asked for, from the sample's size and seed and the row's number
//! alone, so a sample of a hundred million rows costs as much as one of ten. Row `n` of each table belongs together:
//! the pin of one poster, from where that poster is, by the person that the poster is.

mod countries;
mod draws;
mod names;
mod pins;
mod posters;
mod text;
mod time;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub(crate) use self::draws::Draws;
use self::pins::Fault;
use self::posters::Poster;
use self::time::{iso8601, seconds};

/// A table of the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SampleTable {
    /// `pinterest_data`: what was posted; its key is `index`.
    Pin,
    /// `geolocation_data`: when and where; its key is `ind`.
    Geo,
    /// `user_data`: by whom; its key is `ind`.
    User,
}

impl SampleTable {
    /// All of them.
    pub const ALL: [SampleTable; 3] = [SampleTable::Pin, SampleTable::Geo, SampleTable::User];

    /// Its name in the source database.
    pub fn name(self) -> &'static str {
        match self {
            SampleTable::Pin => "pinterest_data",
            SampleTable::Geo => "geolocation_data",
            SampleTable::User => "user_data",
        }
    }

    /// The table of this name.
    pub fn from_name(name: &str) -> Option<SampleTable> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The column that identifies a row; it holds the row's number.
    pub fn key(self) -> &'static str {
        match self {
            SampleTable::Pin => "index",
            SampleTable::Geo | SampleTable::User => "ind",
        }
    }
}

/// Three tables of synthetic rows, of one size and one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    rows: u32,
    seed: u64,
}

impl Sample {
    /// Tables of `rows` rows each. Another seed gives other content of the same kind.
    pub fn new(rows: u32, seed: u64) -> Sample {
        Sample { rows, seed }
    }

    /// How many rows each table has; they are numbered from 0.
    pub fn rows(self) -> u32 {
        self.rows
    }

    /// Row `n` of a table, its columns in stored order; an SQL NULL is a JSON null, a date-time is text such as
    /// `2020-08-28T03:52:47`. From `rows` on, the rows go on as if there were more of the last category.
    pub fn row(self, table: SampleTable, n: u32) -> Map<String, Value> {
        let poster = self.poster(n);
        let mut row = Map::new();
        match table {
            SampleTable::Pin => return pins::pin(self.rows, self.seed, n, poster),
            SampleTable::Geo => {
                row.insert("ind".to_owned(), json!(n));
                row.insert("timestamp".to_owned(), json!(iso8601(self.posted(n))));
                row.insert("latitude".to_owned(), json!(poster.latitude));
                row.insert("longitude".to_owned(), json!(poster.longitude));
                row.insert("country".to_owned(), json!(poster.country));
            }
            SampleTable::User => {
                row.insert("ind".to_owned(), json!(n));
                row.insert("first_name".to_owned(), json!(poster.first_name));
                row.insert("last_name".to_owned(), json!(poster.last_name));
                row.insert("age".to_owned(), json!(poster.age));
                row.insert("date_joined".to_owned(), json!(iso8601(poster.joined)));
            }
        }
        row
    }

    fn poster(self, n: u32) -> Poster {
        if pins::fault(self.rows, self.seed, n) == Fault::All {
            return posters::unreadable();
        }
        posters::poster(self.seed, posters::number(self.rows, self.seed, n))
    }

    /// When row `n` was posted: evenly from 2017-10-20T01:44:00 to 2022-10-18, after everybody had joined.
    fn posted(self, n: u32) -> i64 {
        let (first, last) = (seconds(2017, 10, 20) + 3600 + 44 * 60, seconds(2022, 10, 19));
        first + Draws::new(self.seed, 6, u64::from(n)).below((last - first) as u64) as i64
    }
}
