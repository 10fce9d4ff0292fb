//! `drift --accept ADDRESS[#FIELD]`: writes what is there into the stack file, and nothing else.
//!
//! ```text
//! finding ─feeds→ keys and values ─edit→ another text ─parse, expand→ another graph
//! ```
//!
//! Before the file is written, both graphs are compared: every field that differs between them has to be one that drifted,
//! and what the new graph asks for has to be what is there. So a key that says more than what was accepted is never changed
//! in passing; the refusal tells what else hangs on it.

use std::collections::BTreeSet;

use pinfra_aws::catalog::KINDS;
use pinfra_engine::diff::{FieldChange, Shown, Views, at, diff};
use pinfra_engine::observe::{Observation, Observed};
use pinfra_engine::state::Place;
use pinfra_engine::{Address, Drift, Finding, Graph, Node, What};
use serde_json::{Value, json};

use super::write::replace_file;
use crate::cli::drift::AcceptArg;
use crate::commands::context::Context;
use crate::expand::feeds::{self, Says};
use crate::expand::{Facts, expand};
use crate::report::value::inline;
use crate::report::{Failure, patch};
use crate::spec::edit::{self, Edited, Scalar};
use crate::spec::nearest::nearest;
use crate::spec::{self, Checks, Source, Stack};

/// What an acceptance is made from.
pub(super) struct Ground<'a> {
    /// The stack file as it is.
    pub(super) stack: &'a Stack,
    /// Where the stack lives.
    pub(super) place: &'a Place,
    /// What its graph depends on besides.
    pub(super) facts: &'a Facts,
    /// What there is.
    pub(super) observed: &'a Observed,
    /// What differs.
    pub(super) drift: &'a Drift,
    /// The variables of the environment.
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Ground<'_> {
    /// The inputs that a resource has now.
    fn live(&self, address: &Address) -> Option<&Value> {
        match self.observed.get(address)? {
            Observation::Present { live, .. } => Some(&live.inputs),
            Observation::Absent | Observation::Theirs { .. } => None,
        }
    }
}

/// A key of the stack file that changes.
#[derive(Debug, PartialEq)]
struct Accepted {
    address: Address,
    field: String,
    key: String,
    live: Value,
}

/// Writes what was found into the stack file, or only shows what would be written.
pub(super) fn run(context: &Context, ground: &Ground<'_>, wanted: &[AcceptArg], dry_run: bool) -> Result<(), Failure> {
    let source = &ground.stack.source;
    let (text, accepted) = accept(ground, wanted)?;
    let name = source.path.display().to_string();
    let edited = Source::new(&source.path, text);
    if !dry_run {
        replace_file(&source.path, &source.text, &edited.text)?;
        for one in &accepted {
            context.tell(&format!("{name}: `{}` says now what is there: {}", one.key, inline(&one.live)));
        }
        context.tell(&format!(
            "`pinfra up {name}` records it; until then, `status` and a `drift` without the file still compare with what \
             was recorded before"
        ));
    }
    // What must not be shown is starred out in both.
    let difference = patch::unified(&name, &source.shown(), &edited.shown(), context.paint_out);
    let accepted: Vec<Value> = accepted
        .iter()
        .map(|one| json!({"address": one.address, "field": one.field, "key": one.key, "live": one.live}))
        .collect();
    let value = json!({"file": name, "written": !dry_run, "accepted": accepted, "difference": difference});
    context.result(if dry_run { &difference } else { "" }, "accepted", value)
}

/// The text of the stack file that says what is there, and the keys that changed; or everything that stands against it.
fn accept(ground: &Ground<'_>, wanted: &[AcceptArg]) -> Result<(String, Vec<Accepted>), Failure> {
    let mut source = Source::clone(&ground.stack.source);
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for asked in wanted {
        for finding in found(ground.drift, asked)? {
            match accept_one(ground, &source, finding) {
                Ok((text, keys)) => {
                    source.text = text;
                    accepted.extend(keys);
                }
                Err(why) => refused.push(refusal(finding, &why)),
            }
        }
    }
    if !refused.is_empty() {
        return Err(Failure::many(refused));
    }
    prove(ground, &source, &accepted)?;
    Ok((source.text, accepted))
}

fn refusal(finding: &Finding, why: &str) -> Failure {
    let at =
        if finding.declared_at.is_empty() { String::new() } else { format!("\n  declared at {}", finding.declared_at) };
    Failure::new(format!("`{}` cannot be accepted: {why}{at}", called(finding))).hint("nothing was written")
}

fn called(finding: &Finding) -> String {
    match &finding.field {
        Some(field) => format!("{}#{field}", finding.address),
        None => finding.address.to_string(),
    }
}

/// What differs of what was asked for.
fn found<'a>(drift: &'a Drift, asked: &AcceptArg) -> Result<Vec<&'a Finding>, Failure> {
    let at_address = || drift.findings.iter().filter(|finding| finding.address == asked.address);
    let found: Vec<&Finding> = match &asked.field {
        None => at_address().collect(),
        Some(field) => {
            at_address().filter(|finding| finding.field.as_deref().is_some_and(|is| is_below(is, field))).collect()
        }
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let others: Vec<String> = match at_address().next() {
        Some(_) => at_address().map(called).collect(),
        None => drift.findings.iter().map(called).collect(),
    };
    let wanted = match &asked.field {
        Some(field) => format!("{}#{field}", asked.address),
        None => asked.address.to_string(),
    };
    let failure = Failure::new(format!("nothing differs at `{wanted}`"));
    Err(match nearest(&wanted, others.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if others.is_empty() => failure.hint("there is no drift"),
        None => failure.hint(format!("there is drift at {}", others.join(", "))),
    })
}

fn is_below(field: &str, above: &str) -> bool {
    field.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The text in which the keys behind a finding say what is there.
fn accept_one(ground: &Ground<'_>, source: &Source, finding: &Finding) -> Result<(String, Vec<Accepted>), String> {
    let field = finding.field.as_ref().filter(|_| matches!(finding.what, What::Changed | What::Unmanaged));
    let (Some(field), Some(live)) = (field, ground.live(&finding.address)) else {
        return Err(match finding.what {
            What::Missing => "it is gone, so take it out of the stack file by hand".to_owned(),
            What::Unmanaged => "no key of the stack file declares such a thing".to_owned(),
            What::Changed | What::Unhealthy => "it is about no value that a stack file has".to_owned(),
        });
    };
    if finding.secret {
        return Err("its value is a secret, which is written nowhere".to_owned());
    }
    // A finding may be about one of several things in a field, and a key is about all of it.
    let keys = feeds::keys(&finding.address, field, at(live, field));
    let direct: Vec<(&Vec<String>, &Says)> =
        keys.iter().filter_map(|(key, says)| Some((key, says.as_ref()?))).collect();
    if direct.is_empty() {
        return Err(no_key(&keys));
    }
    let mut edited = Edited { text: source.text.clone(), changed: false };
    let mut accepted = Vec::new();
    for (key, says) in direct {
        let path: Vec<&str> = key.iter().map(String::as_str).collect();
        let before = Source::new(&source.path, edited.text);
        edited = match says {
            Says::Value(value) => edit::set(&before, &path, value),
            Says::Nothing => edit::remove(&before, &path),
        }
        .map_err(|error| error.to_string())?;
        if edited.changed {
            let live = match says {
                Says::Value(Scalar::Flag(flag)) => json!(flag),
                Says::Value(Scalar::Whole(number)) => json!(i64::try_from(*number).unwrap_or(i64::MAX)),
                Says::Value(Scalar::Text(text)) => json!(text),
                Says::Nothing => Value::Null,
            };
            accepted.push(Accepted {
                address: finding.address.clone(),
                field: field.clone(),
                key: key.join("."),
                live,
            });
        }
    }
    Ok((edited.text, accepted))
}

/// Why there is no key to change: pinfra sets the field, or it follows from keys.
fn no_key(keys: &[(Vec<String>, Option<Says>)]) -> String {
    let names: Vec<String> = keys.iter().map(|(key, _)| format!("`{}`", key.join("."))).collect();
    match names.as_slice() {
        [] => "pinfra sets this by itself, and no key of the stack file says otherwise".to_owned(),
        [key] => format!("it follows from {key}, among other things: change that by hand"),
        keys => format!("it follows from {}: change one of them by hand", keys.join(", ")),
    }
}

/// Whether the new file asks for exactly what is there in what was accepted, and for the same as before in all else.
fn prove(ground: &Ground<'_>, edited: &Source, accepted: &[Accepted]) -> Result<(), Failure> {
    let before = expand(ground.stack, ground.place, ground.facts)?;
    let again = spec::parse(&edited.path, edited.text.clone(), ground.environment, Checks::File);
    let stack = again.map_err(|problems| {
        let message = "the stack file would be wrong with what is there; nothing was written";
        Failure::many(vec![Failure::new(message), Failure::Problems(problems)])
    })?;
    let after = expand(&stack, ground.place, ground.facts)?;
    let others = others(ground, &before, &after);
    if !others.is_empty() {
        let keys: BTreeSet<String> = accepted.iter().map(|one| format!("`{}`", one.key)).collect();
        let keys = keys.into_iter().collect::<Vec<_>>().join(" and ");
        let message = format!("{keys} cannot be changed for this alone: it would also change {}", others.join(", "));
        return Err(Failure::new(message).hint(BY_HAND));
    }
    for one in accepted {
        let left = after.get(&one.address).map(|node| differing(ground, node)).unwrap_or_default();
        if left.contains(&one.field) {
            let message = format!("`{}` would not make `{}#{}` what is there", one.key, one.address, one.field);
            return Err(Failure::new(message).hint(BY_HAND));
        }
    }
    Ok(())
}

const BY_HAND: &str = "nothing was written; edit the stack file by hand and look at `pinfra plan`";

/// Everything that the second graph asks for otherwise than the first, and that is not there.
fn others(ground: &Ground<'_>, before: &Graph, after: &Graph) -> Vec<String> {
    let mut others = Vec::new();
    for node in after.nodes() {
        let Some(old) = before.get(&node.address) else {
            others.push(format!("`{}`, which would be made", node.address));
            continue;
        };
        let left = differing(ground, node);
        let changed = compared(node, &old.inputs).into_iter().filter(|change| left.contains(&change.path));
        others.extend(changed.map(|change| {
            format!("`{}#{}` from {} to {}", node.address, change.path, said(&change.before), said(&change.after))
        }));
    }
    let gone = before.nodes().filter(|node| after.get(&node.address).is_none());
    others.extend(gone.map(|node| format!("`{}`, which would go", node.address)));
    others
}

/// The fields of a node that are not as they are in the cloud; all of them where it is not there.
fn differing(ground: &Ground<'_>, node: &Node) -> BTreeSet<String> {
    let live = ground.live(&node.address).unwrap_or(&Value::Null);
    compared(node, live).into_iter().map(|change| change.path).collect()
}

/// The fields of a node that other inputs of its kind have otherwise.
fn compared(node: &Node, other: &Value) -> Vec<FieldChange> {
    let Some(info) = KINDS.iter().find(|info| info.kind == node.address.kind()) else { return Vec::new() };
    diff(info, &Views { desired: &node.inputs, secrets: &node.secrets, recorded: None, live: Some(other), salt: "" })
}

fn said(shown: &Shown) -> String {
    match shown {
        Shown::Value(value) => inline(value),
        Shown::Absent => "nothing".to_owned(),
        Shown::Unknown(_) => "what another resource tells".to_owned(),
        Shown::Secret => "a secret".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pinfra_engine::resource::LiveValue;

    use super::*;

    const FILE: &str = "name: dev # the name
tables: { pin: { key: index }, geo: { key: ind }, user: { key: ind } }
cluster:              # brokers
  storage_gib: 10     # GiB
  partitions: 3
connector: { flush_size: 1000 }
streams: { shards: 1 }
lake:
  expire_days: 30     # and then they go
client: {}
api: {}
workers: { emulator: { rate: \"${env:RATE}\" }, gateway: {}, cleaner: {} }
";

    /// What accepting comes to, when the cloud has this at these fields.
    fn accepted(text: &str, live: &[(&str, &str, Value)], asked: &[&str]) -> Result<String, String> {
        let environment = |_: &str| Some("7".to_owned());
        let stack = spec::parse(Path::new("dev.yaml"), text.to_owned(), &environment, Checks::File).unwrap();
        let place = Place { target: "local".into(), region: "us-east-1".into(), account: "000000000000".into() };
        let facts = Facts::default();
        let graph = expand(&stack, &place, &facts).unwrap();
        let mut observed = Observed::new();
        for node in graph.nodes() {
            let live = LiveValue { inputs: node.inputs.clone(), outputs: Value::Null };
            observed.insert(node.address.clone(), Observation::Present { id: "x".to_owned(), live });
        }
        let mut drift = Drift::default();
        for (address, field, value) in live {
            let address: Address = address.parse().unwrap();
            let Some(Observation::Present { live, .. }) = observed.get_mut(&address) else { panic!("{address}") };
            let (above, name) = field.split_once('.').map_or((None, *field), |(above, name)| (Some(above), name));
            let parent = match above {
                Some(above) => &mut live.inputs[above],
                None => &mut live.inputs,
            };
            parent[name] = value.clone();
            let finding = Finding {
                address,
                id: None,
                what: What::Changed,
                field: Some((*field).to_owned()),
                wanted: None,
                live: Some(value.clone()),
                detail: String::new(),
                declared_at: String::new(),
                secret: graph.nodes().any(|node| node.secrets.contains(*field)),
            };
            drift.extend([finding]);
        }
        let ground = Ground {
            stack: &stack,
            place: &place,
            facts: &facts,
            observed: &observed,
            drift: &drift,
            environment: &environment,
        };
        let asked: Vec<AcceptArg> = asked.iter().map(|asked| asked.parse().unwrap()).collect();
        super::accept(&ground, &asked).map(|(text, _)| text).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_is_there_is_written_where_the_stack_file_says_it() {
        let brokers = "msk/cluster.cluster";
        let cases: [(&str, &str, Value, &str, &str); 5] = [
            (brokers, "storage_gib", json!(25), "storage_gib: 10     #", "storage_gib: 25     #"),
            (
                brokers,
                "kafka_version",
                json!("3.7.x"),
                "  partitions: 3\n",
                "  partitions: 3\n  kafka_version: 3.7.x\n",
            ),
            (
                "msk_connect/connector.s3",
                "configuration.flush.size",
                json!("250"),
                "flush_size: 1000",
                "flush_size: 250",
            ),
            ("s3/bucket.lake", "versioning", json!(true), "they go\n", "they go\n  versioning: true\n"),
            ("worker/process.cleaner", "config.commit_ms", json!(500), "cleaner: {}", "cleaner: { commit_ms: 500 }"),
        ];
        for (address, field, live, old, new) in cases {
            let expected = FILE.replace(old, new);
            assert_ne!(expected, FILE);
            assert_eq!(accepted(FILE, &[(address, field, live)], &[address]), Ok(expected), "{field}");
        }
    }

    #[test]
    fn a_key_of_several_resources_is_changed_when_all_of_them_are_so() {
        let shards = |table| ("kinesis/stream.".to_owned() + table, "shards", json!(4));
        let all = ["pin", "geo", "user"].map(shards);
        let of = |n: usize| all[..n].iter().map(|(a, f, v)| (a.as_str(), *f, v.clone())).collect::<Vec<_>>();
        let expected = FILE.replace("shards: 1", "shards: 4");
        assert_eq!(accepted(FILE, &of(3), &["kinesis/stream.geo#shards"]), Ok(expected));
        let said = accepted(FILE, &of(2), &["kinesis/stream.geo#shards"]).unwrap_err();
        assert!(
            said.contains("`streams.shards` cannot be changed for this alone")
                && said.contains("`kinesis/stream.user#shards` from 1 to 4"),
            "{said}"
        );
    }

    #[test]
    fn a_field_of_two_keys_changes_both() {
        let streams: Vec<(String, &str, Value)> = ["pin", "geo", "user"]
            .iter()
            .flat_map(|table| {
                let address = format!("kinesis/stream.{table}");
                [(address.clone(), "mode", json!("on_demand")), (address, "shards", Value::Null)]
            })
            .collect();
        let live: Vec<(&str, &str, Value)> = streams.iter().map(|(a, f, v)| (a.as_str(), *f, v.clone())).collect();
        let text = FILE.replace("{ shards: 1 }", "{ retention_hours: 24, shards: 1 }");
        let expected = FILE.replace("{ shards: 1 }", "{ retention_hours: 24, mode: on_demand }");
        assert_eq!(accepted(&text, &live, &["kinesis/stream.pin"]), Ok(expected));
    }

    #[test]
    fn a_lifecycle_rule_that_was_changed_changes_its_days() {
        let abort = json!({"id": "abort-multipart", "prefix": "", "expire_days": null, "noncurrent_days": null, "abort_multipart_days": 7});
        let expire = json!({"id": "expire-topics", "prefix": "topics/", "expire_days": 90, "noncurrent_days": null, "abort_multipart_days": null});
        let live = [("s3/bucket.lake", "lifecycle", json!([abort, expire]))];
        assert_eq!(
            accepted(FILE, &live, &["s3/bucket.lake"]),
            Ok(FILE.replace("expire_days: 30 ", "expire_days: 90 "))
        );
        let other = [("s3/bucket.lake", "lifecycle", json!([expire]))];
        assert!(
            accepted(FILE, &other, &["s3/bucket.lake"]).unwrap_err().contains("lifecycle"),
            "a rule of pinfra's own is gone"
        );
    }

    #[test]
    fn what_cannot_be_accepted_says_why() {
        let cases: [(&str, &str, Value, &str); 8] = [
            (
                "msk/topic.pin",
                "partitions",
                json!(6),
                "`cluster.partitions` cannot be changed for this alone: it would also change",
            ),
            ("msk/topic.pin", "replication", json!(2), "it follows from `cluster.brokers`"),
            ("iam/role.client", "max_session_seconds", json!(7200), "pinfra sets this by itself"),
            ("worker/process.emulator", "config.rate", json!(9.0), "its value is a secret"),
            ("s3/bucket.lake", "tags.team", json!("x"), "`tags.team` cannot be changed for this alone"),
            ("msk/cluster.cluster", "storage_gib", json!(0), "would be wrong with what is there"),
            (
                "msk_connect/connector.s3",
                "configuration.rotate.schedule.interval.ms",
                json!("1500"),
                "it follows from `connector.rotate_seconds`",
            ),
            ("msk/cluster.cluster", "tags.pinfra:stack", json!("x"), "pinfra sets this by itself"),
        ];
        for (address, field, live, expected) in cases {
            let said = accepted(FILE, &[(address, field, live)], &[address]).unwrap_err();
            assert!(said.contains(expected), "{field}: {said}");
        }
        let storage = ("msk/cluster.cluster", "storage_gib", json!(25));
        let said = accepted(FILE, std::slice::from_ref(&storage), &["msk/cluster.cluster#storage_gb"]).unwrap_err();
        assert!(said.contains("did you mean `msk/cluster.cluster#storage_gib`?"), "{said}");
    }

    #[test]
    fn several_are_accepted_together_or_not_at_all() {
        let storage = ("msk/cluster.cluster", "storage_gib", json!(25));
        let flush = ("msk_connect/connector.s3", "configuration.flush.size", json!("250"));
        let role = ("iam/role.client", "max_session_seconds", json!(7200));
        let both =
            accepted(FILE, &[storage.clone(), flush.clone()], &["msk/cluster.cluster", "msk_connect/connector.s3"]);
        assert_eq!(both, Ok(FILE.replace("_gib: 10", "_gib: 25").replace("size: 1000", "size: 250")));
        let some = accepted(FILE, &[storage, role], &["msk/cluster.cluster", "iam/role.client"]);
        assert!(some.unwrap_err().contains("nothing was written"));
    }
}
