//! `pinfra local faults` and `pinfra local calls`: trouble on request, and what was called.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::admin::{self, Server};
use crate::cli::FaultsCommand;
use crate::commands::context::Context;
use crate::report::{Failure, out};

/// Runs `pinfra local faults …`.
pub(super) async fn run(context: &Context, folder: &Path, command: FaultsCommand) -> Result<(), Failure> {
    match command {
        FaultsCommand::Set { file } => set(context, folder, &file).await,
        FaultsCommand::List => list(context, folder).await,
        FaultsCommand::Clear => {
            ask(&there(folder).await?, "DELETE", "/_pinfra/faults", "").await?;
            context.tell("no rules stand");
            Ok(())
        }
    }
}

/// Runs `pinfra local calls`.
pub(super) async fn calls(context: &Context, folder: &Path, reset: bool, all: bool) -> Result<(), Failure> {
    let server = there(folder).await?;
    if reset {
        let path = if all { "/_pinfra/calls?all" } else { "/_pinfra/calls" };
        ask(&server, "DELETE", path, "").await?;
        context.tell("the log of calls begins anew");
        return Ok(());
    }
    let answer: Calls = read(ask(&server, "GET", "/_pinfra/calls", "").await?)?;
    if context.global.json {
        for call in answer.calls {
            context.result("", "call", call)?;
        }
        return Ok(());
    }
    let mut text = String::new();
    for call in answer.calls {
        let call: Call = read(call)?;
        text.push_str(&call.line());
    }
    out::data(&text)
}

async fn set(context: &Context, folder: &Path, file: &str) -> Result<(), Failure> {
    let (name, text) = if file == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| ("stdin", text))
    } else {
        std::fs::read_to_string(file).map(|text| (file, text))
    }
    .map_err(|error| Failure::new(format!("cannot read `{file}`: {error}")))?;
    let server = there(folder).await?;
    let (status, answer) = admin::ask(&server, "PUT", "/_pinfra/faults", &text).await.ok_or_else(silent)?;
    if status != 200 {
        let refused: Refused = read(answer)?;
        let told = |problem: &Problem| {
            Failure::new(format!("{name}:{}:{}: {}", problem.line, problem.column, problem.message))
        };
        return Err(Failure::many(refused.problems.iter().map(told).collect()));
    }
    let taken: Taken = read(answer)?;
    match taken.rules {
        1 => context.tell("1 rule stands"),
        count => context.tell(&format!("{count} rules stand")),
    }
    Ok(())
}

async fn list(context: &Context, folder: &Path) -> Result<(), Failure> {
    let answer = ask(&there(folder).await?, "GET", "/_pinfra/faults", "").await?;
    let standing: Standing = read(answer.clone())?;
    let mut text = String::new();
    for rule in &standing.rules {
        text.push_str(&format!("{:>8} matched {:>8} fired  {}\n", rule.matched, rule.fired, rule.rule));
    }
    context.result(&text, "local_faults", answer)
}

async fn there(folder: &Path) -> Result<Server, Failure> {
    let hint = "`pinfra local start` starts it; rules are for the local cloud that runs, and end with it";
    admin::running(folder).await.ok_or_else(|| Failure::new("the local cloud does not run").hint(hint))
}

async fn ask(server: &Server, method: &str, path: &str, body: &str) -> Result<Value, Failure> {
    match admin::ask(server, method, path, body).await {
        Some((200, answer)) => Ok(answer),
        // Such as one of an older version, which does not know the path.
        Some((status, answer)) => {
            let said = answer["message"].as_str().unwrap_or_default();
            Err(Failure::new(format!("the local cloud refused ({status}): {said}")))
        }
        None => Err(silent()),
    }
}

fn silent() -> Failure {
    Failure::new("the local cloud does not answer").hint("`pinfra local status` says whether it runs")
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer)
        .map_err(|error| Failure::new(format!("the local cloud's answer cannot be read: {error}")))
}

#[derive(Deserialize)]
struct Taken {
    rules: u64,
}

#[derive(Deserialize)]
struct Refused {
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    line: u64,
    column: u64,
    message: String,
}

#[derive(Deserialize)]
struct Standing {
    rules: Vec<StandingRule>,
}

#[derive(Deserialize)]
struct StandingRule {
    rule: String,
    matched: u64,
    fired: u64,
}

#[derive(Deserialize)]
struct Calls {
    calls: Vec<Value>,
}

#[derive(Deserialize)]
struct Call {
    number: u64,
    service: String,
    operation: String,
    by: String,
    status: Option<u16>,
    code: Option<String>,
    fault: Option<String>,
}

impl Call {
    /// One line for people.
    fn line(&self) -> String {
        let mut line = format!("{:>6}  {}:{}", self.number, self.service, self.operation);
        match self.status {
            Some(status) => line.push_str(&format!("  {status}")),
            None => line.push_str("  no answer"),
        }
        if let Some(code) = &self.code {
            line.push_str(&format!(" {code}"));
        }
        if self.by != "tool" {
            line.push_str(&format!("  by {}", self.by));
        }
        if let Some(fault) = &self.fault {
            line.push_str(&format!("  ({fault})"));
        }
        line.push('\n');
        line
    }
}
