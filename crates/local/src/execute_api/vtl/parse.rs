//! From the text of a template to its tree: plain text, comments, and what begins with `$` or `#`.

use super::ParseError;
use super::ast::Node;

/// Blocks and expressions may stand in each other this deep.
const MAX_NESTING: usize = 64;

/// Reads a whole template.
pub(super) fn template(text: &str) -> Result<Vec<Node>, ParseError> {
    nested_template(text, 0)
}

/// Reads the inside of a string in double quotes, or a whole template.
pub(super) fn nested_template(text: &str, depth: usize) -> Result<Vec<Node>, ParseError> {
    let mut parser = Parser { text, at: 0, depth, operators: 0 };
    let (nodes, ending) = parser.block()?;
    match ending {
        Ending::Text => Ok(nodes),
        Ending::End => Err(parser.error("`#end` without a directive that it ends")),
        Ending::Else | Ending::ElseIf => Err(parser.error("`#else` without an `#if`")),
    }
}

/// What a block ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The end of the template.
    Text,
    End,
    Else,
    ElseIf,
}

/// A place in a template.
#[derive(Clone, Debug)]
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) depth: usize,
    /// In the expression of the directive that is being read.
    pub(super) operators: usize,
}

impl<'a> Parser<'a> {
    /// Everything up to the directive that ends the block, which is read as well.
    pub(super) fn block(&mut self) -> Result<(Vec<Node>, Ending), ParseError> {
        self.enter()?;
        let mut nodes = Vec::new();
        let mut plain = String::new();
        loop {
            let rest = self.rest();
            let special = rest.find(['$', '#', '\\']).unwrap_or(rest.len());
            plain.push_str(&rest[..special]);
            self.at += special;
            match self.peek() {
                None => {
                    push_text(&mut nodes, &mut plain);
                    self.depth -= 1;
                    return Ok((nodes, Ending::Text));
                }
                Some(b'\\') => self.backslashes(&mut nodes, &mut plain)?,
                Some(b'$') => match self.reference()? {
                    Some(reference) => {
                        push_text(&mut nodes, &mut plain);
                        nodes.push(Node::Reference(reference, 0));
                    }
                    None => {
                        plain.push('$');
                        self.at += 1;
                    }
                },
                _ => {
                    if let Some(ending) = self.hash(&mut nodes, &mut plain)? {
                        push_text(&mut nodes, &mut plain);
                        self.depth -= 1;
                        return Ok((nodes, ending));
                    }
                }
            }
        }
    }

    /// A comment, an unparsed part, a directive, or a mere `#`.
    fn hash(&mut self, nodes: &mut Vec<Node>, plain: &mut String) -> Result<Option<Ending>, ParseError> {
        let rest = self.rest();
        if rest.starts_with("##") {
            self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            return Ok(None);
        }
        if rest.starts_with("#*") {
            let end = rest.find("*#").ok_or_else(|| self.error("a comment `#*` without its `*#`"))?;
            self.at += end + 2;
            return Ok(None);
        }
        if let Some(inside) = rest.strip_prefix("#[[") {
            let end = inside.find("]]#").ok_or_else(|| self.error("a part `#[[` without its `]]#`"))?;
            plain.push_str(&inside[..end]);
            self.at += 3 + end + 3;
            return Ok(None);
        }
        match self.directive_word() {
            Some((word, length)) => self.directive(word, length, nodes, plain),
            None => {
                plain.push('#');
                self.at += 1;
                Ok(None)
            }
        }
    }

    /// Backslashes mean something only before a reference or a directive.
    fn backslashes(&mut self, nodes: &mut Vec<Node>, plain: &mut String) -> Result<(), ParseError> {
        let rest = self.rest();
        let count = rest.len() - rest.trim_start_matches('\\').len();
        self.at += count;
        match self.peek() {
            Some(b'$') => {
                if let Some(reference) = self.reference()? {
                    push_text(nodes, plain);
                    nodes.push(Node::Reference(reference, count));
                    return Ok(());
                }
                plain.push_str(&rest[..count]);
            }
            Some(b'#') if self.directive_word().is_some() => {
                plain.push_str(&rest[..count / 2]);
                if count % 2 == 1 {
                    plain.push('#');
                    self.at += 1;
                }
            }
            _ => plain.push_str(&rest[..count]),
        }
        Ok(())
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn takes(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    pub(super) fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Blanks to the end of the line and its break, or nothing: a directive at the end of a line takes the break along.
    pub(super) fn end_of_line(&mut self) {
        let rest = self.rest();
        let after = rest.trim_start_matches([' ', '\t']);
        let line_break = ["\r\n", "\n", "\r"].into_iter().find(|line_break| after.starts_with(line_break));
        if let Some(line_break) = line_break {
            self.at += rest.len() - after.len() + line_break.len();
        }
    }

    /// `[A-Za-z_][A-Za-z0-9_-]*`: in Velocity a name may have hyphens.
    pub(super) fn identifier(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let first = *rest.as_bytes().first()?;
        if !first.is_ascii_alphabetic() && first != b'_' {
            return None;
        }
        let end = rest.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'_' && byte != b'-');
        let name = &rest[..end.unwrap_or(rest.len())];
        self.at += name.len();
        Some(name)
    }

    pub(super) fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.takes(token) { Ok(()) } else { Err(self.error(format!("`{token}` is expected here"))) }
    }

    pub(super) fn enter(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.error(format!("nested deeper than {MAX_NESTING} levels")));
        }
        Ok(())
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> ParseError {
        let before = &self.text.as_bytes()[..self.at.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        ParseError { line, problem: problem.into() }
    }
}

fn push_text(nodes: &mut Vec<Node>, plain: &mut String) {
    if !plain.is_empty() {
        nodes.push(Node::Text(std::mem::take(plain).into()));
    }
}
