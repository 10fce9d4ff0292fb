//! `pinfra local`, and the only place that knows that a target may be a process on this machine.
//!
//! To everything else a local cloud is an endpoint with credentials, as to any SDK program.

mod admin;
mod faults;
mod process;

use pinfra_aws::Connection;
use pinfra_aws::clients::Endpoint;
use serde_json::json;

use super::context::Context;
use super::stacks;
use crate::cli::{LocalCommand, LocalStart};
use crate::report::Failure;
use crate::spec::Target;

/// The region that is assumed where nothing says another.
const REGION: &str = "us-east-1";

/// Runs `pinfra local …`.
pub(super) async fn run(context: &Context, command: LocalCommand) -> Result<(), Failure> {
    let folder = folder(context);
    match command {
        LocalCommand::Start(start) if start.foreground => process::serve(context, &folder, &start).await,
        LocalCommand::Start(start) => {
            if let Some(running) = admin::running(&folder).await {
                process::keep_after_last_stack(&folder);
                context.tell(&format!("the local cloud runs already at {}", running.endpoint));
                return Ok(());
            }
            let server = process::start(&folder, &start).await?;
            context.result(&format!("{}\n", server.endpoint), "local_started", json!({"endpoint": server.endpoint}))?;
            context.tell("`pinfra local status --env` prints what a client needs; `pinfra local stop` ends it");
            Ok(())
        }
        LocalCommand::Stop => match admin::running(&folder).await {
            Some(server) => {
                process::stop(&folder, &server).await?;
                context.tell("stopped; what it holds is kept");
                Ok(())
            }
            None => {
                context.tell("the local cloud does not run");
                Ok(())
            }
        },
        LocalCommand::Status { env } => status(context, env).await,
        LocalCommand::Faults { command } => faults::run(context, &folder, command).await,
        LocalCommand::Calls { reset, all } => faults::calls(context, &folder, reset, all).await,
    }
}

async fn status(context: &Context, env: bool) -> Result<(), Failure> {
    let folder = folder(context);
    let Some(server) = admin::running(&folder).await else {
        return Err(Failure::new("the local cloud does not run")
            .hint("`pinfra local start` starts it, and so does `pinfra up`"));
    };
    let credentials = process::credentials(&folder)?;
    if env {
        let (key, secret, endpoint) = (&credentials.access_key, &credentials.secret_key, &server.endpoint);
        crate::report::out::data(&format!(
            "export AWS_ENDPOINT_URL={endpoint}\nexport AWS_ACCESS_KEY_ID={key}\nexport AWS_SECRET_ACCESS_KEY={secret}\n\
             export AWS_REGION={REGION}\nexport AWS_DEFAULT_REGION={REGION}\nunset AWS_SESSION_TOKEN AWS_PROFILE\n"
        ))?;
        return Ok(());
    }
    let text = format!(
        "running at {} (pid {})\ndata in {}\nfor other tools: eval \"$(pinfra local status --env)\"\n",
        server.endpoint,
        server.pid,
        folder.display()
    );
    let value = json!({"endpoint": server.endpoint, "pid": server.pid, "data": folder});
    context.result(&text, "local_status", value)
}

/// A target that can be talked to.
pub(super) struct Connected {
    /// How.
    pub(super) connection: Connection,
    is_local: bool,
}

impl Connected {
    /// Ends what was started only for a stack, when no stack is left.
    pub(super) async fn release(&self, context: &Context) {
        if self.is_local {
            process::stop_if_idle(context, &folder(context)).await;
        }
    }

    /// Says that a local cloud runs on although no stack needs it, because somebody asked for it by name.
    pub(super) async fn tell_if_left(&self, context: &Context) {
        if self.is_local && process::runs_without_stacks(context, &folder(context)).await {
            context.tell("the local cloud still runs: `pinfra local stop` ends it");
        }
    }
}

/// Makes sure that the target can be talked to: a local cloud is started when it is not running.
pub(super) async fn connect(context: &Context, target: Target, region: &str) -> Result<Connected, Failure> {
    let endpoint = match target {
        Target::Aws => None,
        Target::Local => Some(process::ensure_running(context, &folder(context)).await?),
    };
    let connection = connection(region, endpoint);
    Ok(Connected { connection, is_local: target == Target::Local })
}

/// The same, but a local cloud that is not running is a failure.
pub(super) async fn connect_if_running(context: &Context, target: Target, region: &str) -> Result<Connection, Failure> {
    let endpoint = match target {
        Target::Aws => None,
        Target::Local => {
            let folder = folder(context);
            let Some(server) = admin::running(&folder).await else {
                return Err(Failure::new("the local cloud of this stack does not run")
                    .hint("`pinfra local start` and `pinfra up` start it, and what it held is there again"));
            };
            let credentials = process::credentials(&folder)?;
            Some(endpoint(&server, credentials))
        }
    };
    Ok(connection(region, endpoint))
}

/// What other tools need to reach the local cloud: name, value, whether it is a secret.
pub(super) fn outputs(context: &Context) -> Vec<(String, String, bool)> {
    let folder = folder(context);
    let Some(server) = admin::recorded(&folder) else { return Vec::new() };
    let mut outputs = vec![("endpoint".to_owned(), server.endpoint, false)];
    if let Ok(credentials) = process::credentials(&folder) {
        outputs.push(("access_key_id".to_owned(), credentials.access_key, false));
        outputs.push(("secret_access_key".to_owned(), credentials.secret_key, true));
    }
    outputs
}

/// The path style of deployed APIs, which needs no names that end in `.localhost`.
fn connection(region: &str, endpoint: Option<Endpoint>) -> Connection {
    let apis = endpoint.as_ref().map(|endpoint| format!("{}/_api", endpoint.url));
    Connection { region: region.to_owned(), endpoint, apis }
}

fn endpoint(server: &admin::Server, credentials: process::Credentials) -> Endpoint {
    Endpoint { url: server.endpoint.clone(), access_key: credentials.access_key, secret_key: credentials.secret_key }
}

fn folder(context: &Context) -> std::path::PathBuf {
    context.work_dir().join(stacks::LOCAL)
}

/// How `up` starts a local cloud.
fn for_stacks() -> LocalStart {
    LocalStart {
        port: None,
        foreground: false,
        settle_ms: 250,
        no_limits: false,
        rates: false,
        latency: 0,
        propagation: 0,
        stale: 0,
        for_stacks: true,
    }
}
