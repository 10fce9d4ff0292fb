//! `#set`, `#if`, `#foreach` and their kin.

use super::ParseError;
use super::ast::{Node, Step};
use super::parse::{Ending, Parser};

/// The directives that are here.
const KNOWN: [&str; 8] = ["set", "if", "elseif", "else", "end", "foreach", "break", "stop"];

/// Those of Velocity that are not; to show them as text would hide what the template is meant to do.
const REFUSED: [&str; 6] = ["macro", "parse", "include", "evaluate", "define", "literal"];

impl Parser<'_> {
    /// The directive that begins here, and how long `#word` or `#{word}` is. Other words after `#` are text.
    pub(super) fn directive_word(&self) -> Option<(&'static str, usize)> {
        let rest = self.rest().strip_prefix('#')?;
        let braced = rest.starts_with('{');
        let inside = rest.strip_prefix('{').unwrap_or(rest);
        let end = inside.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'_');
        let word = &inside[..end.unwrap_or(inside.len())];
        if braced && inside.as_bytes().get(word.len()) != Some(&b'}') {
            return None;
        }
        let known = KNOWN.iter().chain(&REFUSED).find(|known| **known == word)?;
        Some((known, 1 + word.len() + if braced { 2 } else { 0 }))
    }

    /// Reads the directive; those that end a block are told to the caller.
    pub(super) fn directive(
        &mut self,
        word: &'static str,
        length: usize,
        nodes: &mut Vec<Node>,
        plain: &mut String,
    ) -> Result<Option<Ending>, ParseError> {
        if REFUSED.contains(&word) {
            return Err(self.error(format!("the directive `#{word}` is not one of API Gateway's mapping templates")));
        }
        self.at += length;
        if word == "set" {
            // Velocity takes the indentation of a `#set` along.
            plain.truncate(plain.trim_end_matches([' ', '\t']).len());
        }
        if !plain.is_empty() {
            nodes.push(Node::Text(std::mem::take(plain).into()));
        }
        match word {
            "set" => nodes.push(self.set()?),
            "if" => nodes.push(self.condition()?),
            "foreach" => nodes.push(self.foreach()?),
            "break" => nodes.push(Node::Break),
            "stop" => nodes.push(Node::Stop),
            "elseif" => return Ok(Some(Ending::ElseIf)),
            "else" => {
                self.end_of_line();
                return Ok(Some(Ending::Else));
            }
            _ => {
                self.end_of_line();
                return Ok(Some(Ending::End));
            }
        }
        Ok(None)
    }

    fn set(&mut self) -> Result<Node, ParseError> {
        self.open()?;
        let target = self.reference()?.ok_or_else(|| self.error("`#set` needs a reference to set"))?;
        if matches!(target.steps.last(), Some(Step::Method(..))) {
            return Err(self.error("`#set` cannot set what a method returns"));
        }
        self.blanks();
        self.expect("=")?;
        let value = self.expression()?;
        self.close()?;
        Ok(Node::Set(target, value))
    }

    fn condition(&mut self) -> Result<Node, ParseError> {
        let mut branches = Vec::new();
        loop {
            self.open()?;
            let condition = self.expression()?;
            self.close()?;
            let (body, ending) = self.block()?;
            branches.push((condition, body));
            match ending {
                Ending::ElseIf => {}
                Ending::End => return Ok(Node::If(branches, Vec::new())),
                Ending::Else => {
                    let (otherwise, ending) = self.block()?;
                    if ending != Ending::End {
                        return Err(self.error("`#else` needs an `#end` after it"));
                    }
                    return Ok(Node::If(branches, otherwise));
                }
                Ending::Text => return Err(self.error("`#if` without its `#end`")),
            }
        }
    }

    fn foreach(&mut self) -> Result<Node, ParseError> {
        self.open()?;
        let variable = self.reference()?.filter(|reference| reference.steps.is_empty());
        let name = variable.ok_or_else(|| self.error("`#foreach` needs a variable, such as `$item`"))?.name;
        self.blanks();
        self.expect("in")?;
        let over = self.expression()?;
        self.close()?;
        let (body, ending) = self.block()?;
        if ending != Ending::End {
            return Err(self.error("`#foreach` without its `#end`"));
        }
        Ok(Node::Foreach { name, over, body })
    }

    fn open(&mut self) -> Result<(), ParseError> {
        self.operators = 0;
        self.blanks();
        self.expect("(")?;
        self.blanks();
        Ok(())
    }

    fn close(&mut self) -> Result<(), ParseError> {
        self.blanks();
        self.expect(")")?;
        self.end_of_line();
        Ok(())
    }
}
