//! The `api` section: a REST API in front of the streams and of the gateway, its stage, and a key for those who may call.

mod document;

use std::collections::BTreeSet;

use pinfra_aws::api_gateway::api_key::ApiKeyInputs;
use pinfra_aws::api_gateway::deployment::DeploymentInputs;
use pinfra_aws::api_gateway::rest_api::RestApiInputs;
use pinfra_aws::api_gateway::stage::StageInputs;
use pinfra_aws::api_gateway::usage_plan::{PlanStage, UsagePlanInputs};
use pinfra_aws::iam::role::RoleInputs;
use pinfra_aws::iam::role_policy::RolePolicyInputs;
use pinfra_aws::policy::{allow, normalise_policy, service_trust};
use pinfra_engine::state::Place;
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Node};
use serde_json::json;

use super::{Facts, client, names, node, streams, tags};
use crate::spec::{Api, ApiAuth, Stack};

/// Calls a second and at once over all callers. Half of what an account has by default (API Gateway quotas), so that
/// one stage cannot take all of it.
const THROTTLE_RATE: f64 = 5_000.0;
const THROTTLE_BURST: i32 = 2_500;

/// The address of the role that the API writes to the streams as.
fn role_address() -> Address {
    Address::new("iam/role", "api")
}

/// The address of what that role may do.
fn policy_address() -> Address {
    Address::new("iam/role_policy", "api")
}

/// The address of the REST API.
fn rest_api() -> Address {
    Address::new("api_gateway/rest_api", "api")
}

/// The address of the API key.
pub(super) fn key_address() -> Address {
    Address::new("api_gateway/api_key", "api")
}

/// The API with what it takes to call it.
pub(super) fn nodes(stack: &Stack, api: &Api, place: &Place, facts: &Facts) -> Vec<Node> {
    let document = document::document(stack, place, api, &Input::output(role_address(), "arn"));
    let gateway = stack.workers.as_ref().and_then(|workers| workers.gateway.as_ref());
    let port_from_env = gateway.is_some_and(|gateway| gateway.port.from_env);
    let mut nodes = vec![
        deployment(stack, api, document.hash()),
        stage(stack, api, facts),
        node(
            stack,
            rest_api(),
            &RestApiInputs {
                name: (*stack.name).clone(),
                description: format!("takes events for the stack {}", *stack.name),
                endpoint: "REGIONAL".to_owned(),
                document,
                tags: tags(stack, &rest_api()),
            },
            secrets(&[(api.auth.from_env || api.admin.from_env || port_from_env, "document")]),
            api.place,
        ),
    ];
    if stack.streams.is_some() {
        nodes.push(role(stack, api, place));
        nodes.push(policy(stack, api, place));
    }
    if *api.auth.get() == ApiAuth::Key {
        nodes.push(key(stack, api));
        nodes.push(usage_plan(stack, api));
    }
    nodes
}

fn role(stack: &Stack, api: &Api, place: &Place) -> Node {
    let inputs = RoleInputs {
        name: names::role(stack, "api", place),
        path: names::iam_path(stack),
        description: Some(format!("The API of the stack {}", *stack.name)),
        trust: normalise_policy(&service_trust("apigateway.amazonaws.com")),
        max_session_seconds: 3600,
        tags: tags(stack, &role_address()),
    };
    node(stack, role_address(), &inputs, BTreeSet::new(), api.place)
}

/// What callers of the API can do to the streams of the stack. The names of all streams of the account can be listed by
/// callers who are known.
fn policy(stack: &Stack, api: &Api, place: &Place) -> Node {
    let arns: Vec<String> = stack.tables.iter().map(|table| names::stream_arn(stack, &table.name, place)).collect();
    let mut actions = vec!["kinesis:DescribeStream", "kinesis:PutRecord", "kinesis:PutRecords"];
    if *api.admin.get() {
        actions.extend(["kinesis:CreateStream", "kinesis:DeleteStream"]);
    }
    let mut statements = vec![json!({"Effect": "Allow", "Action": actions, "Resource": arns})];
    if document::may_list(api) {
        // Lists have no resource ("Actions, resources, and condition keys for Amazon Kinesis Data Streams").
        statements.push(json!({"Effect": "Allow", "Action": "kinesis:ListStreams", "Resource": "*"}));
    }
    statements.extend(streams::may_use_key(stack, place, "kms:GenerateDataKey"));
    let inputs = RolePolicyInputs {
        role: Input::output(role_address(), "name"),
        name: "streams".to_owned(),
        policy: allow(&statements),
    };
    let key_from_env = stack.streams.as_ref().is_some_and(|streams| streams.encryption.from_env);
    let from_env = api.admin.from_env || api.auth.from_env || key_from_env;
    node(stack, policy_address(), &inputs, secrets(&[(from_env, "policy")]), api.place)
}

/// A deployment freezes an API that can be called, so it comes after what its role may do.
fn deployment(stack: &Stack, api: &Api, document_hash: String) -> Node {
    let inputs = DeploymentInputs { rest_api: Input::output(rest_api(), "id"), document_hash };
    let made = node(stack, deployment_address(), &inputs, BTreeSet::new(), api.place);
    Node { after: stack.streams.is_some().then(policy_address).into_iter().collect(), ..made }
}

fn stage(stack: &Stack, api: &Api, facts: &Facts) -> Node {
    let gateway = stack.workers.as_ref().is_some_and(|workers| workers.gateway.is_some());
    let variables = gateway.then(|| {
        let host = Input::output(client::address_address(), "public_ip");
        let secret = Input::Known(facts.gateway_secret.clone());
        [(document::HOST_VARIABLE.to_owned(), host), (document::SECRET_VARIABLE.to_owned(), secret)]
    });
    let secret_variable = format!("variables.{}", document::SECRET_VARIABLE);
    let inputs = StageInputs {
        rest_api: Input::output(rest_api(), "id"),
        deployment: Input::output(deployment_address(), "deployment_id"),
        name: api.stage.get().clone(),
        throttle_rate: Some(THROTTLE_RATE),
        throttle_burst: Some(THROTTLE_BURST),
        variables: variables.into_iter().flatten().collect(),
        tags: tags(stack, &stage_address()),
    };
    node(
        stack,
        stage_address(),
        &inputs,
        secrets(&[(api.stage.from_env, "name"), (gateway, &secret_variable)]),
        api.stage.place,
    )
}

fn key(stack: &Stack, api: &Api) -> Node {
    let inputs = ApiKeyInputs {
        name: (*stack.name).clone(),
        description: format!("lets events into the stack {}", *stack.name),
        enabled: true,
        tags: tags(stack, &key_address()),
    };
    node(stack, key_address(), &inputs, BTreeSet::new(), api.auth.place)
}

fn usage_plan(stack: &Stack, api: &Api) -> Node {
    let address = usage_plan_address();
    let inputs = UsagePlanInputs {
        name: (*stack.name).clone(),
        description: format!("who may send events to the stack {}", *stack.name),
        stages: vec![PlanStage {
            rest_api: Input::output(rest_api(), "id"),
            stage: Input::output(stage_address(), "name"),
        }],
        keys: vec![Input::output(key_address(), "id")],
        throttle: None,
        quota: None,
        tags: tags(stack, &address),
    };
    node(stack, address, &inputs, BTreeSet::new(), api.auth.place)
}

/// The address of the usage plan.
pub(super) fn usage_plan_address() -> Address {
    Address::new("api_gateway/usage_plan", "api")
}

fn deployment_address() -> Address {
    Address::new("api_gateway/deployment", "api")
}

pub(super) fn stage_address() -> Address {
    Address::new("api_gateway/stage", "api")
}

fn secrets(fields: &[(bool, &str)]) -> BTreeSet<String> {
    fields.iter().filter(|(secret, _)| *secret).map(|(_, field)| (*field).to_owned()).collect()
}
