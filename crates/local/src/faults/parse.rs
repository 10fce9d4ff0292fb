//! Rules from text. Every line that cannot be read is told, with its place and the nearest right spelling.

use std::time::Duration;

use super::nearest::did_you_mean;
use super::rule::{Act, Chance, FAIL_LATER, Moment, Only, Rule, When};
use super::words::{Word, words};
use crate::services::s3;
use crate::wire::catalogue;

const ACTS: [&str; 9] = ["refuse", "throttle", "error", "reset", "lose-answer", "delay", "hang", "kill", "fail"];
const CONDITIONS: [&str; 7] = ["nth=", "every=", "chance=", "times=", "writes", "reads", "do"];
const MOMENTS: [&str; 3] = ["before", "after", "answered"];
const EXAMPLE: &str = "such as `on kafka:CreateClusterV2 nth=1 do kill after`";

/// Longer than any test waits.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a text of rules says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// What chances are drawn from, where the text says it.
    pub(super) seed: Option<u64>,
    pub(super) rules: Vec<Rule>,
}

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct RuleError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, with the nearest right spelling where there is one.
    pub message: String,
}

/// All lines that are no rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", shown(.0))]
pub struct RuleErrors(pub Vec<RuleError>);

fn shown(errors: &[RuleError]) -> String {
    let lines: Vec<String> = errors.iter().map(RuleError::to_string).collect();
    lines.join("\n")
}

/// Reads rules, one a line.
pub(super) fn parse(text: &str) -> Result<Rules, RuleErrors> {
    let mut rules = Rules::default();
    let mut errors = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let read = words(content).map_err(|column| (column, "this quote is not closed".to_owned()));
        let read = read.and_then(|words| Line { words: &words, length: content.chars().count() }.read(&mut rules));
        if let Err((column, message)) = read {
            errors.push(RuleError { line, column, message });
        }
    }
    if errors.is_empty() { Ok(rules) } else { Err(RuleErrors(errors)) }
}

/// Where in the line, and what is wrong there.
type Problem = (usize, String);

/// The words of a line that are not read yet.
struct Line<'a> {
    words: &'a [Word],
    length: usize,
}

impl<'a> Line<'a> {
    fn read(mut self, rules: &mut Rules) -> Result<(), Problem> {
        let Some(first) = self.next() else { return Ok(()) };
        match first.text.as_str() {
            "on" => rules.rules.push(self.rule()?),
            "seed" => {
                let word = self.expect("a number")?;
                rules.seed = Some(number(word, &word.text)?);
            }
            other => {
                let hint = did_you_mean(other, ["on", "seed"]);
                return Err(at(first, format!("a rule begins with `on`, {EXAMPLE}, and this is `{other}`{hint}")));
            }
        }
        match self.next() {
            None => Ok(()),
            Some(word) => Err(at(word, format!("the line ends before `{}`", word.text))),
        }
    }

    fn rule(&mut self) -> Result<Rule, Problem> {
        let (service, operation) = target(self.expect("`<service>:<operation>`")?)?;
        let when = self.conditions()?;
        let begins = self.words.first();
        let act = self.act()?;
        if let (Act::Fail(_), Some(word)) = (&act, begins) {
            fails_later(word, service, operation.as_deref())?;
        }
        let by_any = self.words.first().is_some_and(|word| word.text == "by=any");
        if by_any {
            self.next();
        }
        Ok(Rule { service, operation, when, act, by_any })
    }

    /// Up to and with `do`.
    fn conditions(&mut self) -> Result<When, Problem> {
        let mut when = When::default();
        loop {
            let word = self.expect("`do` and what is to happen")?;
            let (key, value) = word.text.split_once('=').map_or((word.text.as_str(), None), |(k, v)| (k, Some(v)));
            match (key, value) {
                ("do", None) => return Ok(when),
                ("nth", Some(value)) => once(word, &mut when.nth, counting(word, value)?)?,
                ("every", Some(value)) => once(word, &mut when.every, counting(word, value)?)?,
                ("times", Some(value)) => once(word, &mut when.times, counting(word, value)?)?,
                ("chance", Some(value)) => once(word, &mut when.chance, chance(word, value)?)?,
                ("writes", None) => once(word, &mut when.only, Only::Writes)?,
                ("reads", None) => once(word, &mut when.only, Only::Reads)?,
                ("by", Some(_)) => return Err(at(word, "`by=any` stands at the end of a rule".to_owned())),
                _ => {
                    let written = if value.is_some() { format!("{key}=") } else { key.to_owned() };
                    let hint = did_you_mean(&written, CONDITIONS);
                    return Err(at(word, format!("`{}` is no condition{hint}", word.text)));
                }
            }
        }
    }

    fn act(&mut self) -> Result<Act, Problem> {
        let word = self.expect("what is to happen")?;
        match word.text.as_str() {
            "refuse" => self.refusal(),
            "throttle" => Ok(Act::Throttle),
            "error" => {
                let status = self.expect("`500` or `503`")?;
                match status.text.as_str() {
                    "500" => Ok(Act::Error(500)),
                    "503" => Ok(Act::Error(503)),
                    other => Err(at(status, format!("an error is `500` or `503`, and this is `{other}`"))),
                }
            }
            "fail" => Ok(Act::Fail(self.expect("the reason, in quotes")?.text.clone())),
            "reset" => Ok(Act::Reset),
            "lose-answer" => Ok(Act::LoseAnswer),
            "delay" => self.duration().map(Act::Delay),
            "hang" => self.duration().map(Act::Hang),
            "kill" => {
                let moment = self.expect("`before`, `after` or `answered`")?;
                match moment.text.as_str() {
                    "before" => Ok(Act::Kill(Moment::Before)),
                    "after" => Ok(Act::Kill(Moment::After)),
                    "answered" => Ok(Act::Kill(Moment::Answered)),
                    other => {
                        let hint = did_you_mean(other, MOMENTS);
                        Err(at(
                            moment,
                            format!("a process is killed `before`, `after` or `answered`, not `{other}`{hint}"),
                        ))
                    }
                }
            }
            other => Err(at(word, format!("`{other}` is nothing that can happen{}", did_you_mean(other, ACTS)))),
        }
    }

    fn refusal(&mut self) -> Result<Act, Problem> {
        let word = self.expect("the code of the error")?;
        let code = word.text.clone();
        if code.is_empty() || !code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
            return Err(at(word, format!("`{code}` is no code of an error, such as `AccessDeniedException`")));
        }
        let (mut status, mut message) = (None, None);
        while let Some(word) = self.words.first().filter(|word| word.text != "by=any") {
            match word.text.split_once('=') {
                Some(("status", value)) => once(word, &mut status, status_of(word, value)?)?,
                Some(("message", value)) => once(word, &mut message, value.to_owned())?,
                _ => {
                    let hint = did_you_mean(word.text.split('=').next().unwrap_or_default(), ["status", "message"]);
                    let message = format!("`{}` is neither `status=` nor `message=`{hint}", word.text);
                    return Err(at(word, message));
                }
            }
            self.next();
        }
        Ok(Act::Refuse { code, status, message })
    }

    fn duration(&mut self) -> Result<Duration, Problem> {
        let word = self.expect("a time, such as `250ms`")?;
        let wrong = || at(word, format!("`{}` is no time, such as `250ms`, `2s` or `1m`", word.text));
        let digits = word.text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = word.text.split_at(digits);
        let count: u64 = count.parse().map_err(|_| wrong())?;
        let unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => return Err(wrong()),
        };
        let time = count.checked_mul(unit).map(Duration::from_millis).filter(|time| *time <= LONGEST);
        time.ok_or_else(|| at(word, format!("`{}` is more than an hour", word.text)))
    }

    fn next(&mut self) -> Option<&'a Word> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn expect(&mut self, what: &str) -> Result<&'a Word, Problem> {
        let end = self.length + 1;
        self.next().ok_or_else(|| (end, format!("the line ends where {what} should stand")))
    }
}

/// `<service>:<operation>`, with `*` for all.
fn target(word: &Word) -> Result<(Option<&'static str>, Option<String>), Problem> {
    let Some((service, operation)) = word.text.split_once(':') else {
        let message = format!("`{}` is not `<service>:<operation>`, `<service>:*` or `*:*`", word.text);
        return Err(at(word, message));
    };
    if service == "*" {
        return match operation {
            "*" => Ok((None, None)),
            _ => Err(at(word, format!("name the service of `{operation}`, or write `*:*`"))),
        };
    }
    let known = || catalogue::names().chain(["s3"]);
    let Some(service) = known().find(|name| *name == service) else {
        let hint = did_you_mean(service, known());
        return Err(at(word, format!("the local cloud has no service `{service}`{hint}")));
    };
    if operation == "*" {
        return Ok((Some(service), None));
    }
    let operations = operations_of(service);
    if !operations.contains(&operation) {
        let hint = did_you_mean(operation, operations);
        return Err(at(word, format!("`{service}` has no operation `{operation}` here{hint}")));
    }
    Ok((Some(service), Some(operation.to_owned())))
}

fn operations_of(service: &str) -> Vec<&'static str> {
    match catalogue::service(service) {
        Some((_, model)) => model.operations.iter().map(|operation| operation.name.as_str()).collect(),
        None => s3::operation_names().collect(),
    }
}

/// Refuses to let fail by and by what is there at once, or never was asked for.
fn fails_later(word: &Word, service: Option<&str>, operation: Option<&str>) -> Result<(), Problem> {
    if FAIL_LATER.iter().any(|(of, name)| service == Some(of) && operation == Some(name)) {
        return Ok(());
    }
    let those: Vec<String> = FAIL_LATER.iter().map(|(service, operation)| format!("`{service}:{operation}`")).collect();
    Err(at(word, format!("only what comes up by and by can `fail`: {}", those.join(", "))))
}

/// A count that begins at 1.
fn counting(word: &Word, value: &str) -> Result<u64, Problem> {
    match number(word, value)? {
        0 => Err(at(word, format!("`{}` would never happen: counting begins at 1", word.text))),
        count => Ok(count),
    }
}

fn number(word: &Word, value: &str) -> Result<u64, Problem> {
    value.parse().map_err(|_| at(word, format!("`{value}` is no whole number")))
}

fn status_of(word: &Word, value: &str) -> Result<u16, Problem> {
    let status = value.parse().ok().filter(|status| (400..600).contains(status));
    status.ok_or_else(|| at(word, format!("`{value}` is no status of an error, which is 400 to 599")))
}

/// A percentage with up to two decimals, over 0 and up to 100.
fn chance(word: &Word, value: &str) -> Result<Chance, Problem> {
    let wrong = || at(word, format!("`{value}` is no chance, such as `10%` or `0.25%`"));
    let (whole, part) =
        value.strip_suffix('%').map(|text| text.split_once('.').unwrap_or((text, "0"))).ok_or_else(wrong)?;
    let digits = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return Err(wrong());
    }
    let part: u32 = format!("{part:0<2}").parse().map_err(|_| wrong())?;
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    Some(Chance(whole * 100 + part)).filter(|chance| (1..=10_000).contains(&chance.0)).ok_or_else(wrong)
}

fn once<T>(word: &Word, place: &mut Option<T>, value: T) -> Result<(), Problem> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(at(word, format!("`{}` says a second time what was said before", word.text))),
    }
}

fn at(word: &Word, message: String) -> Problem {
    (word.column, message)
}
