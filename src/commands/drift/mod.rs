//! `pinfra drift`: what the cloud holds otherwise than the stack file, or state, says. It cannot change anything.

mod kept;
mod look;

use pinfra_engine::Finding;
use serde_json::json;

use super::context::Context;
use crate::cli::drift::DriftArgs;
use crate::report::{Failure, count};
use look::Looked;

/// Tells what differs. Returns whether anything does.
pub(super) async fn run(context: &Context, arguments: &DriftArgs) -> Result<bool, Failure> {
    let looked = look::look(context, arguments.stack.as_deref()).await?;
    tell(context, &looked)?;
    context.tell_requests(&looked.clients)?;
    Ok(!looked.drift.is_empty())
}

fn tell(context: &Context, looked: &Looked) -> Result<(), Failure> {
    let drift = &looked.drift;
    let mut text = String::new();
    for finding in &drift.findings {
        text.push_str(&line(finding));
    }
    text.push_str(&match drift.findings.len() {
        0 => format!("no drift: {} compared\n", count(drift.compared, "resource")),
        n => format!("drift: {} in {} compared\n", count(n, "difference"), count(drift.compared, "resource")),
    });
    let value = json!({"stack": looked.name, "compared": drift.compared, "findings": drift.findings});
    context.result(&text, "drift", value)
}

fn line(finding: &Finding) -> String {
    let field = finding.field.as_ref().map(|field| format!("#{field}")).unwrap_or_default();
    format!("{}  {}{field}: {}\n", finding.what.name(), finding.address, finding.detail)
}
