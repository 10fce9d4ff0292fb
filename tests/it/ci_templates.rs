//! The CI templates: their scripts are run, with a program in pinfra's place that takes down what it was called with, and
//! what it was called with has to be a command line of this pinfra.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser;
use serde_json::Value;

use crate::support::said;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/templates/ci");

/// Writes its arguments down, each with a zero byte behind it, and exits with `$EXIT`. Reports that were asked for are there.
const RECORDER: &str = r#"#!/bin/sh
for argument in "$@"; do
  printf '%s\0' "$argument" >> "$CALLS"
  case "$argument" in *=*.md) echo '<!-- report -->' > "${argument#*=}" ;; esac
done
printf '\0' >> "$CALLS"
exit "$EXIT"
"#;

fn template(name: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The step that has this name, in an action or in any job of a workflow.
fn step<'a>(template: &'a Value, name: &str) -> &'a Value {
    let jobs = template["jobs"].as_object().into_iter().flat_map(serde_json::Map::values);
    let steps = jobs.chain([&template["runs"]]).filter_map(|part| part["steps"].as_array()).flatten();
    steps.into_iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step `{name}`"))
}

/// A folder in which a script runs as GitHub runs it, with recorders in the place of programs.
struct Runner {
    folder: tempfile::TempDir,
}

impl Runner {
    fn new(programs: &[&str]) -> Runner {
        let folder = tempfile::tempdir().unwrap();
        for program in programs {
            let path = folder.path().join(program);
            std::fs::write(&path, RECORDER).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Runner { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, step: &Value, exit: i32, variables: &[(&str, &str)]) -> Output {
        let script = self.path("script.sh");
        std::fs::write(&script, step["run"].as_str().unwrap()).unwrap();
        // As GitHub starts `shell: bash` ("Workflow syntax for GitHub Actions", `jobs.<job_id>.steps[*].shell`).
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&script).current_dir(self.folder.path());
        let path = std::env::var("PATH").unwrap();
        bash.env("PATH", format!("{}:{path}", self.folder.path().display()));
        bash.env("EXIT", exit.to_string()).env("CALLS", self.path("calls")).env("RUNNER_TEMP", self.folder.path());
        for file in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH"] {
            bash.env(file, self.path(file));
        }
        bash.envs(variables.iter().copied()).output().unwrap()
    }

    /// What the recorders were called with.
    fn calls(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        let calls = text.split("\0\0").filter(|call| !call.is_empty());
        calls.map(|call| call.trim_matches('\0').split('\0').map(str::to_owned).collect()).collect()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

const INPUTS: [(&str, &str); 7] = [
    ("STACK", "stacks/my stack.yaml"),
    ("STATE", "state"),
    ("TARGET", "aws"),
    ("IGNORE", ""),
    ("FORMAT", "text"),
    ("REPORTS", "drift report"),
    ("FAIL", "false"),
];

#[test]
fn every_pinfra_command_of_the_templates_is_one_of_this_pinfra() {
    let action = template("action.yml");
    let compare = step(&action, "Compare");
    for ignore in ["", "stacks/drift ignore"] {
        let runner = Runner::new(&["pinfra"]);
        let mut inputs = INPUTS;
        inputs[3].1 = ignore;
        let output = said(&runner.run(compare, 0, &inputs));
        assert_eq!(output.code, 0, "{}", output.stderr);
        let calls = runner.calls();
        assert_eq!(calls.len(), 1);
        let line = ["pinfra".to_owned()].into_iter().chain(calls[0].clone());
        let cli = pinfra::cli::Cli::try_parse_from(line).unwrap_or_else(|wrong| panic!("{wrong}"));
        let pinfra::cli::Command::Drift(drift) = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(drift.stack.as_deref(), Some("stacks/my stack.yaml"));
        assert_eq!(drift.ignore.len(), usize::from(!ignore.is_empty()));
        assert_eq!(drift.formats.len(), 4);
    }
    // No other line of the templates calls pinfra, so the ones above are all.
    for name in ["action.yml", "drift.yml"] {
        let text = std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
        let lines = text.lines().filter(|line| line.trim_start().starts_with("pinfra ")).count();
        assert_eq!(lines, usize::from(name == "action.yml"));
    }
}

#[test]
fn the_action_tells_drift_from_failure() {
    let action = template("action.yml");
    let compare = step(&action, "Compare");
    for (exit, fail, code, drift) in [
        (0, "true", 0, "drift=false\n"),
        (2, "false", 0, "drift=true\n"),
        (2, "true", 1, "drift=true\n"),
        (1, "false", 1, ""),
    ] {
        let runner = Runner::new(&["pinfra"]);
        let mut inputs = INPUTS;
        inputs[6].1 = fail;
        let output = said(&runner.run(compare, exit, &inputs));
        assert_eq!(
            (output.code, runner.file("GITHUB_OUTPUT").as_str()),
            (code, drift),
            "{exit} {fail} {}",
            output.stderr
        );
        assert_eq!(runner.file("GITHUB_STEP_SUMMARY").is_empty(), drift.is_empty());
    }
}

#[test]
fn inputs_reach_scripts_as_variables_alone() {
    for name in ["action.yml", "drift.yml"] {
        let text = std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
        let template = template(name);
        let mut scripts = Vec::new();
        collect_scripts(&template, &mut scripts);
        assert!(!scripts.is_empty());
        for script in scripts {
            assert!(!script.contains("${{"), "{script}");
        }
        // What a script reads is what its step gives it, so every input that the action has is used.
        for (input, _) in template["inputs"].as_object().into_iter().flatten() {
            assert!(text.contains(&format!("inputs.{input}")), "{input}");
        }
    }
}

fn collect_scripts(value: &Value, scripts: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            scripts.extend(map.get("run").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|inner| collect_scripts(inner, scripts));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect_scripts(inner, scripts)),
        _ => {}
    }
}

#[test]
fn the_job_that_reads_the_cloud_can_write_nothing_and_the_others_have_no_way_to_it() {
    let workflow = template("drift.yml");
    assert_eq!(workflow["permissions"], serde_json::json!({}));
    let jobs = workflow["jobs"].as_object().unwrap();
    for (name, job) in jobs {
        let permissions = job["permissions"].as_object().unwrap();
        let writes: Vec<&str> =
            permissions.iter().filter(|(_, may)| *may == "write").map(|(what, _)| what.as_str()).collect();
        let expected = match name.as_str() {
            "compare" => "id-token",
            "code-scanning" => "security-events",
            "comment" => "pull-requests",
            other => panic!("a new job `{other}`: which right does it need?"),
        };
        assert_eq!(writes, [expected], "{name}");
    }
    // The workflow gives the action only inputs that it has.
    let action = template("action.yml");
    let uses = jobs["compare"]["steps"].as_array().unwrap().iter().find(|step| step["id"] == "drift").unwrap();
    for (input, _) in uses["with"].as_object().unwrap() {
        assert!(action["inputs"].get(input).is_some(), "{input}");
    }
}

#[test]
fn a_download_without_a_checksum_is_refused() {
    let action = template("action.yml");
    let fetch = step(&action, "Fetch pinfra");
    let runner = Runner::new(&["curl"]);
    let variables = [("URL", "https://example.org/pinfra"), ("SHA256", "")];
    assert_eq!(said(&runner.run(fetch, 0, &variables)).code, 1);
    assert_eq!(runner.calls().len(), 0, "nothing is downloaded");
}

#[test]
fn a_pull_request_has_one_comment_and_none_without_drift() {
    let workflow = template("drift.yml");
    let comment = step(&workflow, "Comment");
    for (drift, earlier, expected) in
        [("true", "", "POST"), ("true", "77", "PATCH"), ("false", "77", "PATCH"), ("false", "", "")]
    {
        let runner = Runner::new(&["gh"]);
        std::fs::create_dir(runner.path("drift-report")).unwrap();
        std::fs::write(runner.path("drift-report/drift.md"), "<!-- pinfra drift: dev -->\n").unwrap();
        // The recorder prints nothing; this one answers the question for earlier comments.
        let answering = RECORDER.replacen("\n", &format!("\n[ \"$2\" = --paginate ] && printf '{earlier}'\n"), 1);
        std::fs::write(runner.path("gh"), answering).unwrap();
        let variables = [("GITHUB_REPOSITORY", "me/pins"), ("NUMBER", "5"), ("DRIFT", drift), ("GH_TOKEN", "x")];
        let output = said(&runner.run(comment, 0, &variables));
        assert_eq!(output.code, 0, "{}", output.stderr);
        let calls = runner.calls();
        let method = calls
            .iter()
            .find_map(|call| call.iter().position(|word| word == "--method").map(|at| call[at + 1].clone()));
        assert_eq!(method.unwrap_or_default(), expected, "{drift} {earlier}");
    }
}
