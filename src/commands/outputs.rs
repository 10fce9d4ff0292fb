//! `pinfra outputs`: what programs need to know of a stack.

use pinfra_engine::State;
use serde_json::{Map, Value};

use super::context::Context;
use super::stacks::choose;
use super::{local, stacks};
use crate::report::{Failure, out};
use crate::spec::Target;

/// One output. A secret is printed only when it is asked for by name.
struct Output {
    name: String,
    value: String,
    secret: bool,
}

/// Prints the outputs of the stack that `given` names, or the one called `show`.
pub(super) fn run(context: &Context, given: Option<&str>, show: Option<&str>) -> Result<(), Failure> {
    let chosen = choose(context, given)?;
    let Some(state) = chosen.state.filter(|state| !state.resources.is_empty()) else {
        return Err(Failure::new(format!("the stack `{}` has no outputs, since nothing of it is there", chosen.name))
            .hint("`pinfra up` makes it"));
    };
    let Some(wanted) = show else { return tell(context, &state) };
    let outputs = of(context, &state);
    match outputs.iter().find(|output| output.name == wanted) {
        Some(output) => {
            out::data(&format!("{}\n", output.value))?;
            Ok(())
        }
        None => {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            Err(Failure::new(format!("the stack `{}` has no output `{wanted}`", state.stack))
                .hint(format!("it has {}", names.join(", "))))
        }
    }
}

/// Prints the outputs, secrets left out.
pub(super) fn tell(context: &Context, state: &State) -> Result<(), Failure> {
    let outputs = of(context, state);
    let shown = outputs.iter().filter(|output| !output.secret);
    let fields: Map<String, Value> = shown.map(|o| (o.name.clone(), Value::String(o.value.clone()))).collect();
    let value = Value::Object(Map::from_iter([("outputs".to_owned(), Value::Object(fields))]));
    context.result(&draw(context, state), "outputs", value)
}

/// The outputs as a table.
pub(super) fn draw(context: &Context, state: &State) -> String {
    let outputs = of(context, state);
    let width = outputs.iter().map(|output| output.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Output { name, value, secret } in &outputs {
        let value = if *secret {
            context.paint_out.faint(&format!("(secret: `pinfra outputs --show {name}`)"))
        } else {
            value.clone()
        };
        text.push_str(&format!("{name:width$}  {value}\n"));
    }
    text
}

fn of(context: &Context, state: &State) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut add = |name: String, value: String, secret| outputs.push(Output { name, value, secret });
    if let Some(place) = &state.place {
        add("region".to_owned(), place.region.clone(), false);
        if stacks::recorded_target(place) == Target::Local {
            for (name, value, secret) in local::outputs(context) {
                add(name, value, secret);
            }
        }
    }
    for (address, record) in &state.resources {
        let Some(name) = record.outputs.get("name").and_then(Value::as_str) else { continue };
        let output = match address.kind() {
            "s3/bucket" => "bucket".to_owned(),
            "kinesis/stream" => format!("stream_{}", address.name()),
            kind => format!("{}_{}", kind.replace('/', "_"), address.name()),
        };
        add(output, name.to_owned(), false);
    }
    outputs
}
