//! References: `$name`, `${name}`, `$!name`, with properties, methods and indexes.

use super::ParseError;
use super::ast::{Expression, Reference, Step};
use super::parse::Parser;

impl Parser<'_> {
    /// The reference that begins here; `None` when the `$` is only a sign.
    pub(super) fn reference(&mut self) -> Result<Option<Reference>, ParseError> {
        let start = self.at;
        if !self.takes("$") {
            return Ok(None);
        }
        let quiet = self.takes("!");
        let braced = self.takes("{");
        let Some(name) = self.identifier() else {
            self.at = start;
            return Ok(None);
        };
        let mut steps = Vec::new();
        while let Some(step) = self.step()? {
            steps.push(step);
        }
        if braced {
            self.expect("}")?;
        }
        Ok(Some(Reference { name: name.into(), steps, quiet, source: self.text[start..self.at].into() }))
    }

    fn step(&mut self) -> Result<Option<Step>, ParseError> {
        let start = self.at;
        if self.takes(".") {
            let Some(name) = self.identifier() else {
                // The full stop of a sentence.
                self.at = start;
                return Ok(None);
            };
            if !self.takes("(") {
                return Ok(Some(Step::Property(name.into())));
            }
            return Ok(Some(Step::Method(name.into(), self.list_until(")")?)));
        }
        if self.takes("[") {
            // What is not an index is text that happens to follow.
            let index = self.expression().ok().filter(|index| {
                matches!(index, Expression::Number(_) | Expression::Reference(_) | Expression::Text(_))
            });
            self.blanks();
            if let Some(index) = index
                && self.takes("]")
            {
                return Ok(Some(Step::Index(index)));
            }
            self.at = start;
        }
        Ok(None)
    }

    /// Expressions with commas between them, up to the closing sign, which is read as well.
    pub(super) fn list_until(&mut self, close: &str) -> Result<Vec<Expression>, ParseError> {
        let mut items = Vec::new();
        self.blanks();
        if self.takes(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expression()?);
            self.blanks();
            if self.takes(close) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }
}
