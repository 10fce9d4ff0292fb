//! Lists of which some members changed: what came, what went and what is another one, a line a member. Rules of security groups
//! and statements of policies are told in words.

use serde_json::{Map, Value};

use super::Page;
use super::value::{cut, inline, pair, plain};

/// How far the parts of a member stand in from it.
const DEEPER: &str = "    ";

/// What differs between two lists, each line behind `indent`; `None` where they are no lists, or hold the same. A list of one may
/// be its one, as policies write it.
pub(super) fn draw(before: &Value, after: &Value, indent: &str, page: Page) -> Option<String> {
    let (mut gone, new) = differing(before, after)?;
    let room = page.room_after(indent.len() + 2);
    let mut text = String::new();
    let line = |sign: String, member: &Value| format!("{indent}{sign} {}\n", cut(&said(member), room));
    let mut came = Vec::new();
    for member in new {
        let changed = gone.iter().enumerate().find_map(|(at, was)| Some((at, one_field(was, member)?)));
        let Some((at, field)) = changed else {
            came.push(member);
            continue;
        };
        let was = gone.remove(at);
        text.push_str(&line(page.paint.change("~"), member));
        let (was, is) = (&was[field], &member[field]);
        match draw(was, is, &format!("{indent}{DEEPER}"), page) {
            Some(parts) => text.push_str(&parts),
            None => {
                // Both on one line, with what stands before and between them.
                let taken = indent.len() + DEEPER.len() + field.len() + 1 + " → ".chars().count();
                let (was, is) = pair(&inline(was), &inline(is), page.room_after(taken));
                text.push_str(&format!("{indent}{DEEPER}{field} {was} → {is}\n"));
            }
        }
    }
    text.extend(gone.iter().map(|member| line(page.paint.bad("-"), member)));
    text.extend(came.iter().map(|member| line(page.paint.good("+"), member)));
    Some(text)
}

/// The members that one side alone has.
fn differing<'a>(before: &'a Value, after: &'a Value) -> Option<(Vec<&'a Value>, Vec<&'a Value>)> {
    if !before.is_array() && !after.is_array() {
        return None;
    }
    let (before, after) = (list(before), list(after));
    let gone: Vec<&Value> = before.iter().copied().filter(|member| !after.contains(member)).collect();
    let new: Vec<&Value> = after.iter().copied().filter(|member| !before.contains(member)).collect();
    (!gone.is_empty() || !new.is_empty()).then_some((gone, new))
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(members) => members.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// The field that two members differ in, where it is one and they have another one in common.
fn one_field<'a>(a: &Value, b: &'a Value) -> Option<&'a str> {
    let (a, b) = (a.as_object()?, b.as_object()?);
    let mut differ = b.iter().filter(|(key, value)| a.get(*key) != Some(value)).map(|(key, _)| key.as_str());
    let field = differ.next().filter(|_| a.len() == b.len() && a.len() > 1)?;
    (differ.next().is_none() && a.contains_key(field)).then_some(field)
}

/// A member in words, where they are known, and otherwise as it is.
pub(super) fn said(member: &Value) -> String {
    let words = member.as_object().and_then(|fields| statement(fields).or_else(|| rule(fields)));
    words.unwrap_or_else(|| inline(member))
}

/// `Allow s3:GetObject on arn:aws:s3:::pins/*`.
fn statement(fields: &Map<String, Value>) -> Option<String> {
    let effect = fields.get("Effect")?.as_str()?;
    let mut text = format!("{} {}", plain(effect), listed(fields.get("Action")?));
    if let Some(resource) = fields.get("Resource") {
        text.push_str(&format!(" on {}", listed(resource)));
    }
    for (key, value) in fields.iter().filter(|(key, _)| !["Effect", "Action", "Resource"].contains(&key.as_str())) {
        text.push_str(&format!(", {} {}", plain(key), inline(value)));
    }
    Some(text)
}

/// `ingress tcp 22 from 10.0.0.0/8 "people"`.
fn rule(fields: &Map<String, Value>) -> Option<String> {
    let direction = fields.get("direction")?.as_str()?;
    let protocol = fields.get("protocol")?.as_str()?;
    let port = |name: &str| fields.get(name).and_then(Value::as_i64);
    let ports = match (port("from_port"), port("to_port")) {
        (Some(first), Some(last)) if first == last => format!(" {first}"),
        (Some(first), Some(last)) => format!(" {first}-{last}"),
        _ => String::new(),
    };
    let protocol = if protocol == "-1" { "everything".to_owned() } else { plain(protocol) };
    let side = if direction == "egress" { "to" } else { "from" };
    let why = fields.get("description").and_then(Value::as_str).filter(|why| !why.is_empty());
    let why = why.map(|why| format!("  {why:?}")).unwrap_or_default();
    Some(format!("{} {protocol}{ports} {side} {}{why}", plain(direction), listed(fields.get("peer")?)))
}

/// Texts without quotes, one after another.
fn listed(value: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| inline(value), plain);
    list(value).into_iter().map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::Paint;

    fn drawn(before: &Value, after: &Value) -> String {
        draw(before, after, "  ", Page { paint: Paint::OFF, columns: Some(72) }).unwrap_or_default()
    }

    #[test]
    fn rules_come_and_go_by_themselves() {
        let rule = |port: u16, peer: &str| {
            json!({"direction": "ingress", "protocol": "tcp", "from_port": port, "to_port": port, "peer": peer,
                "description": "people"})
        };
        let all = json!({"direction": "egress", "protocol": "-1", "from_port": null, "to_port": null,
            "peer": "0.0.0.0/0", "description": ""});
        let before = json!([rule(22, "10.0.0.0/8"), all, rule(443, "10.0.0.0/8")]);
        let after = json!([rule(22, "0.0.0.0/0"), rule(8082, "sg-1"), rule(443, "10.0.0.0/8")]);
        insta::assert_snapshot!(drawn(&before, &after), @r#"
          ~ ingress tcp 22 from 0.0.0.0/0  "people"
              peer "10.0.0.0/8" → "0.0.0.0/0"
          - egress everything to 0.0.0.0/0
          + ingress tcp 8082 from sg-1  "people"
        "#);
    }

    #[test]
    fn policies_are_told_by_statement() {
        let put =
            json!({"Effect": "Allow", "Action": ["kinesis:PutRecord", "kinesis:PutRecords"], "Resource": "arn:a"});
        let mut more = put.clone();
        more["Resource"] = json!(["arn:a", "arn:b"]);
        let list = json!({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": {"$ref": "s3/bucket.lake#arn"},
            "Condition": {"Bool": {"aws:SecureTransport": "true"}}});
        insta::assert_snapshot!(drawn(&put, &json!([more, list])), @r#"
          ~ Allow kinesis:PutRecord, kinesis:PutRecords on arn:a, arn:b
              + "arn:b"
          + Allow s3:ListBucket on <arn of s3/bucket.lake>, Condition { "Bool":…
        "#);
        assert_eq!(drawn(&json!(["a", "b"]), &json!(["b", "a"])), "", "another order is no member");
        assert_eq!(drawn(&json!(1), &json!(2)), "");
    }
}
