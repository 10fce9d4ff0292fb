//! Texts with wildcards (`*`, `?`) and policy variables (`${aws:PrincipalAccount}`), and ARNs made of them.
//!
//! What a variable stands for is taken letter by letter, so a `*` in it is no wildcard. A variable whose key the request
//! does not have makes the pattern match nothing, unless it brings a default (`${aws:username, 'nobody'}`).

use super::context::Context;

/// One text with wildcards.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Letter(char),
    One,
    Any,
    Variable { key: String, default: Option<String> },
}

/// Which characters of a pattern are more than themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) wildcards: bool,
    /// Only policies of version 2012-10-17 have them.
    pub(super) variables: bool,
}

impl Pattern {
    pub(super) fn new(text: &str, reading: Reading) -> Pattern {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            if reading.variables
                && let Some((token, after)) = variable(rest)
            {
                tokens.push(token);
                rest = after;
                continue;
            }
            tokens.push(match letter {
                '*' if reading.wildcards => Token::Any,
                '?' if reading.wildcards => Token::One,
                letter => Token::Letter(letter),
            });
            rest = &rest[letter.len_utf8()..];
        }
        Pattern { tokens }
    }

    /// Whether the whole of `text` matches.
    pub(super) fn matches(&self, text: &str, context: &Context, ignore_case: bool) -> bool {
        if !self.tokens.iter().any(|token| matches!(token, Token::Variable { .. })) {
            return glob(&self.tokens, text, ignore_case);
        }
        let mut tokens = Vec::with_capacity(self.tokens.len());
        for token in &self.tokens {
            let Token::Variable { key, default } = token else {
                tokens.push(token.clone());
                continue;
            };
            let Some(value) = context.one(key).or(default.as_deref()) else { return false };
            tokens.extend(value.chars().map(Token::Letter));
        }
        glob(&tokens, text, ignore_case)
    }
}

/// The variable that `text` begins with, and what comes after it.
fn variable(text: &str) -> Option<(Token, &str)> {
    let (inside, after) = text.strip_prefix("${")?.split_once('}')?;
    let token = match inside.trim() {
        // How a policy writes the characters themselves.
        "*" => Token::Letter('*'),
        "?" => Token::Letter('?'),
        "$" => Token::Letter('$'),
        inside => match inside.split_once(',') {
            None => Token::Variable { key: inside.to_ascii_lowercase(), default: None },
            Some((key, default)) => {
                let default = default.trim().trim_matches('\'').to_owned();
                Token::Variable { key: key.trim().to_ascii_lowercase(), default: Some(default) }
            }
        },
    };
    Some((token, after))
}

/// Goes back only to the last `*`, which is enough: an earlier one could not match more.
fn glob(tokens: &[Token], text: &str, ignore_case: bool) -> bool {
    let same = |a: char, b: char| a == b || (ignore_case && a.to_lowercase().eq(b.to_lowercase()));
    let mut at = 0;
    let mut rest = text.chars();
    let mut last_any: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let before = rest.clone();
        let next = rest.next();
        match (tokens.get(at), next) {
            (Some(Token::Any), _) => {
                rest = before;
                at += 1;
                last_any = Some((at, rest.clone()));
            }
            (Some(Token::One), Some(_)) => at += 1,
            (Some(Token::Letter(wanted)), Some(letter)) if same(*wanted, letter) => at += 1,
            (None, None) => return true,
            _ => {
                // The last `*` takes one letter more.
                let Some((after_any, mut taken)) = last_any.take() else { return false };
                if taken.next().is_none() {
                    return false;
                }
                at = after_any;
                rest = taken.clone();
                last_any = Some((after_any, taken));
            }
        }
    }
}

/// A pattern of an ARN: each of its six parts is matched for itself, so a wildcard does not reach over a colon (IAM user
/// guide, "Resource"). Parts left out at the end are `*`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ArnPattern {
    Everything,
    Parts(Vec<Pattern>),
}

impl ArnPattern {
    pub(super) fn new(text: &str, reading: Reading) -> ArnPattern {
        match text {
            "*" => ArnPattern::Everything,
            text => ArnPattern::Parts(parts(text).into_iter().map(|part| Pattern::new(part, reading)).collect()),
        }
    }

    pub(super) fn matches(&self, arn: &str, context: &Context) -> bool {
        let ArnPattern::Parts(patterns) = self else { return true };
        let found = parts(arn);
        if found.len() < patterns.len() {
            return false;
        }
        patterns.iter().zip(found).all(|(pattern, part)| pattern.matches(part, context, false))
    }
}

/// The six parts of an ARN, or as many as there are; a colon inside of `${…}` parts nothing.
fn parts(arn: &str) -> Vec<&str> {
    let mut found = Vec::with_capacity(6);
    let mut start = 0;
    let mut inside = false;
    let bytes = arn.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if index > 0 && bytes[index - 1] == b'$' => inside = true,
            b'}' => inside = false,
            b':' if !inside && found.len() < 5 => {
                found.push(&arn[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    found.push(&arn[start..]);
    found
}
