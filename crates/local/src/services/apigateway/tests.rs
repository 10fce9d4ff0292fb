//! The control plane operation by operation, without the wire.

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ApiGateway, answer};
use crate::clock::Clock;
use crate::services::{Call, Service};
use crate::wire::error::ApiError;

const REGION: &str = "us-east-1";

struct Gateway {
    apis: ApiGateway,
    folder: TempDir,
}

impl Gateway {
    fn new() -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        Gateway { apis: ApiGateway::open(folder.path(), Clock::default()).unwrap(), folder }
    }

    /// The same after the process has gone and come back.
    fn restarted(self) -> Gateway {
        let Gateway { apis, folder } = self;
        drop(apis);
        Gateway { apis: ApiGateway::open(folder.path(), Clock::default()).unwrap(), folder }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a call reads best with its input in place")]
    fn call(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let call = Call {
            operation: operation.to_owned(),
            region: REGION.to_owned(),
            account: crate::credentials::ACCOUNT.to_owned(),
            principal: "arn:aws:iam::000000000000:user/local".to_owned(),
            access_key: "AKIA".to_owned(),
            request_id: "r".to_owned(),
            fails: None,
        };
        answer(&self.apis.desk, &call, &input)
    }

    fn does(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).unwrap()
    }

    #[track_caller]
    fn refuses(&self, operation: &str, input: Value, code: &str, message: &str) {
        let error = self.call(operation, input).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(message), "{error}");
    }

    /// An API and the id of its root.
    fn api(&self) -> (String, String) {
        let api = self.does("CreateRestApi", json!({"name": "pins"}));
        (text(&api, "id"), text(&api, "rootResourceId"))
    }

    /// An API with one method at its root that is deployed as `prod`.
    fn deployed(&self) -> (String, String) {
        let (api, root) = self.api();
        let method = json!({"restApiId": api, "resourceId": root, "httpMethod": "GET", "authorizationType": "NONE"});
        self.does("PutMethod", method);
        let integration = json!({"restApiId": api, "resourceId": root, "httpMethod": "GET", "type": "MOCK"});
        self.does("PutIntegration", integration);
        self.does("CreateDeployment", json!({"restApiId": api, "stageName": "prod"}));
        (api, root)
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap().to_owned()
}

fn patches(operations: &[(&str, &str, &str)]) -> Value {
    operations.iter().map(|(op, path, value)| json!({"op": op, "path": path, "value": value})).collect()
}

#[test]
fn a_tree_of_resources_has_no_two_of_one_name() {
    let gateway = Gateway::new();
    let (api, root) = gateway.api();
    let create = |parent: &str, part: &str| json!({"restApiId": api, "parentId": parent, "pathPart": part});
    let pets = text(&gateway.does("CreateResource", create(&root, "pets")), "id");
    let pet = gateway.does("CreateResource", create(&pets, "{id}"));
    assert_eq!(pet["path"], "/pets/{id}");
    gateway.does("CreateResource", create(&root, "{proxy+}"));
    gateway.refuses("CreateResource", create(&root, "pets"), "ConflictException", "already has this name: pets");
    gateway.refuses(
        "CreateResource",
        create(&pets, "{other}"),
        "BadRequestException",
        "already has a variable path part",
    );
    gateway.refuses("CreateResource", create(&root, "a b"), "BadRequestException", "path part only allow");
    gateway.refuses("CreateResource", create("none", "a"), "NotFoundException", "Invalid Resource identifier");
    let proxy = gateway.does("GetResources", json!({"restApiId": api}));
    let proxy = proxy["items"].as_array().unwrap().iter().find(|item| item["path"] == "/{proxy+}").unwrap().clone();
    let below = create(proxy["id"].as_str().unwrap(), "a");
    gateway.refuses("CreateResource", below, "BadRequestException", "greedy path variable: /{proxy+}");

    let renamed = json!({"restApiId": api, "resourceId": pets,
        "patchOperations": patches(&[("replace", "/pathPart", "animals")])});
    gateway.does("UpdateResource", renamed);
    let moved = gateway.does("GetResource", json!({"restApiId": api, "resourceId": pet["id"]}));
    assert_eq!(moved["path"], "/animals/{id}");
    gateway.does("DeleteResource", json!({"restApiId": api, "resourceId": pets}));
    let gone = json!({"restApiId": api, "resourceId": pet["id"]});
    gateway.refuses("GetResource", gone, "NotFoundException", "Invalid Resource identifier");
}

#[test]
fn only_a_complete_api_is_deployed_and_a_served_deployment_stays() {
    let gateway = Gateway::new();
    let (api, root) = gateway.api();
    let deploy = || json!({"restApiId": api});
    gateway.refuses("CreateDeployment", deploy(), "BadRequestException", "The REST API doesn't contain any methods");
    let method = json!({"restApiId": api, "resourceId": root, "httpMethod": "GET", "authorizationType": "NONE"});
    gateway.does("PutMethod", method.clone());
    gateway.refuses("PutMethod", method, "ConflictException", "Method already exists for this resource");
    gateway.refuses("CreateDeployment", deploy(), "BadRequestException", "No integration defined for method");
    let mock = json!({"restApiId": api, "resourceId": root, "httpMethod": "GET", "type": "MOCK"});
    gateway.does("PutIntegration", mock);
    let first = gateway.does("CreateDeployment", deploy());
    let stage = json!({"restApiId": api, "stageName": "prod", "deploymentId": first["id"]});
    gateway.does("CreateStage", stage.clone());
    gateway.refuses("CreateStage", stage, "ConflictException", "Stage already exists");
    let delete = json!({"restApiId": api, "deploymentId": first["id"]});
    let served = "Active stages pointing to this deployment must be moved or deleted";
    gateway.refuses("DeleteDeployment", delete.clone(), "BadRequestException", served);
    let second = gateway.does("CreateDeployment", deploy());
    let moved = json!({"restApiId": api, "stageName": "prod",
        "patchOperations": patches(&[("replace", "/deploymentId", &text(&second, "id"))])});
    gateway.does("UpdateStage", moved);
    gateway.does("DeleteDeployment", delete);
}

#[test]
fn a_stage_serves_what_was_deployed_and_not_what_was_changed_since() {
    let gateway = Gateway::new();
    let (api, root) = gateway.deployed();
    let methods = |gateway: &Gateway| -> Vec<String> {
        let deployed = gateway.apis.deployed(&api, "prod").unwrap();
        let verbs = deployed.resources.iter().filter_map(|resource| resource["resourceMethods"].as_object());
        verbs.flat_map(|verbs| verbs.keys().cloned()).collect()
    };
    gateway.does("DeleteMethod", json!({"restApiId": api, "resourceId": root, "httpMethod": "GET"}));
    let post = json!({"restApiId": api, "resourceId": root, "httpMethod": "POST", "authorizationType": "NONE"});
    gateway.does("PutMethod", post);
    assert_eq!(methods(&gateway), ["GET"]);
    let gateway = gateway.restarted();
    assert_eq!(methods(&gateway), ["GET"]);
    let mock = json!({"restApiId": api, "resourceId": root, "httpMethod": "POST", "type": "MOCK"});
    gateway.does("PutIntegration", mock);
    gateway.does("CreateDeployment", json!({"restApiId": api, "stageName": "prod"}));
    assert_eq!(methods(&gateway), ["POST"]);
    assert!(gateway.apis.deployed(&api, "other").is_none());
    gateway.does("DeleteRestApi", json!({"restApiId": api}));
    assert!(gateway.apis.deployed(&api, "prod").is_none());
    let gateway = gateway.restarted();
    gateway.refuses("GetRestApi", json!({"restApiId": api}), "NotFoundException", "Invalid API identifier");
}

#[test]
fn settings_of_methods_are_patched_by_path() {
    let gateway = Gateway::new();
    let (api, _) = gateway.deployed();
    let update = |operations: &[(&str, &str, &str)]| json!({"restApiId": api, "stageName": "prod", "patchOperations": patches(operations)});
    let stage = gateway.does(
        "UpdateStage",
        update(&[
            ("replace", "/*/*/throttling/rateLimit", "12.5"),
            ("replace", "/~1pets~1{id}/GET/throttling/burstLimit", "7"),
            ("replace", "/variables/host", "example.org"),
        ]),
    );
    assert_eq!(stage["methodSettings"]["*/*"]["throttlingRateLimit"], 12.5);
    assert_eq!(stage["methodSettings"]["~1pets~1{id}/GET"]["throttlingBurstLimit"], 7);
    assert_eq!(stage["variables"], json!({"host": "example.org"}));
    let stage = gateway.does("UpdateStage", update(&[("remove", "/*/*", ""), ("remove", "/variables/host", "")]));
    assert!(stage["methodSettings"]["*/*"].is_null());
    assert_eq!(stage["variables"], json!({}));
    let logs = update(&[("replace", "/*/*/logging/loglevel", "INFO")]);
    let no_role = "CloudWatch Logs role ARN must be set in account settings to enable logging";
    gateway.refuses("UpdateStage", logs.clone(), "BadRequestException", no_role);
    let role = patches(&[("replace", "/cloudwatchRoleArn", "arn:aws:iam::000000000000:role/logs")]);
    gateway.does("UpdateAccount", json!({"patchOperations": role}));
    gateway.does("UpdateStage", logs);
    let absent = update(&[("replace", "/*/*/caching/enabled", "true")]);
    gateway.refuses("UpdateStage", absent, "BadRequestException", "the local cloud does not have cache clusters");
    gateway.refuses(
        "UpdateStage",
        update(&[("replace", "/nothing", "x")]),
        "BadRequestException",
        "Invalid patch path",
    );
}

#[test]
fn a_key_opens_the_stages_of_its_plan_and_its_value_is_shown_only_when_asked_for() {
    let gateway = Gateway::new();
    let (api, _) = gateway.deployed();
    let key = gateway.does("CreateApiKey", json!({"name": "k", "enabled": true}));
    let value = text(&key, "value");
    assert!(value.len() >= 20);
    assert!(gateway.does("GetApiKey", json!({"apiKey": key["id"]}))["value"].is_null());
    assert!(gateway.does("GetApiKeys", json!({}))["items"][0]["value"].is_null());
    let shown = gateway.does("GetApiKey", json!({"apiKey": key["id"], "includeValue": true}));
    assert_eq!(shown["value"], value.as_str());
    gateway.refuses("CreateApiKey", json!({"value": "short"}), "BadRequestException", "at least 20 characters");
    gateway.refuses("CreateApiKey", json!({"value": value}), "ConflictException", "API Key already exists");

    assert_eq!(gateway.apis.key(&value, &api, "prod"), None);
    let plan = gateway.does(
        "CreateUsagePlan",
        json!({"name": "p", "apiStages": [{"apiId": api, "stage": "prod"}],
            "throttle": {"rateLimit": 5.0, "burstLimit": 10}, "quota": {"limit": 3, "period": "DAY"}}),
    );
    let on = json!({"usagePlanId": plan["id"], "keyId": key["id"], "keyType": "API_KEY"});
    gateway.does("CreateUsagePlanKey", on.clone());
    gateway.refuses("CreateUsagePlanKey", on, "ConflictException", "already has the API Key");
    let patch = patches(&[("add", &format!("/apiStages/{api}:prod/throttle/~1pets/GET/rateLimit"), "2")]);
    gateway.does("UpdateUsagePlan", json!({"usagePlanId": plan["id"], "patchOperations": patch}));
    let gateway = gateway.restarted();
    let used = gateway.apis.key(&value, &api, "prod").unwrap();
    assert!(used.enabled);
    assert_eq!(used.throttle.unwrap().burst, 10);
    assert_eq!(used.method_throttles.keys().collect::<Vec<_>>(), ["/pets/GET"]);
    assert_eq!(used.quota.unwrap().limit, 3);
    assert_eq!(gateway.apis.key(&value, &api, "other"), None);

    let second = gateway.does("CreateUsagePlan", json!({"name": "q", "apiStages": [{"apiId": api, "stage": "prod"}]}));
    let twice = json!({"usagePlanId": second["id"], "keyId": key["id"], "keyType": "API_KEY"});
    gateway.refuses("CreateUsagePlanKey", twice, "ConflictException", "already has it");
    let delete = json!({"usagePlanId": plan["id"]});
    gateway.refuses("DeleteUsagePlan", delete.clone(), "BadRequestException", "API stages associated");
    let off = patches(&[("replace", "/enabled", "false")]);
    gateway.does("UpdateApiKey", json!({"apiKey": key["id"], "patchOperations": off}));
    assert!(!gateway.apis.key(&value, &api, "prod").unwrap().enabled);
    gateway.does("DeleteApiKey", json!({"apiKey": key["id"]}));
    assert_eq!(gateway.apis.key(&value, &api, "prod"), None);
    gateway.does("DeleteRestApi", json!({"restApiId": api}));
    gateway.does("DeleteUsagePlan", delete);
}

#[test]
fn lists_come_in_pages() {
    let gateway = Gateway::new();
    let made: Vec<String> = (0..30).map(|_| gateway.api().0).collect();
    let mut found = Vec::new();
    let mut input = json!({"limit": 7});
    loop {
        let page = gateway.does("GetRestApis", input.clone());
        found.extend(page["items"].as_array().unwrap().iter().map(|api| text(api, "id")));
        if page["position"].is_null() {
            break;
        }
        input["position"] = page["position"].clone();
    }
    let mut made = made;
    made.sort();
    assert_eq!(found, made);
}

#[test]
fn everything_with_tags_is_listed_by_arn_in_its_region() {
    let gateway = Gateway::new();
    let (api, _) = gateway.deployed();
    let tag = |arn: &str| {
        gateway.does("TagResource", json!({"resourceArn": arn, "tags": {"team": "data"}}));
        gateway.does("GetTags", json!({"resourceArn": arn}))["tags"].clone()
    };
    let api_arn = format!("arn:aws:apigateway:{REGION}::/restapis/{api}");
    let stage_arn = format!("{api_arn}/stages/prod");
    assert_eq!(tag(&api_arn), json!({"team": "data"}));
    assert_eq!(tag(&stage_arn), json!({"team": "data"}));
    let arns: Vec<String> = gateway.apis.tagged(REGION).into_iter().map(|resource| resource.arn).collect();
    assert_eq!(arns, [api_arn.clone(), stage_arn]);
    assert!(gateway.apis.tagged("eu-west-1").is_empty());
    gateway.does("UntagResource", json!({"resourceArn": api_arn, "tagKeys": ["team"]}));
    assert_eq!(gateway.apis.tagged(REGION).len(), 1);
    let other = json!({"resourceArn": "arn:aws:apigateway:us-east-1::/vpclinks/x", "tags": {}});
    gateway.refuses("TagResource", other, "BadRequestException", "Invalid resource ARN");
}

fn imported(gateway: &Gateway, api: &str, mode: &str, document: &Value) -> Result<Value, ApiError> {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(document.to_string());
    gateway.call("PutRestApi", json!({"restApiId": api, "mode": mode, "body": body}))
}

fn mock_operation() -> Value {
    json!({"responses": {"200": {"description": ""}},
        "x-amazon-apigateway-integration": {"type": "mock", "responses": {"default": {"statusCode": "200"}}}})
}

#[test]
fn an_import_merges_or_overwrites_and_a_refused_one_changes_nothing() {
    let gateway = Gateway::new();
    let (api, _) = gateway.deployed();
    let paths = |gateway: &Gateway| -> Vec<String> {
        let all = gateway.does("GetResources", json!({"restApiId": api, "embed": ["methods"]}));
        let with = all["items"].as_array().unwrap().iter().filter(|item| !item["resourceMethods"].is_null());
        let mut paths: Vec<String> = with.map(|item| text(item, "path")).collect();
        paths.sort();
        paths
    };
    let document =
        json!({"openapi": "3.0.1", "info": {"title": "new"}, "paths": {"/a/{b}": {"get": mock_operation()}}});
    imported(&gateway, &api, "merge", &document).unwrap();
    assert_eq!(paths(&gateway), ["/", "/a/{b}"]);
    imported(&gateway, &api, "overwrite", &document).unwrap();
    assert_eq!(paths(&gateway), ["/a/{b}"]);
    assert_eq!(gateway.does("GetRestApi", json!({"restApiId": api}))["name"], "new");

    let mut wrong = document.clone();
    wrong["paths"]["/z"]["get"] = json!({"responses": {},
        "x-amazon-apigateway-integration": {"type": "aws", "uri": "kinesis", "httpMethod": "POST"}});
    let error = imported(&gateway, &api, "overwrite", &wrong).unwrap_err();
    assert!(error.message.contains("'GET' on resource at path '/z'"), "{error}");
    assert!(error.message.contains("Invalid ARN"), "{error}");
    assert_eq!(paths(&gateway), ["/a/{b}"]);
    for absent in ["x-amazon-apigateway-policy", "x-amazon-apigateway-gateway-responses"] {
        let mut wrong = document.clone();
        wrong[absent] = json!({"a": 1});
        assert!(imported(&gateway, &api, "merge", &wrong).unwrap_err().message.contains(absent));
    }
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let gateway = Gateway::new();
    let (api, root) = gateway.api();
    let lambda = json!({"restApiId": api, "resourceId": root, "httpMethod": "GET", "type": "AWS_PROXY", "uri": "x"});
    let method = json!({"restApiId": api, "resourceId": root, "httpMethod": "GET", "authorizationType": "CUSTOM"});
    gateway.refuses("PutMethod", method, "BadRequestException", "the local cloud does not have authorizers");
    let method = json!({"restApiId": api, "resourceId": root, "httpMethod": "GET", "authorizationType": "NONE"});
    gateway.does("PutMethod", method);
    gateway.refuses("PutIntegration", lambda, "BadRequestException", "the local cloud does not have Lambda");
    gateway.refuses("GetExport", json!({}), "UnknownOperationException", "GetExport");
}

proptest! {
    // Each case opens a store of its own and waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is sent as a document: an answer, never a panic, and nothing half-imported.
    #[test]
    fn any_document_is_answered(path in "/?[a-z{}+/]{0,12}", verb in "get|put|parameters|trace", operation in any_json()) {
        let gateway = Gateway::new();
        let (api, _) = gateway.api();
        let before = gateway.does("GetResources", json!({"restApiId": api}));
        let document = json!({"openapi": "3.0.1", "paths": {path: {verb: operation.clone()}}, "components": operation});
        if imported(&gateway, &api, "merge", &document).is_err() {
            prop_assert_eq!(gateway.does("GetResources", json!({"restApiId": api})), before);
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let key =
        "responses|security|parameters|requestBody|content|x-amazon-apigateway-integration|type|uri|schemas|[a-z]";
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-zA-Z/$#]{0,6}".prop_map(Value::from)];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
