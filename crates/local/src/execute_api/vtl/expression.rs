//! Expressions: literals, references, operators.

use super::ParseError;
use super::ast::{Expression, Node, Operator};
use super::parse::{Parser, nested_template};

/// Operators by how tightly they bind, loosest first; each level with its signs and words.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or), ("or", Operator::Or)],
    &[("&&", Operator::And), ("and", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual), ("eq", Operator::Equal), ("ne", Operator::NotEqual)],
    &[
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("le", Operator::LessOrEqual),
        ("ge", Operator::GreaterOrEqual),
        ("lt", Operator::Less),
        ("gt", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

/// In one expression.
const MAX_OPERATORS: usize = 100;

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Expression, ParseError> {
        self.enter()?;
        let expression = self.level(0);
        self.depth -= 1;
        expression
    }

    fn level(&mut self, level: usize) -> Result<Expression, ParseError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.operator(operators) {
            let right = self.level(level + 1)?;
            left = Expression::Binary(operator, Box::new((left, right)));
            // A chain leans to the left, so it is as deep a tree as it is long.
            self.operators += 1;
            if self.operators > MAX_OPERATORS {
                return Err(self.error(format!("an expression has more than {MAX_OPERATORS} operators")));
            }
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        self.blanks();
        for (sign, operator) in operators {
            let Some(after) = self.rest().strip_prefix(sign) else { continue };
            let is_word = sign.as_bytes()[0].is_ascii_alphabetic();
            if is_word && after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_') {
                continue;
            }
            self.at += sign.len();
            return Some(*operator);
        }
        None
    }

    fn unary(&mut self) -> Result<Expression, ParseError> {
        self.blanks();
        let rest = self.rest();
        if rest.starts_with('!') && !rest.starts_with("!=") {
            self.at += 1;
            return self.nested_unary(Expression::Not);
        }
        if rest.strip_prefix("not").is_some_and(|after| after.starts_with([' ', '\t', '(', '$', '!'])) {
            self.at += 3;
            return self.nested_unary(Expression::Not);
        }
        if rest.starts_with('-') && !rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
            return self.nested_unary(Expression::Negative);
        }
        self.primary()
    }

    fn nested_unary(&mut self, wrap: fn(Box<Expression>) -> Expression) -> Result<Expression, ParseError> {
        self.enter()?;
        let inner = self.unary()?;
        self.depth -= 1;
        Ok(wrap(Box::new(inner)))
    }

    fn primary(&mut self) -> Result<Expression, ParseError> {
        match self.peek() {
            Some(b'$') => match self.reference()? {
                Some(reference) => Ok(Expression::Reference(reference)),
                None => Err(self.error("a `$` without a name")),
            },
            Some(b'"') => self.interpolated(),
            Some(b'\'') => Ok(Expression::Text(self.quoted('\'')?.into())),
            Some(b'(') => {
                self.at += 1;
                let inner = self.expression()?;
                self.blanks();
                self.expect(")")?;
                Ok(inner)
            }
            Some(b'[') => self.list_or_range(),
            Some(b'{') => self.map(),
            Some(b'-' | b'0'..=b'9') => Ok(self.number()),
            _ => {
                for (word, value) in [
                    ("true", Expression::Boolean(true)),
                    ("false", Expression::Boolean(false)),
                    ("null", Expression::Null),
                ] {
                    let after = self.rest().strip_prefix(word);
                    if after.is_some_and(|after| !after.starts_with(|next: char| next.is_ascii_alphanumeric())) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.error("a value is expected here"))
            }
        }
    }

    fn interpolated(&mut self) -> Result<Expression, ParseError> {
        let text = self.quoted('"')?;
        if !text.contains(['$', '#']) {
            return Ok(Expression::Text(text.into()));
        }
        let mut nodes = nested_template(&text, self.depth).map_err(|error| self.error(error.problem))?;
        Ok(match nodes.as_mut_slice() {
            [] => Expression::Text("".into()),
            [Node::Text(text)] => Expression::Text(std::mem::take(text)),
            _ => Expression::Interpolated(nodes),
        })
    }

    /// What is between the quotes; a doubled quote stands for one.
    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let end = rest.find(quote).ok_or_else(|| self.error("a string without its closing quote"))?;
            text.push_str(&rest[..end]);
            self.at += end + 1;
            if !self.rest().starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
            self.at += 1;
        }
    }

    fn list_or_range(&mut self) -> Result<Expression, ParseError> {
        self.at += 1;
        self.blanks();
        if self.takes("]") {
            return Ok(Expression::List(Vec::new()));
        }
        let first = self.expression()?;
        self.blanks();
        if self.takes("..") {
            let last = self.expression()?;
            self.blanks();
            self.expect("]")?;
            return Ok(Expression::Range(Box::new((first, last))));
        }
        let mut items = vec![first];
        if !self.takes("]") {
            self.expect(",")?;
            items.extend(self.list_until("]")?);
        }
        Ok(Expression::List(items))
    }

    fn map(&mut self) -> Result<Expression, ParseError> {
        self.at += 1;
        let mut entries = Vec::new();
        self.blanks();
        if self.takes("}") {
            return Ok(Expression::Map(entries));
        }
        loop {
            let key = self.expression()?;
            self.blanks();
            self.expect(":")?;
            entries.push((key, self.expression()?));
            self.blanks();
            if self.takes("}") {
                return Ok(Expression::Map(entries));
            }
            self.expect(",")?;
        }
    }

    fn number(&mut self) -> Expression {
        let start = self.at;
        self.takes("-");
        self.digits();
        // Two points are a range.
        if self.peek() == Some(b'.') && self.text.as_bytes().get(self.at + 1).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
            self.digits();
        }
        Expression::Number(self.text[start..self.at].into())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}
