//! A mistake in SQL and where it is.
//!
//! The parser and the planner say it in three ways: with a span, with `at Line: 3, Column: 5` inside the message, or only
//! with the name of what they stumbled over. All of them end as a line and a column here.

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::session::function_names;

/// A mistake in SQL: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct SqlError {
    /// What is wrong, in a line.
    pub message: String,
    /// The line of the SQL, from 1.
    pub line: usize,
    /// The column in it, in characters from 1.
    pub column: usize,
    /// How many characters are meant, at least 1, all on that line.
    pub width: usize,
    /// What to do.
    pub help: Option<String>,
    /// The table that is not there, where that is the mistake.
    pub unknown_table: Option<String>,
}

impl SqlError {
    /// A mistake at a place.
    pub(crate) fn at(line: usize, column: usize, width: usize, message: impl Into<String>) -> SqlError {
        let (line, column) = (line.max(1), column.max(1));
        SqlError { message: message.into(), line, column, width: width.max(1), help: None, unknown_table: None }
    }

    /// The same with advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> SqlError {
        self.help = Some(help.into());
        self
    }

    /// What DataFusion says about `sql`.
    pub(crate) fn from_datafusion(sql: &str, error: &DataFusionError) -> SqlError {
        let words = Words::of(sql);
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let place = |names: &[&str]| {
            let spanned = span.and_then(|span| words.at_position(span.start.line, span.start.column));
            spanned.or_else(|| names.iter().find_map(|name| words.named(name))).unwrap_or_else(|| words.start())
        };
        let root = error.find_root();
        match root {
            DataFusionError::SQL(parser, _) => from_parser(&words, &parser.to_string()),
            DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
                SchemaError::FieldNotFound { field, valid_fields } => {
                    let known: Vec<&str> = valid_fields.iter().map(|field| field.name.as_str()).collect();
                    let error = place(&[&field.name]).error(format!("there is no column `{}`", field.name));
                    error.maybe_help(suggestion(&field.name, &known, "the columns are"))
                }
                SchemaError::AmbiguousReference { field } => place(&[&field.name])
                    .error(format!("`{}` could be a column of more than one table", field.name))
                    .help("write the table before it, such as `p.ind`"),
                _ => place(&[]).error(first_line(&schema.to_string())),
            },
            _ => {
                let message = root.message();
                if let Some(name) = between(&message, "Invalid function '", "'") {
                    let error = place(&[name]).error(format!("there is no function `{name}`"));
                    let known = function_names();
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    return error.maybe_help(nearest(name, &known).map(|near| format!("did you mean `{near}`?")));
                }
                if let Some(table) = between(&message, "able '", "' not found") {
                    let table = table.rsplit('.').next().unwrap_or(table);
                    let error = place(&[table]).error(format!("there is no table `{table}`"));
                    return SqlError { unknown_table: Some(table.to_owned()), ..error };
                }
                place(&quoted_names(&message)).error(first_line(&message))
            }
        }
    }

    fn maybe_help(mut self, help: Option<String>) -> SqlError {
        self.help = help.or(self.help);
        self
    }
}

/// The statements of a text, of which there has to be exactly one.
pub(crate) fn statements(sql: &str) -> Result<ast::Statement, SqlError> {
    let words = Words::of(sql);
    let parsed = DFParserBuilder::new(sql).build().and_then(|mut parser| parser.parse_statements());
    let mut parsed = parsed.map_err(|error| SqlError::from_datafusion(sql, &error))?;
    if parsed.len() > 1 {
        let second = words.second_statement();
        return Err(second.error("there is more than one statement").help("write one `SELECT`"));
    }
    match parsed.pop_front() {
        Some(Statement::Statement(statement)) => Ok(*statement),
        Some(_) => Err(words.start().error("this is not a query").help("write one `SELECT`")),
        None => Err(words.start().error("there is no statement").help("write one `SELECT`")),
    }
}

/// Where the `index`-th thing stands that the outermost `SELECT` selects; `None` after a `*`, where the count no longer fits.
///
/// By the words themselves: the parser's tree leaves the closing bracket of a call and the beginning of a cast out.
pub(crate) fn selected(sql: &str, index: usize) -> Option<At> {
    let words = Words::of(sql);
    let mut depth = 0_usize;
    let mut items: Vec<Vec<&TokenWithSpan>> = Vec::new();
    for token in &words.tokens {
        match &token.token {
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.keyword == Keyword::SELECT && items.is_empty() => {
                items.push(Vec::new());
                continue;
            }
            Token::Word(word) if depth == 0 && word.keyword == Keyword::FROM && !items.is_empty() => break,
            Token::Comma if depth == 0 && !items.is_empty() => {
                items.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if matches!(token.token, Token::LParen | Token::LBracket) {
            depth += 1;
        }
        if let Some(item) = items.last_mut() {
            item.push(token);
        }
    }
    let is_star = |item: &Vec<&TokenWithSpan>| item.last().is_some_and(|token| token.token == Token::Mul);
    if items.iter().take(index + 1).any(is_star) {
        return None;
    }
    let item = items.get(index)?;
    let (first, last) = (words.place(item.first()?), item.last()?.span.end);
    let on_one_line = number(last.line) == first.line;
    Some(if on_one_line { At::new(first.line, first.column, number(last.column) - first.column) } else { first })
}

/// The words of a text of SQL with their places: what error messages name is looked up among them.
pub(crate) struct Words {
    tokens: Vec<TokenWithSpan>,
    /// The characters in each line.
    lines: Vec<usize>,
}

/// A place in SQL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    line: usize,
    column: usize,
    width: usize,
}

impl At {
    /// A place by line and column, from 1, and its width in characters.
    pub(crate) fn new(line: usize, column: usize, width: usize) -> At {
        At { line, column, width: width.max(1) }
    }

    /// Its line and column.
    pub(crate) fn position(self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// The mistake there.
    pub(crate) fn error(self, message: impl Into<String>) -> SqlError {
        SqlError::at(self.line, self.column, self.width, message)
    }
}

impl Words {
    /// The words of `sql`; none when it cannot be taken apart.
    pub(crate) fn of(sql: &str) -> Words {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap_or_default();
        let tokens = tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
        Words { tokens, lines: sql.lines().map(|line| line.chars().count()).collect() }
    }

    /// The first word that is `name`, quoted or not.
    pub(crate) fn named(&self, name: &str) -> Option<At> {
        let is = |token: &&TokenWithSpan| match &token.token {
            Token::Word(word) => match word.quote_style {
                None => word.value.eq_ignore_ascii_case(name),
                Some(_) => word.value == name,
            },
            _ => false,
        };
        self.tokens.iter().find(is).map(|token| self.place(token))
    }

    /// The word that begins at or holds a place, or the place itself.
    pub(crate) fn at_position(&self, line: u64, column: u64) -> Option<At> {
        if line == 0 {
            return None;
        }
        let inside = |token: &&TokenWithSpan| {
            let (start, end) = (token.span.start, token.span.end);
            start.line == line && start.column <= column && (end.line > line || column < end.column)
        };
        match self.tokens.iter().find(inside) {
            Some(token) => Some(self.place(token)),
            None => Some(At { line: number(line), column: number(column), width: 1 }),
        }
    }

    /// The first word.
    pub(crate) fn start(&self) -> At {
        self.tokens.first().map_or(At { line: 1, column: 1, width: 1 }, |token| self.place(token))
    }

    /// What follows the last word: the end of the text.
    fn end(&self) -> At {
        let Some(last) = self.tokens.last() else { return self.start() };
        At { line: number(last.span.end.line), column: number(last.span.end.column), width: 1 }
    }

    /// The first word after a semicolon.
    fn second_statement(&self) -> At {
        let mut after = self.tokens.iter().skip_while(|token| token.token != Token::SemiColon);
        after.find(|token| token.token != Token::SemiColon).map_or_else(|| self.start(), |token| self.place(token))
    }

    /// Where a word stands; of one that goes on over lines, what is on its first.
    fn place(&self, token: &TokenWithSpan) -> At {
        let (start, end) = (token.span.start, token.span.end);
        let (line, column) = (number(start.line), number(start.column));
        let line_end = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(column) + 1;
        let end = if end.line == start.line { number(end.column) } else { line_end };
        At { line, column, width: end.saturating_sub(column).max(1) }
    }
}

/// `sql parser error: Expected: an expression, found: FROM at Line: 3, Column: 5`.
fn from_parser(words: &Words, message: &str) -> SqlError {
    let (what, place) = match message.rsplit_once(" at Line: ") {
        Some((what, place)) => (what, place.split_once(", Column: ")),
        None => (message, None),
    };
    let number = |digits: &str| {
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().unwrap_or(0)
    };
    let place = place.and_then(|(line, column)| words.at_position(number(line), number(column)));
    let what = what.trim_start_matches("sql parser error: ");
    let what =
        what.trim_start_matches("ParserError(\"").trim_start_matches("TokenizerError(\"").trim_end_matches("\")");
    match what.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: ")) {
        Some((expected, "EOF")) => words.end().error(format!("expected {expected}, and the SQL ends here")),
        Some((expected, found)) => {
            place.unwrap_or_else(|| words.start()).error(format!("expected {expected}, found `{found}`"))
        }
        None => place.unwrap_or_else(|| words.start()).error(first_line(what)),
    }
}

/// What was meant, or what there is.
pub(crate) fn suggestion(written: &str, known: &[&str], all: &str) -> Option<String> {
    if let Some(near) = nearest(written, known) {
        return Some(format!("did you mean `{near}`?"));
    }
    let listed: Vec<String> = known.iter().take(20).map(|name| format!("`{name}`")).collect();
    (!known.is_empty()).then(|| format!("{all} {}", listed.join(", ")))
}

/// The name that was most likely meant, if any is near. Of those that are as near it is one that letters were left out of,
/// which is the usual slip: `cont` is `count` rather than `cot`.
fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase();
    let left_out = |name: &str| {
        let mut letters = name.chars();
        written.chars().all(|wanted| letters.any(|letter| letter == wanted))
    };
    let ranked = known.iter().map(|name| (strsim::damerau_levenshtein(&written, name), !left_out(name), *name));
    let near = ranked.min().filter(|(distance, ..)| *distance <= written.chars().count().div_ceil(3).min(4));
    near.map(|(.., name)| name)
}

/// A message as ours are: its first line, a small letter first and no full stop.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim().trim_end_matches('.');
    let mut letters = line.chars();
    match letters.next() {
        // An abbreviation keeps its capitals.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => line.to_owned(),
    }
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner)
}

/// The names that a message puts in quotes or before a bracket: `'foo'`, `foo(Utf8)`. Other words of it may stand in the
/// SQL too (`from`, `as`) without being meant.
fn quoted_names(message: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, mark) in message.match_indices(['\'', '(']) {
        let before = &message[..at];
        let start = before
            .rfind(|c| !is_part(c))
            .map_or(0, |found| found + before[found..].chars().next().map_or(1, char::len_utf8));
        let opened = mark == "(" || before[..start].ends_with('\'');
        if opened && start < at {
            names.push(&before[start..]);
        }
    }
    names
}

/// Lines and columns of texts that fit into memory.
fn number(of: u64) -> usize {
    usize::try_from(of).unwrap_or(usize::MAX)
}
