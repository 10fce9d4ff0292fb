//! Edits of files in every style, and of what is no file at all.

use proptest::prelude::*;

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "cases are written down as they are")]
fn edited(text: &str, path: &str, to: Scalar) -> Result<String, String> {
    let path: Vec<&str> = path.split('.').collect();
    set(&Source::new("dev.yaml", text), &path, &to).map(|edited| edited.text).map_err(|error| error.to_string())
}

#[test]
fn a_value_is_changed_where_it_stands_and_as_it_was_written() {
    let text = "name: dev # the name\ncluster:   # brokers\n  storage_gib:   10   # GiB\n  kafka_version: '3.6.0'\nlake: { versioning: false }\n";
    let cases = [
        ("cluster.storage_gib", Scalar::Whole(20), text.replace("10   # GiB", "20   # GiB")),
        ("cluster.kafka_version", Scalar::Text("3.7.x".into()), text.replace("3.6.0", "3.7.x")),
        ("lake.versioning", Scalar::Flag(true), text.replace("false", "true")),
        ("name", Scalar::Text("dev: \"x\" # ${y}".into()), text.replace("name: dev", r#"name: "dev: \"x\" # $${y}""#)),
    ];
    for (path, to, expected) in cases {
        assert_eq!(edited(text, path, to), Ok(expected), "{path}");
    }
}

#[test]
fn a_new_key_goes_to_the_end_of_its_section_in_its_style() {
    let cases = [
        ("a: {}\n", "a.b", "a: { b: 7 }\n"),
        ("a: { x: 1 }\n", "a.b", "a: { x: 1, b: 7 }\n"),
        ("a: {x: [1, 2],}\n", "a.b", "a: {x: [1, 2], b: 7}\n"),
        ("a: {x: '}',\n    y: 2} # }\nc: 1\n", "a.b", "a: {x: '}',\n    y: 2, b: 7} # }\nc: 1\n"),
        ("a: { x: 1, # one\n  y: 2 }\n", "a.b", "a: { b: 7, x: 1, # one\n  y: 2 }\n"),
        ("a:\n    x: 1 # one\n    # and\nc: 2\n", "a.b", "a:\n    x: 1 # one\n    b: 7\n    # and\nc: 2\n"),
        ("a:\r\n  x: 1\r\n", "a.b", "a:\r\n  x: 1\r\n  b: 7\r\n"),
        ("a:\n  x: 1", "a.b", "a:\n  x: 1\n  b: 7"),
        ("a:\n  x:\n    - 1\n    - 2\nc: 1\n", "a.b", "a:\n  x:\n    - 1\n    - 2\n  b: 7\nc: 1\n"),
        ("a:\n  x: { y: 1,\n       z: 2 }\n", "a.b", "a:\n  x: { y: 1,\n       z: 2 }\n  b: 7\n"),
        ("a: 1\n", "b.c.d", "a: 1\nb: { c: { d: 7 } }\n"),
        ("\u{feff}a: 1\n", "b", "\u{feff}a: 1\nb: 7\n"),
        ("a:\n  x: &one { y: 1 }\n  z: *one\n", "a.b", "a:\n  x: &one { y: 1 }\n  z: *one\n  b: 7\n"),
    ];
    for (text, path, expected) in cases {
        assert_eq!(edited(text, path, Scalar::Whole(7)).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_changed_alone_is_refused_with_the_reason() {
    let cases = [
        (
            "a: &x 1\nb: *x\n",
            "b",
            "is written elsewhere in the file, under an anchor (`&`), and used in several places: change it by hand, at line 1",
        ),
        ("a: &x 1\nb: *x\n", "a", "cannot be changed without changing more"),
        ("a: &x { y: 1 }\nb: { <<: *x }\n", "b.y", "is written elsewhere"),
        ("a: &x { y: 1 }\nb: *x\n", "b.y", "`b` is written elsewhere"),
        ("a: \"${env:A}\"\n", "a", "comes from the environment: change the variable that line 1 names"),
        ("a: [1]\n", "a", "is a list or a section"),
        ("a: 1\n", "a.b", "`a` is a list or a section"),
        ("a: |\n  x\n", "a", "cannot be changed without changing more"),
        ("a: {\n", "a", "cannot be read as YAML"),
    ];
    for (text, path, expected) in cases {
        let said = edited(text, path, Scalar::Whole(7)).unwrap_err();
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn a_key_that_goes_takes_its_line_or_its_comma_along() {
    let cases = [
        ("a: { b: 1, c: 2 }\n", "a: { c: 2 }\n"),
        ("a: { c: 2, b: '}' } # x\n", "a: { c: 2 } # x\n"),
        ("a:\n  c: 2\n  # of b\n  b: 1 # why\nd: 3\n", "a:\n  c: 2\n  # of b\nd: 3\n"),
        ("a:\n  b:\n    - 1\n    - 2\n  c: 2", "a:\n  c: 2"),
        ("a: { c: 2 }\n", "a: { c: 2 }\n"),
        ("d: 2\n", "d: 2\n"),
    ];
    for (text, expected) in cases {
        let edited = remove(&Source::new("dev.yaml", text), &["a", "b"]).unwrap();
        assert_eq!((edited.text.as_str(), edited.changed), (expected, text != expected), "{text}");
    }
    assert!(
        remove(&Source::new("dev.yaml", "a: { b: 1 }\n"), &["a", "b"]).is_err(),
        "an empty section means something else"
    );
}

#[test]
fn what_is_so_already_changes_nothing() {
    let source = Source::new("dev.yaml", "a: 0x10\n");
    assert_eq!(set(&source, &["a"], &Scalar::Whole(16)), Ok(Edited { text: source.text.clone(), changed: false }));
}

/// Sections with values in many styles, comments, and odd spacing.
fn files() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("1"),
        Just("true"),
        Just("text"),
        Just("'a: #b'"),
        Just("\"q\\\" }\""),
        Just("3.5"),
        Just("~"),
        Just("&x 5"),
        Just("*x"),
        Just("[1, '}']"),
        Just("{ k: 1 }"),
        Just("a'b"),
        Just("é ü"),
        Just("\n      deep: 1"),
        Just("|\n      block\n"),
    ];
    let comment = prop_oneof![Just(""), Just(" # why"), Just("   # } ] ' \"")];
    let entry = (scalar.clone(), comment.clone()).prop_map(|(value, comment)| format!("{value}{comment}"));
    let block = proptest::collection::vec(entry, 1..4).prop_map(|entries| {
        let lines = entries.iter().enumerate().map(|(n, entry)| format!("    k{n}: {entry}\n"));
        format!("\n{}", lines.collect::<String>())
    });
    let flow = (proptest::collection::vec(scalar, 0..4), comment).prop_map(|(values, comment)| {
        let entries: Vec<String> =
            values.iter().filter(|v| !v.contains('\n')).enumerate().map(|(n, v)| format!("k{n}: {v}")).collect();
        format!(" {{ {} }}{comment}\n", entries.join(", "))
    });
    proptest::collection::vec(prop_oneof![block, flow], 1..4).prop_map(|sections| {
        let sections = sections.iter().enumerate().map(|(n, section)| format!("s{n}:{section}"));
        format!("# top\n{}", sections.collect::<String>())
    })
}

fn values() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Flag),
        any::<i64>().prop_map(|number| Scalar::Whole(number.into())),
        "\\PC{0,12}|[a-z0-9./:#{}'\"\\[\\]$\n -]{0,12}|true|null|1e3|0x1f|~|-|1.5".prop_map(Scalar::Text),
    ]
}

/// How many of the comments of `files` a text has.
fn comments(text: &str) -> usize {
    text.matches(" # why").count() + text.matches("   # } ] ' ").count()
}

proptest! {
    #[test]
    fn an_edit_changes_the_value_and_not_a_byte_besides(text in files(), section in 0usize..4, key in 0usize..4, to in values()) {
        let (section, key) = (format!("s{section}"), format!("k{key}"));
        let source = Source::new("dev.yaml", text.clone());
        let Ok(edited) = set(&source, &[&section, &key], &to) else { return Ok(()) };
        // It is what was asked for.
        let after = Source::new("dev.yaml", edited.text.clone());
        let root = node::parse(&after).unwrap().unwrap();
        let Ok(Found::Value(node)) = find(&after, &root, &[&section, &key]) else { panic!("{text}\n---\n{}", edited.text) };
        prop_assert!(holds(node, &to), "{}\n---\n{}", text, edited.text);
        // All of the old text is there, but for one run of bytes.
        let same_start = text.bytes().zip(edited.text.bytes()).take_while(|(a, b)| a == b).count();
        let rest = (&text.as_bytes()[same_start..], &edited.text.as_bytes()[same_start..]);
        let same_end = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(|(a, b)| a == b).count();
        let replaced = &rest.0[..rest.0.len() - same_end];
        prop_assert!(!replaced.contains(&b'\n'), "{}\n---\n{}", text, edited.text);
        prop_assert_eq!(comments(&text), comments(&edited.text), "{}\n---\n{}", text, edited.text);
    }

    #[test]
    fn a_removal_takes_the_key_and_nothing_else(text in files(), section in 0usize..4, key in 0usize..4) {
        let (section, key) = (format!("s{section}"), format!("k{key}"));
        let Ok(edited) = remove(&Source::new("dev.yaml", text.clone()), &[&section, &key]) else { return Ok(()) };
        // Every comment stays, but for one on the line that goes.
        prop_assert!(comments(&text) - comments(&edited.text) <= 1, "{}
---
{}", text, edited.text);
        prop_assert_eq!(edited.changed, text != edited.text);
    }

    #[test]
    fn any_file_at_all_is_edited_or_refused(text in "\\PC{0,60}|([a-c]: |\\{|\\}|\\[|\\]|,|\n|  |&x |\\*x|'|\"|#|- |<<: |é|\t|\\|\n){0,25}", to in values()) {
        let source = Source::new("dev.yaml", text);
        let _ = (set(&source, &["a", "b"], &to), remove(&source, &["a", "b"]));
    }
}
