//! `--ignore FILE`: differences that are known and wanted, a rule a line.
//!
//! ```text
//! ADDRESS[#FIELD] [changed|missing|unmanaged|unhealthy] [until YYYY-MM-DD]   # why
//! ```
//!
//! `*` in ADDRESS and FIELD stands for anything; a FIELD is also what is below it. A rule that no longer says anything is
//! told: one that names nothing of the stack, one that nothing matched, one whose day has passed.

use std::path::Path;
use std::sync::Arc;

use pinfra_engine::{Address, Drift, Finding, What};
use time::Date;
use time::macros::format_description;

use crate::report::drift::Ignored;
use crate::spec::nearest::nearest;
use crate::spec::{MAX_BYTES, Place, Problem, Problems, Source};

/// The words for the kinds of differences.
const WHATS: [What; 4] = [What::Changed, What::Missing, What::Unmanaged, What::Unhealthy];

/// Before the day on which a rule ends.
const UNTIL: &str = "until";

/// The rules of one file.
#[derive(Debug)]
pub(super) struct Rules {
    source: Arc<Source>,
    list: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// The address, with its field.
    place: Place,
    address: String,
    field: Option<String>,
    what: Option<What>,
    /// The last day on which it counts.
    until: Option<(Date, Place)>,
    why: String,
}

/// Findings with those taken out that a rule ignores.
#[derive(Debug)]
pub(super) struct Sifted {
    /// What counts.
    pub(super) drift: Drift,
    /// What does not.
    pub(super) ignored: Vec<Ignored>,
    /// What is wrong with the rules, by file.
    pub(super) warnings: Vec<Problems>,
}

/// Reads a file of rules, or says everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Rules, Problems> {
    let nothing = || Arc::new(Source::new(path, ""));
    let too_large = std::fs::metadata(path).is_ok_and(|file| file.len() > MAX_BYTES);
    if too_large {
        let problem = Problem::error(format!("`{}` is larger than 1 MiB", path.display()));
        return Err(Problems::new(nothing(), vec![problem.help("check that it is the right file")]));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        let problem = Problem::error(format!("cannot read the rules in `{}`: {error}", path.display()));
        Problems::new(nothing(), vec![problem])
    })?;
    parse(Source::new(path, text))
}

fn parse(source: Source) -> Result<Rules, Problems> {
    let mut list = Vec::new();
    let mut problems = Vec::new();
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        match rule(line, start) {
            Ok(rule) => list.extend(rule),
            Err(problem) => problems.push(problem),
        }
        start += line.len();
    }
    let source = Arc::new(source);
    if problems.is_empty() { Ok(Rules { source, list }) } else { Err(Problems::new(source, problems)) }
}

/// The rule of a line that starts at that byte, if it has one.
fn rule(line: &str, start: usize) -> Result<Option<Rule>, Problem> {
    // A byte order mark is no part of an address.
    let said = words(line.trim_start_matches('\u{feff}'));
    let start = start + line.len() - line.trim_start_matches('\u{feff}').len();
    let Said { words, why } = said;
    let place = |word: &(usize, &str)| Place::new(start + word.0, word.1.len());
    let mut words = words.iter();
    let Some(first) = words.next() else { return Ok(None) };
    let (address, field) = match first.1.split_once('#') {
        Some((address, field)) => (address, Some(field)),
        None => (first.1, None),
    };
    check_address(address, Place::new(start + first.0, address.len()))?;
    if field.is_some_and(str::is_empty) {
        let problem = Problem::error("no field follows the `#`").at(place(first), "names no field");
        return Err(problem.help("write `ADDRESS#FIELD`, or a space before a comment"));
    }
    let mut rule = Rule {
        place: place(first),
        address: address.to_owned(),
        field: field.map(str::to_owned),
        what: None,
        until: None,
        why: why.to_owned(),
    };
    while let Some(word) = words.next() {
        let what = WHATS.into_iter().find(|what| what.name() == word.1);
        match what {
            Some(_) if rule.what.is_some() => {
                let problem = Problem::error("a rule has one kind of difference").at(place(word), "a second one");
                return Err(problem.help("write a rule for each, or none of them for all kinds"));
            }
            Some(what) => rule.what = Some(what),
            None if word.1 == UNTIL => rule.until = Some(day(words.next(), word, &place)?),
            None => return Err(unknown_word(word.1, place(word))),
        }
    }
    Ok(Some(rule))
}

/// A line taken apart.
struct Said<'a> {
    /// Words, each with where it starts.
    words: Vec<(usize, &'a str)>,
    /// The comment.
    why: &'a str,
}

/// A `#` starts a comment where a word would start; within a word it stands between address and field.
fn words(line: &str) -> Said<'_> {
    let mut words = Vec::new();
    let mut rest = 0;
    while let Some(found) = line[rest..].find(|c: char| !c.is_whitespace()) {
        let at = rest + found;
        if line[at..].starts_with('#') {
            return Said { words, why: line[at..].trim_start_matches('#').trim() };
        }
        let len = line[at..].find(char::is_whitespace).unwrap_or(line.len() - at);
        words.push((at, &line[at..at + len]));
        rest = at + len;
    }
    Said { words, why: "" }
}

fn check_address(address: &str, place: Place) -> Result<(), Problem> {
    if address.contains('*') || address.parse::<Address>().is_ok() {
        return Ok(());
    }
    let problem = Problem::error("a rule begins with the address of a resource").at(place, "not an address");
    Err(problem.help("write one such as `kinesis/stream.pin`, with `*` for anything: `kinesis/*`"))
}

type PlaceOf<'a> = &'a dyn Fn(&(usize, &str)) -> Place;

fn day(word: Option<&(usize, &str)>, until: &(usize, &str), place: PlaceOf<'_>) -> Result<(Date, Place), Problem> {
    let help = "write the last day on which the rule counts, such as `until 2027-01-31`";
    let Some(word) = word else {
        return Err(Problem::error("no day follows `until`").at(place(until), "until when?").help(help));
    };
    match Date::parse(word.1, format_description!("[year]-[month]-[day]")) {
        Ok(day) => Ok((day, place(word))),
        Err(_) => Err(Problem::error("this is not a day").at(place(word), "expected YYYY-MM-DD").help(help)),
    }
}

fn unknown_word(word: &str, place: Place) -> Problem {
    let known = WHATS.iter().map(|what| what.name()).chain([UNTIL]);
    let near = nearest(word, known.clone());
    let label = near.map_or("not known".to_owned(), |near| format!("did you mean `{near}`?"));
    let known: Vec<String> = known.map(|word| format!("`{word}`")).collect();
    let help = format!("after the address come {}; a comment begins with `#`", known.join(", "));
    Problem::error("a word that no rule has").at(place, label).help(help)
}

/// Takes out of `drift` what a rule ignores. `addresses` are all that were compared, `today` is a day in UTC.
pub(super) fn sift(files: &[Rules], drift: Drift, addresses: &[Address], today: Date) -> Sifted {
    let mut sifted = Sifted {
        drift: Drift { compared: drift.compared, findings: Vec::new() },
        ignored: Vec::new(),
        warnings: Vec::new(),
    };
    let mut used: Vec<Vec<bool>> = files.iter().map(|rules| vec![false; rules.list.len()]).collect();
    let known: Vec<String> =
        addresses.iter().chain(drift.findings.iter().map(|finding| &finding.address)).map(Address::to_string).collect();
    for finding in drift.findings {
        let mut taken: Option<(&Rules, &Rule)> = None;
        for (rules, used) in files.iter().zip(&mut used) {
            for (rule, used) in rules.list.iter().zip(used).filter(|(rule, _)| rule.is_about(&finding)) {
                *used = true;
                if taken.is_none() && !rule.has_ended(today) {
                    taken = Some((rules, rule));
                }
            }
        }
        match taken {
            None => sifted.drift.findings.push(finding),
            Some((rules, rule)) => {
                let (line, _) = rules.source.line_column(rule.place.start);
                let at = format!("{}:{line}", rules.source.path.display());
                sifted.ignored.push(Ignored { finding, rule: at, why: rule.why.clone() });
            }
        }
    }
    for (rules, used) in files.iter().zip(&used) {
        let warnings: Vec<Problem> =
            rules.list.iter().zip(used).filter_map(|(rule, used)| rule.warning(*used, &known, today)).collect();
        if !warnings.is_empty() {
            sifted.warnings.push(Problems::new(Arc::clone(&rules.source), warnings));
        }
    }
    sifted
}

impl Rule {
    fn is_about(&self, finding: &Finding) -> bool {
        let field = match (&self.field, &finding.field) {
            (None, _) => true,
            (Some(pattern), Some(field)) => matches(pattern, field) || matches(&format!("{pattern}.*"), field),
            (Some(_), None) => false,
        };
        field
            && self.what.is_none_or(|what| what == finding.what)
            && matches(&self.address, &finding.address.to_string())
    }

    fn has_ended(&self, today: Date) -> bool {
        self.until.is_some_and(|(until, _)| today > until)
    }

    fn warning(&self, used: bool, known: &[String], today: Date) -> Option<Problem> {
        if let Some((_, place)) = self.until.filter(|_| self.has_ended(today)) {
            let again = if used { "what it ignored counts again" } else { "and nothing differs there" };
            let problem = Problem::warning(format!("this rule has ended, {again}")).at(place, "the day has passed");
            return Some(problem.help("remove the rule, or give it another day"));
        }
        if !known.iter().any(|address| matches(&self.address, address)) {
            let near = nearest(&self.address, known.iter().map(String::as_str));
            let label = near.map_or("matches nothing".to_owned(), |near| format!("did you mean `{near}`?"));
            return Some(Problem::warning("this rule is about no resource of the stack").at(self.place, label));
        }
        if used {
            return None;
        }
        let problem = Problem::warning("nothing that differs matches this rule").at(self.place, "not needed now");
        Some(problem.help("remove the rule: it would hide a difference that comes later"))
    }
}

/// Whether text is what a pattern says: each `*` stands for any text, also for none.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    // Where to go on when the last `*` has to stand for one byte more.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', after)), _) => {
                again = Some((after, text));
                pattern = after;
            }
            (Some((wanted, after)), Some((byte, rest))) if wanted == byte => (pattern, text) = (after, rest),
            (None, None) => return true,
            _ => match again {
                Some((after, [_, rest @ ..])) => {
                    again = Some((after, rest));
                    (pattern, text) = (after, rest);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;

    use super::*;
    use crate::report::drift::tests::finding;

    fn rules(text: &str) -> Result<Rules, Problems> {
        parse(Source::new("drift.ignore", text))
    }

    /// What is left of these findings, how many are ignored, and the warnings.
    fn sifted(text: &str, findings: Vec<Finding>) -> (Vec<String>, Vec<String>, Vec<String>) {
        let addresses =
            ["kinesis/stream.pin", "kinesis/stream.geo", "s3/bucket.lake"].map(|text| text.parse().unwrap());
        let drift = Drift { compared: 3, findings };
        let sifted = sift(&[rules(text).unwrap()], drift, &addresses, date!(2026 - 11 - 21));
        (
            sifted.drift.findings.iter().map(|finding| finding.address.to_string()).collect(),
            sifted.ignored.iter().map(|ignored| format!("{} {}", ignored.rule, ignored.why)).collect(),
            sifted.warnings.iter().flat_map(Problems::iter).map(|problem| problem.message.clone()).collect(),
        )
    }

    #[test]
    fn a_rule_takes_out_what_it_names() {
        let text = "# known\n\nkinesis/*#tags.cost-* changed until 2026-11-21 # the cost tool's\ns3/bucket.lake#tags\n";
        let left = sifted(
            text,
            vec![
                finding("kinesis/stream.geo", What::Changed, Some("tags.cost-center")),
                finding("kinesis/stream.geo", What::Changed, Some("shards")),
                finding("kinesis/stream.pin", What::Missing, None),
                finding("s3/bucket.lake", What::Changed, Some("tags.team")),
            ],
        );
        assert_eq!(left.0, ["kinesis/stream.geo", "kinesis/stream.pin"]);
        assert_eq!(left.1, ["drift.ignore:3 the cost tool's", "drift.ignore:4 "]);
        assert_eq!(left.2, [""; 0]);
    }

    #[test]
    fn rules_that_say_nothing_any_more_are_told() {
        let text = "kinesis/stream.pin until 2026-11-20\nkinesis/stream.pins\ns3/bucket.lake missing\n";
        let (left, _, warnings) = sifted(text, vec![finding("kinesis/stream.pin", What::Missing, None)]);
        assert_eq!(left, ["kinesis/stream.pin"], "an ended rule ignores nothing");
        assert_eq!(
            warnings,
            [
                "this rule has ended, what it ignored counts again",
                "this rule is about no resource of the stack",
                "nothing that differs matches this rule",
            ]
        );
    }

    #[test]
    fn everything_wrong_is_said_with_its_place() {
        let text = "stream.pin\ns3/bucket.lake chnaged\ns3/bucket.lake# why\nkinesis/* until\nkinesis/* until 2026-02-30\n* changed missing\n";
        let wrong = rules(text).unwrap_err().to_string();
        assert_eq!(
            wrong.lines().collect::<Vec<_>>(),
            [
                "drift.ignore:1:1: error: a rule begins with the address of a resource",
                "drift.ignore:2:16: error: a word that no rule has",
                "drift.ignore:3:1: error: no field follows the `#`",
                "drift.ignore:4:11: error: no day follows `until`",
                "drift.ignore:5:17: error: this is not a day",
                "drift.ignore:6:11: error: a rule has one kind of difference",
            ]
        );
    }

    /// What a pattern means, said in another way.
    fn meant(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| meant(rest, &text[n..])),
            Some((byte, rest)) => text.first() == Some(byte) && meant(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_what_they_mean(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), meant(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn any_text_is_rules_or_problems_with_places(text in "\\PC{0,80}|([a-z/.*#é\u{feff} \n]|until |2026-01-01){0,40}") {
            if let Err(problems) = rules(&text) {
                for problem in problems.iter() {
                    let (place, _) = problem.labels.first().unwrap();
                    prop_assert!(text.get(place.start..place.end()).is_some(), "{problem:?}");
                }
            }
        }
    }
}
