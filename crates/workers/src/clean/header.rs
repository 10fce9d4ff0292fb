//! The head of a cleaning SQL file: `-- reads: index, unique_id, …` names the fields of an event that become columns.

use crate::sql::{At, SqlError};

const WORD: &str = "reads:";

/// The fields that are read, in order. Several `-- reads:` lines count as one.
pub(super) fn fields(sql: &str) -> Result<Vec<String>, SqlError> {
    let mut fields: Vec<String> = Vec::new();
    for (number, line) in sql.lines().enumerate() {
        let Some(list) = reads(line) else {
            // The head ends where the SQL begins.
            if line.trim().is_empty() || line.trim_start().starts_with("--") {
                continue;
            }
            break;
        };
        for part in list.split(',') {
            // Both are parts of the line, so their distance is where the field stands in it.
            let field = part.trim();
            let byte = field.as_ptr() as usize - line.as_ptr() as usize;
            let at = At::new(number + 1, line[..byte].chars().count() + 1, field.chars().count());
            if field.is_empty() {
                return Err(at.error("a field's name is missing here").help("separate the fields by single commas"));
            }
            if fields.iter().any(|earlier| earlier == field) {
                return Err(at.error(format!("the field `{field}` is read twice")).help("name it once"));
            }
            fields.push(field.to_owned());
        }
    }
    if fields.is_empty() {
        return Err(At::new(1, 1, 1)
            .error("it does not say which fields of an event it reads")
            .help("begin the file with a comment such as `-- reads: index, title`"));
    }
    Ok(fields)
}

/// Where the fields are named.
pub(super) fn place(sql: &str) -> At {
    let line = sql.lines().position(|line| reads(line).is_some()).unwrap_or(0);
    let text = sql.lines().nth(line).unwrap_or_default();
    let indent = text.chars().take_while(|c| c.is_whitespace()).count();
    At::new(line + 1, indent + 1, text.trim().chars().count())
}

/// The list in a line that has one.
fn reads(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("--")?.trim_start().strip_prefix(WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_stand_on_several_lines() {
        let sql = "-- How it is cleaned.\n\n  --reads: index,title\n-- reads:  a b\nSELECT 1\n-- reads: no more";
        assert_eq!(fields(sql).unwrap(), ["index", "title", "a b"]);
    }

    #[test]
    fn what_is_wrong_is_found() {
        let place = |sql: &str| fields(sql).map_err(|error| (error.line, error.column, error.width));
        assert_eq!(place("SELECT 1 FROM events"), Err((1, 1, 1)));
        assert_eq!(place("-- é\n-- reads: é, title, é"), Err((2, 21, 1)));
        assert_eq!(place("-- reads: a,, b"), Err((1, 13, 1)));
        assert_eq!(place("-- reads:"), Err((1, 10, 1)));
    }
}
