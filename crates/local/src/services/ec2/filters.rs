//! What every `Describe…` has in common: ids, filters and pages over the items as they are answered.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors;
use super::ids::Noun;
use crate::wire::error::ApiError;

/// How one `Describe…` is asked for.
pub(super) struct Listing {
    /// The member of the input that lists ids, such as `InstanceIds`.
    pub(super) ids: &'static str,
    /// The member of an item that holds its id.
    pub(super) id: &'static str,
    /// Checks ids and says what is missing.
    pub(super) noun: Noun,
    /// Name of a filter and the path of what it looks at, through structures and lists.
    pub(super) filters: &'static [(&'static str, &'static str)],
}

/// What is answered.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) next: Option<String>,
}

impl Page {
    /// The answer, with the items under this member.
    pub(super) fn answer(self, member: &str) -> Value {
        json!({ member: self.items, "NextToken": self.next })
    }
}

/// Items that are asked for by id are all there or the request is refused; filters then choose among them.
pub(super) fn describe(items: Vec<Value>, input: &Value, listing: &Listing) -> Result<Page, ApiError> {
    let ids = texts(&input[listing.ids]);
    if !ids.is_empty() && !input["MaxResults"].is_null() {
        return Err(errors::combination(format!(
            "The parameter MaxResults cannot be used with the parameter {}",
            listing.ids
        )));
    }
    for id in &ids {
        listing.noun.check(id)?;
        if !items.iter().any(|item| item[listing.id] == *id) {
            return Err(listing.noun.not_found(id));
        }
    }
    let filters = Filters::read(input, listing.filters)?;
    let mut chosen = items;
    chosen.retain(|item| {
        (ids.is_empty() || item[listing.id].as_str().is_some_and(|id| ids.contains(&id))) && filters.let_through(item)
    });
    paged(chosen, input, listing.id)
}

/// Cuts a page out of items; the token is the place after the last one.
pub(super) fn paged(mut items: Vec<Value>, input: &Value, id: &str) -> Result<Page, ApiError> {
    let key = |item: &Value| item[id].as_str().unwrap_or_default().to_owned();
    if let Some(token) = input["NextToken"].as_str().filter(|token| !token.is_empty()) {
        let after = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let after = after.ok_or_else(|| errors::invalid_value("Unable to parse pagination token"))?;
        items.sort_by_key(key);
        items.retain(|item| key(item) > after);
    }
    let Some(most) = input["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok()) else {
        return Ok(Page { items, next: None });
    };
    if !(5..=1000).contains(&most) {
        let message =
            format!("Value ( {most} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.");
        return Err(errors::invalid_value(message));
    }
    items.sort_by_key(key);
    let next = (items.len() > most).then(|| items.get(most - 1).map(key)).flatten();
    items.truncate(most);
    Ok(Page { items, next: next.map(|last| URL_SAFE_NO_PAD.encode(last)) })
}

/// Filters of a request: all of them must hold, and one of the values of each.
pub(super) struct Filters<'a> {
    all: Vec<(Looks<'a>, Vec<&'a str>)>,
}

enum Looks<'a> {
    At(&'static str),
    Tag(&'a str),
    TagKey,
}

impl<'a> Filters<'a> {
    /// Reads `Filters`; one that the operation does not have is refused.
    pub(super) fn read(
        input: &'a Value,
        known: &'static [(&'static str, &'static str)],
    ) -> Result<Filters<'a>, ApiError> {
        let mut all = Vec::new();
        for filter in input["Filters"].as_array().into_iter().flatten() {
            let Some(name) = filter["Name"].as_str() else {
                return Err(errors::missing("Filter.Name"));
            };
            let looks = match name.strip_prefix("tag:") {
                Some(key) => Looks::Tag(key),
                None if name == "tag-key" => Looks::TagKey,
                None => match known.iter().find(|(known, _)| *known == name) {
                    Some((_, path)) => Looks::At(path),
                    None => return Err(errors::invalid_value(format!("The filter '{name}' is invalid"))),
                },
            };
            let values = texts(&filter["Values"]);
            if values.is_empty() {
                return Err(errors::invalid_value(format!("The filter '{name}' has no values")));
            }
            if values.len() > 200 {
                return Err(ApiError::new("FilterLimitExceeded", "The maximum number of filter values is 200"));
            }
            all.push((looks, values));
        }
        Ok(Filters { all })
    }

    /// Whether an item passes.
    pub(super) fn let_through(&self, item: &Value) -> bool {
        self.all.iter().all(|(looks, values)| {
            let found = match looks {
                Looks::At(path) => at(item, path),
                Looks::Tag(key) => {
                    // Interfaces have them under another name.
                    let tags = ["Tags", "TagSet"].into_iter().flat_map(|member| item[member].as_array());
                    tags.flatten()
                        .filter(|tag| tag["Key"] == *key)
                        .filter_map(|tag| text_of(&tag["Value"], ""))
                        .collect()
                }
                Looks::TagKey => [at(item, "Tags.Key"), at(item, "TagSet.Key")].concat(),
            };
            found.iter().any(|text| values.iter().any(|pattern| matches(pattern, text)))
        })
    }
}

/// The texts at a path; a list on the way is looked through.
fn at(item: &Value, path: &str) -> Vec<String> {
    let mut found = vec![item];
    let mut last = "";
    for step in path.split('.') {
        last = step;
        let below = found.into_iter().map(|value| &value[step]);
        found = below
            .flat_map(|value| value.as_array().map_or_else(|| vec![value], |list| list.iter().collect()))
            .collect();
    }
    found.into_iter().filter_map(|value| text_of(value, last)).collect()
}

fn text_of(value: &Value, member: &str) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if member.ends_with("Time") => {
            let time = time::OffsetDateTime::from_unix_timestamp(number.as_i64()?).ok()?;
            let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
            time.format(&format).ok()
        }
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// `*` stands for any text, `?` for one character, and a backslash takes that from the next one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star is, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let (literal, width) = match pattern.get(p) {
            Some('\\') if p + 1 < pattern.len() => (pattern.get(p + 1), 2),
            other => (other, 1),
        };
        match literal {
            Some('*') if width == 1 => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') if width == 1 => {}
            Some(literal) if *literal == text[t] => {}
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
                continue;
            }
        }
        p += width;
        t += 1;
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

/// The texts of a list.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ids;
    use super::*;

    const LISTING: Listing = Listing {
        ids: "VpcIds",
        id: "VpcId",
        noun: ids::VPC,
        filters: &[("state", "State"), ("cidr", "Blocks.Cidr"), ("is-default", "IsDefault")],
    };

    fn vpcs() -> Vec<Value> {
        let item = |n: u64| {
            json!({"VpcId": format!("vpc-{n:08x}"), "State": if n < 3 { "available" } else { "pending" }, "IsDefault": n == 1,
                "Blocks": [{"Cidr": format!("10.{n}.0.0/16")}, {"Cidr": "10.9.0.0/16"}], "Tags": [{"Key": "n", "Value": n.to_string()}]})
        };
        (1..=12).map(item).collect()
    }

    fn count(input: &Value) -> usize {
        describe(vpcs(), input, &LISTING).unwrap().items.len()
    }

    #[test]
    fn filters_are_anded_and_values_ored() {
        let filter = |name: &str, values: &[&str]| json!({"Name": name, "Values": values});
        assert_eq!(count(&json!({"Filters": [filter("state", &["available"])]})), 2);
        assert_eq!(count(&json!({"Filters": [filter("cidr", &["10.2.0.0/16", "10.3.*"])]})), 2);
        assert_eq!(count(&json!({"Filters": [filter("cidr", &["10.9.0.0/16"]), filter("is-default", &["true"])]})), 1);
        assert_eq!(count(&json!({"Filters": [filter("tag:n", &["1?"])]})), 3);
        assert_eq!(count(&json!({"Filters": [filter("tag-key", &["m"])]})), 0);
        let code = |input: &Value| describe(vpcs(), input, &LISTING).err().unwrap().code;
        assert_eq!(code(&json!({"Filters": [filter("colour", &["red"])]})), "InvalidParameterValue");
        assert_eq!(code(&json!({"VpcIds": ["vpc-000000ff"]})), "InvalidVpcID.NotFound");
        assert_eq!(code(&json!({"VpcIds": ["vpc-1"]})), "InvalidVpcID.Malformed");
        assert_eq!(code(&json!({"VpcIds": ["vpc-00000001"], "MaxResults": 5})), "InvalidParameterCombination");
    }

    #[test]
    fn pages_neither_repeat_nor_skip() {
        let mut seen = Vec::new();
        let mut input = json!({"MaxResults": 5});
        loop {
            let page = describe(vpcs(), &input, &LISTING).unwrap();
            seen.extend(page.items);
            match page.next {
                Some(token) => input["NextToken"] = json!(token),
                None => break,
            }
        }
        assert_eq!(seen, vpcs());
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("a?c", "abc", true),
            ("a\\*c", "a*c", true),
            ("a\\*c", "abc", false),
            ("", "a", false),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_any_star(text in "[a-c.-]{0,8}", cut in 0usize..8) {
            prop_assert!(matches(&text, &text));
            let cut = cut.min(text.len());
            let pattern = format!("{}*{}", &text[..cut], &text[cut..]);
            prop_assert!(matches(&pattern, &text));
        }
    }
}
