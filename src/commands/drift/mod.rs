//! `pinfra drift`: what the cloud holds otherwise than the stack file, or state, says. It cannot change anything there; with
//! `--accept` it changes the stack file.

mod accept;
mod ignore;
mod kept;
mod look;
mod tell;
mod write;

use time::OffsetDateTime;

use super::context::Context;
use crate::cli::drift::DriftArgs;
use crate::report::Failure;
use crate::report::drift::Report;
use crate::spec;
use look::Looked;

/// Tells what differs, or takes it over. Returns whether anything is left that differs.
pub(super) async fn run(context: &Context, arguments: &DriftArgs) -> Result<bool, Failure> {
    let reports = tell::Reports::asked(&arguments.formats, arguments.output.as_deref(), context.global.json)?;
    let rules = arguments.ignore.iter().map(|file| ignore::read(file)).collect::<Result<Vec<_>, _>>()?;
    let looked = Box::pin(look::look(context, arguments.stack.as_deref())).await?;
    if !arguments.accept.is_empty() {
        accept_as_asked(context, arguments, &looked)?;
        context.tell_requests(&looked.clients)?;
        return Ok(false);
    }
    let Looked { name, file, addresses, drift, recorded_otherwise, clients, .. } = looked;
    let sifted = ignore::sift(&rules, drift, &addresses, OffsetDateTime::now_utc().date());
    for warnings in &sifted.warnings {
        context.warn(warnings)?;
    }
    let file = file.map(|file| file.source.path.display().to_string());
    let report = Report {
        stack: &name,
        file: file.as_deref(),
        addresses: &addresses,
        drift: &sifted.drift,
        ignored: &sifted.ignored,
    };
    reports.write(context, &report)?;
    if let Some(file) =
        report.file.filter(|_| recorded_otherwise && report.drift.is_empty() && report.ignored.is_empty())
    {
        context.tell(&format!(
            "the stack file and the cloud agree, and something else is recorded: `pinfra up {file}` records it"
        ));
    }
    context.tell_requests(&clients)?;
    Ok(!sifted.drift.is_empty())
}

fn accept_as_asked(context: &Context, arguments: &DriftArgs, looked: &Looked) -> Result<(), Failure> {
    let (Some(stack), Some(facts)) = (&looked.file, &looked.facts) else {
        return Err(Failure::new("`--accept` needs the stack file that it is to change")
            .hint("name the file instead of the stack: `pinfra drift STACK.yaml --accept ADDRESS`"));
    };
    let ground = accept::Ground {
        stack,
        place: &looked.place,
        facts,
        observed: &looked.observed,
        drift: &looked.drift,
        environment: &spec::environment_variable,
    };
    accept::run(context, &ground, &arguments.accept, arguments.dry_run)
}
