//! Mistakes in stack files, and what people are told about them; and that the files which ship are right.
//!
//! Each mistake is a snapshot of the whole output, in `snapshots/`: read it as a user would before accepting it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pinfra::report::diagnostic::{Look, draw, events};
use pinfra::spec::{self, Capacity, Checks, Encryption, MAX_BYTES, Problems, Stack, Target};
use proptest::prelude::*;

/// A folder with what the stack files below refer to.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("clean/pin.sql", "-- reads: index\nSELECT parse_int(\"index\") AS ind FROM events\n");
    write(
        "clean/typo.sql",
        "-- reads: id, title\nSELECT\n  parse_int(id) AS id,\n  upper(titel) AS title\nFROM events\n",
    );
    write("clean/filter.sql", "-- reads: id\nSELECT id FROM events WHERE id <> ''\n");
    write("clean/headless.sql", "SELECT id FROM events\n");
    write("clean/torn.sql", "-- reads: id\nSELECT id FROM events AS\n");
    write("questions/counts.sql", "-- How many?\nSELECT count(*) AS n, max(post_yaer) AS last FROM pin\n");
    write("questions/right.sql", "-- Which are rejected?\nSELECT reason, ind FROM rejects CROSS JOIN pin\n");
    write("questions/writes.sql", "-- None.\nDROP TABLE pin\n");
    write("clean/notes.txt", "");
    write("empty/notes.txt", "");
    write("plugin.tar", "");
    write("rows.db", "");
    write("key.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ you@host\n");
    write(
        "ecdsa.pub",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc= you@host\n",
    );
    write("key", "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n");
    dir
}

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("hunter2".to_owned()),
        "EIGHT" => Some("8".to_owned()),
        "OWNER" => Some("me & you".to_owned()),
        _ => None,
    }
}

/// Parses a text as if it stood in `dev.yaml` of a folder; messages name it so.
fn parse_in(folder: &Path, text: &str) -> Result<Stack, Problems> {
    spec::parse(&folder.join("dev.yaml"), text, &env, Checks::FileAndSql)
}

fn parse(text: &str) -> Result<Stack, Problems> {
    parse_in(folder().path(), text)
}

const PLAIN: Look = Look { color: false, width: 100 };

/// What a user sees, without the place of the test's own folder.
fn drawn(text: &str) -> String {
    let folder = folder();
    let result = parse_in(folder.path(), text);
    let problems = match &result {
        Ok(stack) => stack.warnings(),
        Err(problems) => problems.clone(),
    };
    let prefix = format!("{}/", folder.path().display());
    format!("{}{}", if result.is_ok() { "(the file is right)\n\n" } else { "" }, draw(&problems, PLAIN))
        .replace(&prefix, "")
}

macro_rules! mistakes {
    ($($name:ident: $text:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let text: &str = &$text;
                insta::with_settings!({ description => text, omit_expression => true, prepend_module_to_snapshot => false }, {
                    insta::assert_snapshot!(stringify!($name), drawn(text));
                });
            }
        )*
    };
}

mistakes! {
    // YAML itself
    yaml_empty_file: "";
    yaml_only_comments: "# nothing yet\n";
    yaml_tab: "name: dev\nlake:\n\tversioning: true\n";
    yaml_unclosed_brace: "name: dev\ntables:\n  pin: { key: index\n  geo: { key: ind }\n";
    yaml_unclosed_quote: "name: \"dev\nlake: {}\n";
    yaml_colon_in_value: "name: dev: one\n";
    yaml_wrong_indentation: "name: dev\nstreams:\n  shards: 1\n   mode: on_demand\n";
    yaml_two_documents: "name: dev\n---\nname: other\n";
    yaml_list_at_top: "- name: dev\n";
    yaml_text_at_top: "dev\n";
    yaml_duplicate_key: "name: dev\nlake: {}\nlake: { versioning: true }\n";
    yaml_unknown_alias: "name: dev\nlake: *shared\n";
    yaml_alias_of_itself: "name: dev\nlake: &lake [*lake]\n";
    yaml_alias_bomb: "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    yaml_deep: format!("name: dev\nlake: {}\n", "[".repeat(200));
    yaml_line_of_a_thousand_characters: format!("{{ name: dev, laek: {{}}, tags: {{ note: {} }} }}\n", "a".repeat(1000));
    yaml_control_character: "name: dev\ntags: { a: \u{1b}[31m }\n";
    yaml_variable_in_braces: "name: dev\ntags: { owner: ${env:OWNER} }\n";
    yaml_merge_of_text: "name: dev\nlake:\n  <<: yes\n";
    yaml_key_is_a_list: "name: dev\n? [a]\n: 1\n";

    // keys and types
    unknown_section: "name: dev\nstreems: { shards: 1 }\n";
    unknown_key: "name: dev\ntables: { pin: { key: index } }\nstreams: { shards: 1, retentionHours: 24 }\n";
    unknown_key_without_a_near_one: "name: dev\nlake: { colour: blue }\n";
    name_missing: "lake: {}\n";
    name_misspelt: "nmae: dev\nlake: {}\n";
    wrong_types: "name: 5\nregion: [us-east-1]\ntags: team\nlake: { versioning: yes, expire_days: \"30\" }\nttl: 8\nprotect: s3/bucket\n";
    section_without_value: "name: dev\nlake:\n";
    value_missing: "name: dev\ntables: { pin: { key: } }\n";
    table_without_key: "name: dev\nlake: {}\ntables:\n  pin: {}\n  geo:\n";
    everything_at_once: "name: Dev\nregoin: us-east-1\ntables:\n  pin: { kye: index }\nstreams:\n  shards: 0\n  retention_hours: 12\nlake: { use: My_Bucket }\nttl: soon\n";

    // names
    name_with_capitals: "name: My Stack\nlake: {}\n";
    name_too_long: "name: a-very-long-name-for-a-stack-it-is\nlake: {}\n";
    name_reserved_by_s3: "name: xn--dev\nlake: {}\n";
    name_reserved_by_ec2: "name: sg-dev\nlake: {}\n";
    table_name_with_hyphen: "name: dev\nstreams: {}\ntables: { my-table: { key: id } }\n";
    table_name_reserved: "name: dev\nstreams: {}\ntables: { rejects: { key: id } }\n";
    key_not_a_field: "name: dev\nstreams: {}\ntables: { pin: { key: \"a b\" } }\n";
    bucket_names: "name: dev\nlake: { use: \"s3://pins/data\" }\n";
    bucket_reserved: "name: dev\nlake: { use: pins--x-s3 }\n";
    region_misspelt: "name: dev\nregion: us-est-1\nlake: {}\n";
    target_unknown: "name: dev\ntarget: gcp\nlake: {}\n";
    tags_reserved: "name: dev\nlake: {}\ntags:\n  \"aws:team\": a\n  \"pinfra:stack\": b\n  \"\": c\n";
    tags_characters: "name: dev\nlake: {}\ntags: { team: \"a;b\", cost: 5 }\n";
    tags_too_many: format!("name: dev\nlake: {{}}\ntags:\n{}", (0..49).map(|n| format!("  k{n}: v\n")).collect::<String>());

    // the environment
    env_unset: "name: dev\nlake: {}\ntags:\n  owner: ${env:NOBODY}\n";
    env_not_env: "name: dev\nlake: {}\ntags:\n  owner: ${OWNER}\n";
    env_unclosed: "name: dev\nlake: {}\ntags:\n  owner: ${env:OWNER\n";
    env_in_a_name: "name: ${env:OWNER}\nregion: ${env:OWNER}\ntables:\n  pin: { key: \"${env:OWNER}\" }\nstreams: {}\nlake: { use: \"${env:OWNER}\" }\nprotect: [\"${env:OWNER}\"]\n";
    env_wrong_type_is_not_printed: "name: dev\ntables: { pin: { key: id } }\nstreams:\n  shards: ${env:SECRET}\n  retention_hours: ${env:EIGHT}\n  mode: ${env:SECRET}\n";
    env_bad_tag_is_not_printed: "name: dev\nlake: {}\ntags: { owner: \"${env:OWNER}\" }\n";

    // streams and lake
    streams_shards_on_demand: "name: dev\ntables: { pin: { key: id } }\nstreams:\n  mode: on_demand\n  shards: 2\n";
    streams_mode_misspelt: "name: dev\ntables: { pin: { key: id } }\nstreams: { mode: on-demand }\n";
    streams_without_tables: "name: dev\nstreams: {}\n";
    streams_retention: "name: dev\ntables: { pin: { key: id } }\nstreams: { retention_hours: 9000 }\n";
    streams_encryption: "name: dev\ntables: { pin: { key: id } }\nstreams: { encryption: sse }\n";
    lake_settings_on_existing: "name: dev\nlake:\n  use: pins\n  versioning: true\n";
    lake_noncurrent_without_versioning: "name: dev\nlake: { noncurrent_days: 30 }\n";

    // network and cluster
    network_subnets_in_default: "name: dev\ncluster: {}\ntables: { pin: { key: id } }\nnetwork:\n  subnets: [subnet-0a1b2c3d]\n";
    network_ids: "name: dev\ncluster: {}\ntables: { pin: { key: id } }\nnetwork:\n  vpc: vpc-123\n  subnets: [subnet-0a1b2c3d, subnet-0a1b2c3d, net-1]\n";
    network_without_subnets: "name: dev\ncluster: {}\ntables: { pin: { key: id } }\nnetwork: { vpc: vpc-0a1b2c3d }\n";
    cluster_kafka_9_9: "name: dev\ntables: { pin: { key: id } }\ncluster: { kafka_version: \"9.9\", instance: kafka.m5.huge }\n";
    cluster_kafka_of_the_past: "name: dev\ntables: { pin: { key: id } }\ncluster: { kafka_version: 2.8.1 }\n";
    cluster_kafka_version_as_number: "name: dev\ntables: { pin: { key: id } }\ncluster: { kafka_version: 3.6 }\n";
    cluster_four_brokers_on_three_subnets: "name: dev\ntables: { pin: { key: id } }\nnetwork:\n  vpc: vpc-0a1b2c3d\n  subnets: [subnet-0a1b2c3d, subnet-0a1b2c3e, subnet-0a1b2c3f]\ncluster: { brokers: 4 }\n";
    cluster_five_brokers: "name: dev\ntables: { pin: { key: id } }\ncluster: { brokers: 5 }\n";
    cluster_three_brokers_in_two_zones: "name: dev\nregion: us-west-1\ntables: { pin: { key: id } }\ncluster: { brokers: 3 }\n";
    cluster_express: "name: dev\ntables: { pin: { key: id } }\ncluster: { instance: express.m7g.large, brokers: 4, storage_gib: 100 }\n";
    cluster_settings_on_existing: "name: dev\ntables: { pin: { key: id } }\ncluster: { use: pins, brokers: 3 }\n";
    cluster_in_another_region: "name: dev\nregion: eu-west-1\ntables: { pin: { key: id } }\ncluster:\n  use: arn:aws:kafka:us-east-1:123456789012:cluster/pins/0f0c5f3e-1\n";
    cluster_storage: "name: dev\ntables: { pin: { key: id } }\ncluster: { storage_gib: 20000, partitions: 0 }\n";

    // client, connector, api, workers
    client_instance: "name: dev\nclient: { instance: t3.smal }\nworkers: {}\n";
    client_private_key: "name: dev\nclient: { key: key }\nworkers: {}\n";
    client_private_key_in_the_file: "name: dev\nclient:\n  key: |\n    -----BEGIN OPENSSH PRIVATE KEY-----\n    c2VjcmV0\n    -----END OPENSSH PRIVATE KEY-----\nworkers: {}\n";
    client_key_not_a_key: "name: dev\nclient: { key: clean/pin.sql }\nworkers: {}\n";
    client_key_of_a_type_ec2_refuses: "name: dev\nclient: { key: ecdsa.pub }\nworkers: {}\n";
    client_key_missing: "name: dev\nclient: { key: kye.pub }\nworkers: {}\n";
    client_cidrs: "name: dev\nclient: { ssh_from: [0.0.0.0/0, 203.0.113.7, 10.0.0.1/8, here] }\nworkers: {}\n";
    connector_alone: "name: dev\nconnector: {}\n";
    connector_sizes: "name: dev\ntables: { pin: { key: id } }\ncluster: {}\nlake: {}\nconnector: { mcu: 3, workers: 11, flush_size: 0 }\n";
    connector_plugins: "name: dev\ntables: { pin: { key: id } }\ncluster: {}\nlake: {}\nconnector: { plugin: \"http://example.com/plugin.zip\" }\n";
    connector_plugin_not_an_archive: "name: dev\ntables: { pin: { key: id } }\ncluster: {}\nlake: {}\nconnector: { plugin: plugin.tar }\n";
    api_alone: "name: dev\napi: { stage: \"pro/d\", auth: keys }\n";
    api_open: "name: dev\ntables: { pin: { key: id } }\nstreams: {}\napi: { auth: none }\n";
    api_open_admin: "name: dev\ntables: { pin: { key: id } }\nstreams: {}\napi: { auth: none, admin: true }\n";
    workers_alone: "name: dev\nworkers:\n  emulator: {}\n  gateway: {}\n  cleaner: { schedule: \"0 12 * * *\" }\n";
    workers_ports: "name: dev\ntables: { pin: { key: index } }\ncluster: {}\nclient: {}\nlake: {}\nstreams: {}\napi: {}\nworkers:\n  emulator: { port: 80 }\n  gateway: { port: 8082 }\n  cleaner: { port: 8082 }\n";
    workers_cron: "name: dev\nlake: { use: pins }\nclient: {}\nworkers:\n  cleaner: { streaming: false, schedule: \"0 25 * * *\" }\n";
    workers_cron_of_six_fields: "name: dev\nlake: { use: pins }\nclient: {}\nworkers:\n  cleaner: { streaming: false, schedule: \"0 0 12 * * *\" }\n";
    workers_cleaner_idle: "name: dev\nlake: {}\nclient: {}\nworkers:\n  cleaner: { streaming: false }\n";
    workers_source_unknown: "name: dev\ntables: { pin: { key: id } }\nstreams: {}\napi: {}\nclient: {}\nlake: {}\nworkers:\n  emulator: { source: \"postgres://me:hunter2@host/db\" }\n";
    workers_source_password: "name: dev\ntables: { pin: { key: id } }\nstreams: {}\napi: {}\nclient: {}\nlake: {}\nworkers:\n  emulator: { source: \"mysql://me:hunter2@host/db\" }\n";
    workers_source_not_a_url: "name: dev\ntables: { pin: { key: id } }\nstreams: {}\napi: {}\nclient: {}\nlake: {}\nworkers:\n  emulator: { source: \"mysql://host\" }\n";
    workers_sample_has_no_such_table: "name: dev\ntables: { clicks: { key: id } }\nstreams: {}\napi: {}\nclient: {}\nlake: {}\nworkers:\n  emulator: {}\n";

    // paths, protect, ttl
    clean_missing: "name: dev\nstreams: {}\ntables:\n  pin: { key: index, clean: clean/pni.sql }\n  geo: { key: ind, clean: clean/notes.txt }\n  user: { key: ind, clean: clean }\n";
    analyses_without_sql: "name: dev\nlake: {}\nanalyses: empty\n";
    analyses_missing: "name: dev\nanalyses: analysis\n";
    sql_mistakes: "name: dev\nstreams: {}\ntables:\n  a: { key: id, clean: clean/typo.sql }\n  b: { key: id, clean: clean/filter.sql }\n  c: { key: id, clean: clean/headless.sql }\n  d: { key: id, clean: clean/torn.sql }\n  e: { key: index, clean: clean/filter.sql }\n";
    sql_mistakes_in_analyses: "name: dev\nstreams: {}\nlake: {}\ntables: { pin: { key: index } }\nanalyses: questions\n";
    sql_missing_for_the_cleaner: "name: dev\nstreams: {}\nlake: {}\nclient: {}\ntables: { clicks: { key: id }, pin: { key: id }, geo: { key: ind } }\nworkers: { cleaner: {} }\n";
    protect_unknown: "name: dev\nlake: {}\nstreams: {}\ntables: { pin: { key: id } }\nprotect:\n  - kinesis/streem\n  - bucket\n  - kinesis/stream.pni\n  - s3/bucket.lake\n";
    ttl_unreadable: "name: dev\nlake: {}\nttl: 8 parsecs\n";
    ttl_too_short: "name: dev\nlake: {}\nttl: 5s\n";

    // allowed, though hardly meant
    warned_nothing_in_it: "name: dev\n";
    warned_tables_carried_by_nothing: "name: dev\ntables: { pin: { key: id } }\n";
    warned_idle_network_and_client: "name: dev\nlake: {}\nnetwork: {}\nclient: {}\n";
}

#[test]
fn the_smallest_stack_takes_the_defaults() {
    let stack =
        parse("name: dev\ntables:\n  pin: { key: index, clean: clean/pin.sql }\nstreams: {}\nlake: {}\n").unwrap();
    let streams = stack.streams.as_ref().unwrap();
    assert_eq!((stack.target.value, stack.region.as_str()), (Target::Local, "us-east-1"));
    assert!(matches!(streams.capacity(), Capacity::Provisioned { shards } if *shards.get() == 1));
    assert_eq!((*streams.retention_hours.get(), streams.encryption.get()), (24, &Encryption::Aws));
    assert!(stack.table("pin").unwrap().clean.as_ref().unwrap().get().ends_with("clean/pin.sql"));
    assert!(stack.warnings().is_empty(), "{}", stack.warnings());
    assert!(stack.declared_at("tables.pin").unwrap().ends_with("dev.yaml:3:3"));
    assert!(stack.declared_at("streams").unwrap().ends_with("dev.yaml:4:1"));
    assert_eq!(stack.declared_at("cluster"), None);
}

#[test]
fn tables_keep_their_order() {
    let stack = parse("name: dev\nstreams: {}\ntables: { z: { key: id }, a: { key: id }, m: { key: id } }\n").unwrap();
    let names: Vec<&str> = stack.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn what_comes_from_the_environment_is_used_and_not_printed() {
    let stack = parse(
        "name: dev\ntables: { pin: { key: id } }\nlake: {}\ntags: { owner: \"x-${env:SECRET}\", plain: \"$${env:A@}\" }\nstreams:\n  shards: ${env:EIGHT}\n",
    );
    // `$` is no character of a tag, so that the escape shows up as text and not as a variable.
    assert!(format!("{:?}", stack.as_ref().unwrap_err()).contains("tag `plain` has a character"));
    let stack = parse("name: dev\ntables: { pin: { key: id } }\ntags: { owner: \"x-${env:SECRET}\" }\nstreams:\n  shards: ${env:EIGHT}\n").unwrap();
    let shards = &stack.streams.as_ref().unwrap().shards;
    assert_eq!((*shards.get(), shards.from_env), (8, true));
    assert_eq!(stack.tags["owner"].get(), "x-hunter2");
    assert!(!format!("{stack:?} {shards}").contains("hunter2"));
}

#[test]
fn merges_and_aliases_work() {
    let stack = parse(
        "name: dev\ntables:\n  pin: &table { key: index }\n  geo: *table\n  user: { <<: *table, clean: clean/pin.sql }\nstreams: {}\n",
    )
    .unwrap();
    assert_eq!(stack.tables.iter().map(|table| table.key.as_str()).collect::<Vec<_>>(), ["index"; 3]);
    assert!(stack.table("user").unwrap().clean.is_some());
}

#[test]
fn sections_that_cannot_be_made_yet_are_warnings_and_can_be_errors() {
    let stack = parse("name: dev\nlake: {}\nttl: 8h\n").unwrap();
    let sections: Vec<&str> = stack.sections_not_built().iter().map(|(section, _)| *section).collect();
    assert_eq!(sections, ["ttl"]);
    assert_eq!((stack.warnings().errors(), stack.warnings().warnings()), (0, 1));
    assert_eq!((stack.not_built_errors().errors(), stack.not_built_errors().warnings()), (1, 0));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let stack = parse("\u{feff}name: dev\r\nlake: {}\r\n").unwrap();
    assert!(stack.declared_at("lake").unwrap().ends_with(":2:1"));
    let problems = parse("\u{feff}name: dev\r\nlaek: {}\r\n").unwrap_err();
    assert!(problems.to_string().contains("dev.yaml:2:1: error: unknown key `laek`"), "{problems}");
}

#[test]
fn many_mistakes_are_drawn_up_to_a_limit_and_counted() {
    let text: String =
        std::iter::once("name: dev\n".to_owned()).chain((0..500).map(|n| format!("unknown{n}: 1\n"))).collect();
    let problems = parse(&text).unwrap_err();
    let drawn = draw(&problems, PLAIN);
    assert!(drawn.ends_with(&format!("and 450 more\n{}: 500 errors\n", problems.source.path.display())), "{drawn}");
    assert_eq!(events(&problems).lines().count(), 500);
}

#[test]
fn events_have_places() {
    let problems = parse("name: dev\nlaek: {}\n").unwrap_err();
    let event: serde_json::Value = serde_json::from_str(&events(&problems)).unwrap();
    assert_eq!((&event["severity"], &event["line"], &event["column"]), (&"error".into(), &2.into(), &1.into()));
    assert_eq!(event["labels"][0]["end_column"], 5);
}

// ---- files

fn load_error(path: &Path) -> String {
    let problems = spec::load(path, &env, Checks::File).unwrap_err();
    draw(&problems, PLAIN).replace(&format!("{}", path.display()), "PATH")
}

#[test]
fn files_that_cannot_be_stack_files() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, bytes: &[u8]| -> PathBuf {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        dir.path().join(name)
    };
    let huge = vec![b'#'; usize::try_from(MAX_BYTES).unwrap() + 1];
    let all = [
        load_error(&dir.path().join("missing.yaml")),
        load_error(dir.path()),
        load_error(&with("huge.yaml", &huge)),
        load_error(&with("latin1.yaml", b"name: dev\ntags: { city: K\xf6ln }\n")),
        load_error(&with("largest.yaml", &huge[1..])),
    ];
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("files_that_cannot_be_stack_files", all.join("\n"));
    });
}

#[test]
fn a_folder_with_one_yaml_file_gets_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("only.yaml"), "name: dev\n").unwrap();
    assert!(load_error(dir.path()).contains("did you mean `PATH/only.yaml`?"));
}

// ---- what ships

fn shipped(name: &str) -> Stack {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks").join(name);
    spec::load(&path, &env, Checks::FileAndSql).unwrap_or_else(|problems| panic!("{}", draw(&problems, PLAIN)))
}

#[test]
fn the_stacks_that_ship_are_right() {
    for name in ["streams.yaml", "on-demand.yaml", "streaming.yaml", "kafka.yaml", "pinterest.yaml"] {
        let stack = shipped(name);
        assert!(stack.warnings().is_empty(), "{name}: {}", stack.warnings());
    }
}

// ---- the schema

/// The keys of a section in the schema, behind a `$ref` or not.
fn property<'s>(root: &'s serde_json::Value, node: &'s serde_json::Value, key: &str) -> &'s serde_json::Value {
    let resolve = |node: &'s serde_json::Value| match node["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => node,
    };
    let found = &resolve(node)["properties"][key];
    assert!(!found.is_null(), "no `{key}` in {node}");
    resolve(found)
}

#[test]
fn the_schema_says_what_the_reader_enforces() {
    let schema = spec::schema();
    assert_eq!(schema["required"], serde_json::json!(["name"]));
    assert_eq!(schema["additionalProperties"], false);
    assert!(!schema.to_string().contains("\"null\""));
    let retention = property(&schema, property(&schema, &schema, "streams"), "retention_hours");
    assert_eq!(
        (&retention["minimum"], &retention["maximum"], &retention["default"]),
        (&24.into(), &8760.into(), &24.into())
    );
    // Each key that the schema knows is read: a value of a wrong type is refused wherever it stands.
    for (section, rule) in schema["properties"].as_object().unwrap() {
        let rule =
            rule["$ref"].as_str().map_or(rule, |reference| schema.pointer(reference.trim_start_matches('#')).unwrap());
        assert!(rule["description"].is_string(), "`{section}` has no description");
        for key in rule["properties"].as_object().into_iter().flat_map(|properties| properties.keys()) {
            let problems = parse(&format!("name: dev\n{section}:\n  {key}: [[]]\n")).unwrap_err();
            assert!(
                problems.iter().any(|problem| problem.message.contains(key.as_str())),
                "`{section}.{key}`: {problems}"
            );
        }
    }
}

// ---- the commands

fn pinfra(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinfra")).args(args).current_dir(folder).env_remove("COLUMNS").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn init_writes_a_stack_that_is_right_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = pinfra(dir.path(), &["init", "my-pipeline"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(text(&first.stderr).contains("pinfra up my-pipeline/stack.yaml"));
    let checked = pinfra(dir.path(), &["validate", "my-pipeline/stack.yaml"]);
    assert_eq!(
        text(&checked.stderr),
        "my-pipeline/stack.yaml is right: 3 tables, 3 streams of 1 shard each, a lake; local, us-east-1\n"
    );
    let written = dir.path().join("my-pipeline/stack.yaml");
    assert!(std::fs::read_to_string(&written).unwrap().contains("name: my-pipeline "));
    std::fs::write(&written, "mine").unwrap();
    let again = pinfra(dir.path(), &["init", "my-pipeline"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).starts_with("error: `my-pipeline/stack.yaml` exists and is left as it is\n"));
    assert_eq!(std::fs::read_to_string(&written).unwrap(), "mine");
}

#[test]
fn init_has_a_whole_pipeline_that_can_be_switched_on() {
    let dir = tempfile::tempdir().unwrap();
    assert!(pinfra(dir.path(), &["init"]).status.success());
    let path = dir.path().join("stack.yaml");
    let written = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = written.split_once("#api:").unwrap();
    let (part, after) = rest.split_once("\n\n").unwrap();
    let part = part.replace("\n#", "\n");
    assert!(part.contains("\nclient:") && part.contains("\nworkers:"), "{part}");
    std::fs::write(&path, format!("{before}api:{part}\n\n{after}")).unwrap();
    let checked = pinfra(dir.path(), &["validate", "stack.yaml"]);
    assert_eq!(
        text(&checked.stderr),
        "stack.yaml is right: 3 tables, 3 streams of 1 shard each, a lake; local, us-east-1\n"
    );
}

#[test]
fn init_takes_the_name_of_the_folder_only_when_it_can_name_a_stack() {
    let dir = tempfile::tempdir().unwrap();
    assert!(pinfra(dir.path(), &["init", "Not A Name"]).status.success());
    let stack = std::fs::read_to_string(dir.path().join("Not A Name/stack.yaml")).unwrap();
    assert!(stack.contains("name: my-stack "));
}

#[test]
fn validate_says_on_which_stream_and_with_which_code() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.yaml"), "name: dev\nlaek: {}\n").unwrap();
    std::fs::write(dir.path().join("good.yaml"), "name: dev\nlake: {}\nttl: 8h\n").unwrap();

    let bad = pinfra(dir.path(), &["validate", "bad.yaml"]);
    assert_eq!((bad.status.code(), text(&bad.stdout)), (Some(1), ""));
    assert!(text(&bad.stderr).contains("[bad.yaml:2:1]") && text(&bad.stderr).contains("did you mean `lake`?"));

    let bad = pinfra(dir.path(), &["validate", "bad.yaml", "--json"]);
    assert_eq!((bad.status.code(), text(&bad.stderr)), (Some(1), ""));
    let event: serde_json::Value = serde_json::from_str(text(&bad.stdout)).unwrap();
    assert_eq!((&event["event"], &event["file"]), (&"diagnostic".into(), &"bad.yaml".into()));

    let good = pinfra(dir.path(), &["validate", "good.yaml"]);
    assert_eq!((good.status.code(), text(&good.stdout)), (Some(0), ""));
    assert!(text(&good.stderr).contains("checks `ttl` and cannot make it yet"));
    assert!(text(&good.stderr).ends_with("good.yaml is right: 0 tables, a lake, and ttl; local, us-east-1\n"));

    let quiet = pinfra(dir.path(), &["validate", "good.yaml", "--quiet"]);
    assert_eq!((quiet.status.code(), text(&quiet.stdout), text(&quiet.stderr)), (Some(0), "", ""));

    let missing = pinfra(dir.path(), &["validate", "none.yaml"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn schema_and_completions_are_data() {
    let dir = tempfile::tempdir().unwrap();
    let schema = pinfra(dir.path(), &["schema"]);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&schema.stdout).unwrap(), spec::schema());
    let script = pinfra(dir.path(), &["completions", "bash"]);
    assert!(script.status.success() && text(&script.stdout).contains("_pinfra()"));
}

// ---- anything at all

/// Whatever is read, it is a stack or problems that can be drawn; and a stack is read the same again.
fn survives(text: &str) {
    match spec::parse(Path::new("any.yaml"), text, &env, Checks::File) {
        Ok(stack) => {
            draw(&stack.warnings(), PLAIN);
            draw(&stack.not_built_errors(), PLAIN);
        }
        Err(problems) => {
            assert!(problems.errors() > 0);
            let drawn = draw(&problems, PLAIN);
            assert!(!drawn.contains("hunter2"), "{drawn}");
            assert!(!events(&problems).contains("hunter2"));
        }
    }
}

fn whole_file() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/pinterest.yaml")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_survived(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn text_of_yaml_signs_is_survived(text in "[a-c\\-:{}\\[\\],&*!|>'\"%@`#?~<$. \n\t0-9é\u{feff}]{0,80}") {
        survives(&text);
        survives(&format!("name: dev\nlake: {text}"));
    }

    #[test]
    fn a_mutated_stack_is_survived(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3_u8), 1..6),
        piece in prop::sample::select(vec!["", "{", "}", ": ", "\n", "- ", "&a ", "*a", "'", "\"", "${env:SECRET}", "${", "<<: ", "-1", "1e9", "~", "\t", "é", "mysql://a:hunter3@b/c", "99999999999999999999999"]),
    ) {
        let mut text = whole_file();
        for (from, to, act) in edits {
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (from, to) = (*from.get(&ends), *to.get(&ends));
            let range = from.min(to)..from.max(to).min(from.min(to) + 40).min(text.len());
            let range = range.start..text.floor_char_boundary(range.end);
            match act {
                0 => text.replace_range(range, piece),
                1 => text.insert_str(from, piece),
                _ => { let copy = text[range].to_owned(); text.insert_str(to, &copy); }
            }
        }
        survives(&text);
    }

    #[test]
    fn any_value_in_any_place_is_survived(
        section in prop::sample::select(vec!["name", "target", "region", "tags", "tables", "network", "cluster", "client", "connector", "api", "streams", "lake", "workers", "analyses", "protect", "ttl"]),
        key in "[a-z_]{1,12}|vpc|use|shards|key|mode|encryption|source|schedule|port|ssh_from|plugin|emulator|cleaner",
        value in "[ -~]{0,20}|-?[0-9]{1,25}|\\[[a-z, ]*\\]|\\{\\}|\"\\$\\{env:SECRET\\}[a-z]*\"",
    ) {
        survives(&format!("name: dev\n{section}: {value}\n"));
        survives(&format!("name: dev\n{section}:\n  {key}: {value}\n"));
        survives(&format!("name: dev\n{section}:\n  pin:\n    {key}: {value}\n"));
    }
}
