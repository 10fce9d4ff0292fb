//! The kinds of API Gateway.

use std::collections::{BTreeMap, BTreeSet};

use pinfra_aws::api_gateway::api_key::{ApiKey, ApiKeyInputs};
use pinfra_aws::api_gateway::deployment::{Deployment, DeploymentInputs};
use pinfra_aws::api_gateway::document::{
    Authorization, Document, Integration, IntegrationResponse, Method, Response, TIMEOUT_MILLIS, Validator,
};
use pinfra_aws::api_gateway::rest_api::{RestApi, RestApiInputs};
use pinfra_aws::api_gateway::stage::{Stage, StageInputs};
use pinfra_aws::api_gateway::usage_plan::{PlanQuota, PlanStage, PlanThrottle, UsagePlan, UsagePlanInputs};
use pinfra_aws::tags::{Tags, ownership};
use pinfra_aws::{Clients, catalog, claims};
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Call, ErrorKind, Owner, Resource};
use serde_json::{Value, json};

use super::{cloud, deleted, made, unique, updated};

/// One sample of each kind, for `every_input_is_listed`.
pub(super) fn samples() -> Vec<(&'static str, Value)> {
    let api = Input::Known("a".to_owned());
    vec![
        ("api_gateway/rest_api", serde_json::to_value(api_inputs("a")).unwrap()),
        ("api_gateway/deployment", serde_json::to_value(deployment_inputs(&api, "1")).unwrap()),
        ("api_gateway/stage", serde_json::to_value(stage_inputs("a", &api, "d")).unwrap()),
        ("api_gateway/api_key", serde_json::to_value(key_inputs("a")).unwrap()),
        ("api_gateway/usage_plan", serde_json::to_value(plan_inputs("a", &api, "k")).unwrap()),
    ]
}

fn call(kind: &str) -> Call {
    Call::silent(Address::new(kind, "api"))
}

fn owned(stack: &str, kind: &str) -> Tags {
    ownership(stack, &Address::new(kind, "api"), &Tags::new())
}

pub(crate) fn api_inputs(name: &str) -> RestApiInputs {
    RestApiInputs {
        name: name.to_owned(),
        description: "takes events".to_owned(),
        endpoint: "REGIONAL".to_owned(),
        document: document(),
        tags: owned(name, "api_gateway/rest_api"),
    }
}

/// Everything that a document can say.
fn document() -> Document {
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let mock = Integration {
        kind: "MOCK".to_owned(),
        templates: text(&[("application/json", r#"{"statusCode": 200}"#)]),
        passthrough: "WHEN_NO_TEMPLATES".to_owned(),
        timeout_millis: TIMEOUT_MILLIS,
        responses: BTreeMap::from([("200".to_owned(), IntegrationResponse::default())]),
        ..Integration::default()
    };
    let answers = BTreeMap::from([("200".to_owned(), Response::default())]);
    let put = Integration {
        kind: "AWS".to_owned(),
        uri: Some("arn:aws:apigateway:us-east-1:kinesis:action/PutRecord".to_owned()),
        http_method: Some("POST".to_owned()),
        credentials: Some(Input::Known("arn:aws:iam::000000000000:role/writer".to_owned())),
        parameters: text(&[("integration.request.header.Content-Type", "'application/x-amz-json-1.1'")]),
        templates: text(&[("application/json", "{\"StreamName\": \"$input.params('name')\"}")]),
        passthrough: "WHEN_NO_TEMPLATES".to_owned(),
        content_handling: None,
        timeout_millis: 5000,
        responses: BTreeMap::from([
            (
                "200".to_owned(),
                IntegrationResponse {
                    parameters: text(&[("method.response.header.X-Kind", "'record'")]),
                    templates: text(&[("application/json", "$input.body")]),
                    ..IntegrationResponse::default()
                },
            ),
            (
                "400".to_owned(),
                IntegrationResponse { selection_pattern: Some("4\\d{2}".to_owned()), ..IntegrationResponse::default() },
            ),
        ]),
    };
    let write = Method {
        authorization: Authorization::None,
        api_key_required: true,
        validator: Some("all".to_owned()),
        parameters: BTreeMap::from([
            ("method.request.path.name".to_owned(), true),
            ("method.request.querystring.limit".to_owned(), false),
        ]),
        models: text(&[("application/json", "Record")]),
        responses: BTreeMap::from([
            (
                "200".to_owned(),
                Response {
                    headers: BTreeSet::from(["X-Kind".to_owned()]),
                    models: text(&[("application/json", "Empty")]),
                },
            ),
            ("400".to_owned(), Response::default()),
        ]),
        integration: put,
    };
    let health = Method { responses: answers.clone(), integration: mock.clone(), ..Method::default() };
    let signed =
        Method { authorization: Authorization::Iam, responses: answers, integration: mock, ..Method::default() };
    let methods = |verb: &str, method: Method| BTreeMap::from([(verb.to_owned(), method)]);
    Document {
        binary_media_types: BTreeSet::from(["image/png".to_owned()]),
        validators: BTreeMap::from([("all".to_owned(), Validator { body: true, parameters: true })]),
        models: BTreeMap::from([("Record".to_owned(), json!({"type": "object", "required": ["Data"]}))]),
        paths: BTreeMap::from([
            ("/".to_owned(), methods("GET", health)),
            ("/things/{name}/record".to_owned(), methods("PUT", write)),
            ("/any/{proxy+}".to_owned(), methods("ANY", signed)),
        ]),
    }
}

fn deployment_inputs(api: &Input<String>, hash: &str) -> DeploymentInputs {
    DeploymentInputs { rest_api: api.clone(), document_hash: hash.to_owned() }
}

fn stage_inputs(stack: &str, api: &Input<String>, deployment: &str) -> StageInputs {
    StageInputs {
        rest_api: api.clone(),
        deployment: Input::Known(deployment.to_owned()),
        name: "prod".to_owned(),
        throttle_rate: Some(100.0),
        throttle_burst: Some(200),
        variables: BTreeMap::from([("host".to_owned(), Input::Known("example.org".to_owned()))]),
        tags: owned(stack, "api_gateway/stage"),
    }
}

fn key_inputs(name: &str) -> ApiKeyInputs {
    ApiKeyInputs {
        name: name.to_owned(),
        description: "for producers".to_owned(),
        enabled: true,
        tags: owned(name, "api_gateway/api_key"),
    }
}

fn plan_inputs(name: &str, api: &Input<String>, key: &str) -> UsagePlanInputs {
    UsagePlanInputs {
        name: name.to_owned(),
        description: "for producers".to_owned(),
        stages: vec![PlanStage { rest_api: api.clone(), stage: Input::Known("prod".to_owned()) }],
        keys: vec![Input::Known(key.to_owned())],
        throttle: Some(PlanThrottle { rate: 50.5, burst: 100 }),
        quota: Some(PlanQuota { limit: 1000, period: "DAY".to_owned() }),
        tags: owned(name, "api_gateway/usage_plan"),
    }
}

async fn deployment_id(clients: &Clients, api: &str) -> String {
    Deployment::new(clients).read(api).await.unwrap().unwrap().outputs.deployment_id
}

#[tokio::test]
async fn an_api_lives_through_every_change() {
    let cloud = cloud().await;
    let (kind, call) = (RestApi::new(&cloud.clients), call("api_gateway/rest_api"));
    let mut inputs = api_inputs(&unique("api"));
    let id = made(&kind, &call, &inputs).await;
    inputs.document.paths.remove("/any/{proxy+}");
    inputs.document.validators.insert("body".to_owned(), Validator { body: true, parameters: false });
    inputs.document.models.insert("Record".to_owned(), json!({"type": "object"}));
    inputs.document.binary_media_types.clear();
    let methods = inputs.document.paths.get_mut("/things/{name}/record").unwrap();
    let method = methods.get_mut("PUT").unwrap();
    method.validator = Some("body".to_owned());
    method.api_key_required = false;
    method.integration.timeout_millis = TIMEOUT_MILLIS;
    updated(&kind, &call, &id, &inputs).await;
    inputs.name = format!("{}-2", inputs.name);
    inputs.description = "takes all events".to_owned();
    inputs.endpoint = "EDGE".to_owned();
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call, &id, &inputs).await;
    inputs.tags.remove("team");
    updated(&kind, &call, &id, &inputs).await;
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn an_api_that_an_interrupted_run_left_is_found_by_its_tags_among_others_of_its_name() {
    let cloud = cloud().await;
    let (kind, call) = (RestApi::new(&cloud.clients), call("api_gateway/rest_api"));
    let inputs = api_inputs(&unique("found"));
    let other = RestApiInputs { tags: owned("another", "api_gateway/rest_api"), ..inputs.clone() };
    let theirs = kind.create(&call, &other).await.unwrap();
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = kind.create(&call, &inputs).await.unwrap();
    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((&found.id, found.owner), (&id, Owner::Ours));
    kind.settle(&call, &id, &inputs).await.unwrap();
    assert_eq!(kind.read(&id).await.unwrap().unwrap().inputs, inputs);
    deleted(&kind, &call, &id).await;
    deleted(&kind, &call, &theirs).await;
}

#[tokio::test]
async fn an_api_is_read_in_four_calls_however_large_it_is() {
    let cloud = cloud().await;
    let (kind, call) = (RestApi::new(&cloud.clients), call("api_gateway/rest_api"));
    let mut inputs = api_inputs(&unique("large"));
    let health = inputs.document.paths["/"].clone();
    for n in 0..60 {
        inputs.document.paths.insert(format!("/more/{n}"), health.clone());
    }
    let id = made(&kind, &call, &inputs).await;
    let calls = || -> u64 { cloud.clients.meter.counts().values().sum() };
    let before = calls();
    assert_eq!(kind.read(&id).await.unwrap().unwrap().inputs, inputs);
    assert_eq!(calls() - before, 4);
    assert_eq!(cloud.clients.meter.counts()["API Gateway.PutRestApi"], 1);
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_changed_document_is_deployed_once_served_by_the_stage_and_the_old_deployment_is_collected() {
    let cloud = cloud().await;
    let stack = unique("deploy");
    let clients = &cloud.clients;
    let (apis, deployments, stages) = (RestApi::new(clients), Deployment::new(clients), Stage::new(clients));
    let api = made(&apis, &call("api_gateway/rest_api"), &api_inputs(&stack)).await;
    let known = Input::Known(api.clone());
    let on_deployment = call("api_gateway/deployment");

    let first = deployment_inputs(&known, "a1");
    assert_eq!(deployments.find(&first).await.unwrap(), None);
    let id = made(&deployments, &on_deployment, &first).await;
    assert_eq!(deployments.find(&first).await.unwrap().unwrap().owner, Owner::Ours);
    // The answer to a create was lost: the same again makes no second one.
    deployments.create(&on_deployment, &first).await.unwrap();
    let listed = || clients.apigateway.get_deployments().rest_api_id(&api).send();
    assert_eq!(listed().await.unwrap().items.unwrap().len(), 1);

    let on_stage = call("api_gateway/stage");
    let mut stage = stage_inputs(&stack, &known, &deployment_id(clients, &api).await);
    let stage_id = made(&stages, &on_stage, &stage).await;
    assert_eq!(stages.create(&on_stage, &stage).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    assert_eq!(stages.find(&stage).await.unwrap().unwrap().owner, Owner::Ours);
    let error = deployments.delete(&on_deployment, &id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Blocked, "{error}");

    for hash in ["b2", "a1", "c3"] {
        updated(&deployments, &on_deployment, &id, &deployment_inputs(&known, hash)).await;
        stage.deployment = Input::Known(deployment_id(clients, &api).await);
        updated(&stages, &on_stage, &stage_id, &stage).await;
        assert_eq!(listed().await.unwrap().items.unwrap().len(), 1, "old deployments are collected");
    }
    stage.throttle_rate = None;
    stage.throttle_burst = None;
    stage.variables = BTreeMap::from([("port".to_owned(), Input::Known("8082".to_owned()))]);
    stage.tags.insert("team".to_owned(), "data".to_owned());
    updated(&stages, &on_stage, &stage_id, &stage).await;
    let live = stages.read(&stage_id).await.unwrap().unwrap();
    assert!(live.outputs.invoke_url.ends_with("/prod"), "{}", live.outputs.invoke_url);
    assert!(live.outputs.invoke_url.contains(&api), "{}", live.outputs.invoke_url);

    deleted(&stages, &on_stage, &stage_id).await;
    deleted(&deployments, &on_deployment, &id).await;
    deleted(&apis, &call("api_gateway/rest_api"), &api).await;
    // What hangs on an API is gone with it.
    deleted(&stages, &on_stage, &stage_id).await;
    deleted(&deployments, &on_deployment, &id).await;
}

#[tokio::test]
async fn keys_and_plans_live_through_every_change_and_no_value_is_told() {
    let cloud = cloud().await;
    let stack = unique("plan");
    let clients = &cloud.clients;
    let (apis, keys, plans) = (RestApi::new(clients), ApiKey::new(clients), UsagePlan::new(clients));
    let api = made(&apis, &call("api_gateway/rest_api"), &api_inputs(&stack)).await;
    let known = Input::Known(api.clone());
    made(&Deployment::new(clients), &call("api_gateway/deployment"), &deployment_inputs(&known, "a1")).await;
    let stage = stage_inputs(&stack, &known, &deployment_id(clients, &api).await);
    made(&Stage::new(clients), &call("api_gateway/stage"), &stage).await;

    let on_key = call("api_gateway/api_key");
    let mut key = key_inputs(&stack);
    assert_eq!(keys.find(&key).await.unwrap(), None);
    let key_id = made(&keys, &on_key, &key).await;
    assert_eq!(keys.find(&key).await.unwrap().unwrap().id, key_id);
    let value =
        clients.apigateway.get_api_key().api_key(&key_id).include_value(true).send().await.unwrap().value.unwrap();
    let told = keys.read(&key_id).await.unwrap().unwrap();
    assert!(value.len() >= 20);
    assert!(!serde_json::to_string(&(&told.inputs, &told.outputs)).unwrap().contains(&value));
    key.enabled = false;
    key.description = "for nobody".to_owned();
    key.tags.insert("team".to_owned(), "data".to_owned());
    updated(&keys, &on_key, &key_id, &key).await;
    let second = made(&keys, &on_key, &key_inputs(&format!("{stack}-2"))).await;

    let on_plan = call("api_gateway/usage_plan");
    let mut plan = plan_inputs(&stack, &known, &key_id);
    let plan_id = made(&plans, &on_plan, &plan).await;
    assert_eq!(plans.find(&plan).await.unwrap().unwrap().id, plan_id);
    plan.keys = vec![Input::Known(second.clone())];
    plan.throttle = Some(PlanThrottle { rate: 10.0, burst: 20 });
    plan.quota = Some(PlanQuota { limit: 5, period: "MONTH".to_owned() });
    plan.name = format!("{stack}-b");
    updated(&plans, &on_plan, &plan_id, &plan).await;
    plan.throttle = None;
    plan.quota = None;
    plan.keys.clear();
    updated(&plans, &on_plan, &plan_id, &plan).await;
    let owner = claims::owned_by(clients, &catalog(clients), &stack).await.unwrap().found;
    let found: Vec<String> = owner.iter().map(|(address, id)| format!("{address} {id}")).collect();
    let expected = [
        format!("api_gateway/api_key.api {key_id}"),
        format!("api_gateway/rest_api.api {api}"),
        format!("api_gateway/stage.api {api}/prod"),
        format!("api_gateway/usage_plan.api {plan_id}"),
    ];
    assert_eq!(BTreeSet::from_iter(found), BTreeSet::from_iter(expected));
    deleted(&plans, &on_plan, &plan_id).await;
    deleted(&keys, &on_key, &key_id).await;
    deleted(&keys, &on_key, &second).await;
    deleted(&apis, &call("api_gateway/rest_api"), &api).await;
}
