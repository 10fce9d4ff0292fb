//! `pinfra outputs`: what programs need to know of a stack.

use pinfra_aws::error::classify;
use pinfra_engine::{Address, State};
use serde_json::{Map, Value};

use super::context::Context;
use super::stacks::choose;
use super::{deployed, local, stacks};
use crate::report::{Failure, out};
use crate::spec::Target;

/// The output that has the key of the API.
const API_KEY: &str = "api_key";

/// One output. A secret is printed only when it is asked for by name.
struct Output {
    name: String,
    value: String,
    secret: bool,
}

/// Prints the outputs of the stack that `given` names, or the one called `show`.
pub(super) async fn run(context: &Context, given: Option<&str>, show: Option<&str>) -> Result<(), Failure> {
    let chosen = choose(context, given)?;
    let Some(state) = chosen.state.filter(|state| !state.resources.is_empty()) else {
        return Err(Failure::new(format!("the stack `{}` has no outputs, since nothing of it is there", chosen.name))
            .hint("`pinfra up` makes it"));
    };
    let Some(wanted) = show else { return tell(context, &state) };
    let outputs = of(context, &state);
    match outputs.iter().find(|output| output.name == wanted) {
        Some(output) if output.name == API_KEY => {
            let value = api_key_value(context, &state, &output.value).await?;
            Ok(out::data(&format!("{value}\n"))?)
        }
        Some(output) => Ok(out::data(&format!("{}\n", output.value))?),
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
        let output = |name: &str| record.outputs.get(name).and_then(Value::as_str).map(str::to_owned);
        let (name, value, secret) = match address.kind() {
            "s3/bucket" => ("bucket".to_owned(), output("name"), false),
            "kinesis/stream" => (format!("stream_{}", address.name()), output("name"), false),
            "api_gateway/stage" => ("invoke_url".to_owned(), output("invoke_url"), false),
            // What is recorded is its id. The value is asked for when it is shown, and kept nowhere.
            "api_gateway/api_key" => (API_KEY.to_owned(), output("id"), true),
            "ec2/instance" => ("client_instance".to_owned(), output("id"), false),
            "msk/topic" => (format!("topic_{}", address.name()), output("name"), false),
            "msk_connect/connector" => ("connector".to_owned(), output("name"), false),
            _ => continue,
        };
        let Some(value) = value else { continue };
        add(name, value, secret);
    }
    for (name, value) in kafka(state) {
        add(name.to_owned(), value, false);
    }
    outputs
}

/// Where the brokers and the gateway are.
fn kafka(state: &State) -> Vec<(&'static str, String)> {
    let record = |kind: &str, name: &str| state.resources.get(&Address::new(kind, name));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let cluster = record("msk/cluster", "cluster").map(|record| &record.outputs);
    let gateway = record("worker/process", "gateway").and_then(|record| record.inputs.get("config"));
    let mut found = Vec::new();
    // Brokers that ask for nothing: for people and their tools, where there are any.
    found.extend(text(cluster.and_then(|cluster| cluster.get("bootstrap"))).map(|it| ("bootstrap_servers", it)));
    // A cluster that was there before is no resource of the stack; its gateway knows it.
    let iam = text(cluster.and_then(|cluster| cluster.get("bootstrap_iam")))
        .or_else(|| text(gateway.and_then(|config| config.get("bootstrap"))));
    found.extend(iam.map(|servers| ("bootstrap_iam", servers)));
    let host = record("ec2/elastic_ip", "client").and_then(|record| text(record.outputs.get("public_ip")));
    let port = gateway.and_then(|config| config.get("port")).and_then(Value::as_u64);
    found.extend(host.zip(port).map(|(host, port)| ("gateway_address", format!("{host}:{port}"))));
    found
}

/// The value of an API key, from API Gateway, which alone has it.
async fn api_key_value(context: &Context, state: &State, id: &str) -> Result<String, Failure> {
    let Some(place) = &state.place else { return Err(Failure::new("it is not recorded where the stack lives")) };
    let clients = deployed::connect(context, state, place).await?;
    let answer = clients.apigateway.get_api_key().api_key(id).include_value(true).send().await;
    let answer = answer.map_err(|error| Failure::from(classify("apigateway:GetApiKey", &error)))?;
    answer.value.ok_or_else(|| Failure::new("API Gateway gave the key without its value"))
}
