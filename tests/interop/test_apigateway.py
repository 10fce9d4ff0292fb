"""API Gateway by boto3 and the AWS CLI: its control plane as programs use it that build an API call by call."""

import json

import pytest

MOCK = {"application/json": '{"statusCode": 200}'}


@pytest.fixture
def gateway(client):
    return client("apigateway")


@pytest.fixture
def api(gateway, name):
    made = gateway.create_rest_api(name=name, endpointConfiguration={"types": ["REGIONAL"]}, tags={"team": "data"})
    yield made
    if any(each["id"] == made["id"] for each in everything(gateway, "get_rest_apis")):
        gateway.delete_rest_api(restApiId=made["id"])


def everything(gateway, operation, **arguments):
    return [
        item
        for page in gateway.get_paginator(operation).paginate(**arguments, PaginationConfig={"PageSize": 2})
        for item in page["items"]
    ]


def replace(path, value):
    return {"op": "replace", "path": path, "value": value}


def mock_method(gateway, api, resource, verb="GET", **more):
    """A method that answers 200 by itself."""
    place = {"restApiId": api, "resourceId": resource, "httpMethod": verb}
    gateway.put_method(**place, authorizationType="NONE", **more)
    gateway.put_integration(**place, type="MOCK", requestTemplates=MOCK)
    gateway.put_method_response(**place, statusCode="200")
    gateway.put_integration_response(**place, statusCode="200", responseTemplates={"application/json": '{"ok": true}'})
    return place


def test_an_api_from_creation_to_deletion(gateway, api, name, refused):
    found = gateway.get_rest_api(restApiId=api["id"])
    assert (found["name"], found["tags"], found["createdDate"]) == (name, {"team": "data"}, api["createdDate"])
    assert found["endpointConfiguration"]["types"] == ["REGIONAL"] and found["createdDate"].tzinfo is not None
    [root] = gateway.get_resources(restApiId=api["id"])["items"]
    assert root["path"] == "/" and root["id"] == found["rootResourceId"] and "parentId" not in root
    changed = gateway.update_rest_api(
        restApiId=api["id"], patchOperations=[replace("/description", "é"), replace("/name", f"{name}-2")]
    )
    assert (changed["description"], changed["name"]) == ("é", f"{name}-2")
    assert api["id"] in [each["id"] for each in everything(gateway, "get_rest_apis")]
    gateway.delete_rest_api(restApiId=api["id"])
    refused("NotFoundException", gateway.get_rest_api, restApiId=api["id"])
    refused("NotFoundException", gateway.delete_rest_api, restApiId=api["id"])


def test_resources_and_pages_of_them(gateway, api, refused):
    made = {"/": api["rootResourceId"]}
    for path in ("/streams", "/streams/{stream-name}", "/streams/{stream-name}/record", "/a", "/b"):
        parent, _, part = path.rpartition("/")
        arguments = {"restApiId": api["id"], "parentId": made[parent or "/"], "pathPart": part}
        resource = gateway.create_resource(**arguments)
        assert (resource["path"], resource["pathPart"], resource["parentId"]) == (path, part, made[parent or "/"])
        made[path] = resource["id"]
        refused("ConflictException", gateway.create_resource, **arguments)
    listed = everything(gateway, "get_resources", restApiId=api["id"])
    assert {resource["path"]: resource["id"] for resource in listed} == made
    two_names = {"restApiId": api["id"], "parentId": made["/streams"], "pathPart": "{other}"}
    refused("BadRequestException", gateway.create_resource, **two_names)
    gateway.delete_resource(restApiId=api["id"], resourceId=made["/streams"])
    left = {resource["path"] for resource in everything(gateway, "get_resources", restApiId=api["id"])}
    assert left == {"/", "/a", "/b"}, "what was below went with it"
    refused("BadRequestException", gateway.delete_resource, restApiId=api["id"], resourceId=made["/"])


def test_a_method_and_what_is_behind_it(gateway, api, refused):
    place = mock_method(gateway, api["id"], api["rootResourceId"], "POST", apiKeyRequired=True)
    method = gateway.get_method(**place)
    assert (method["httpMethod"], method["authorizationType"], method["apiKeyRequired"]) == ("POST", "NONE", True)
    integration = method["methodIntegration"]
    assert integration["type"] == "MOCK" and integration["requestTemplates"] == MOCK
    assert integration["passthroughBehavior"] == "WHEN_NO_MATCH" and integration["timeoutInMillis"] == 29000
    assert integration["integrationResponses"]["200"]["responseTemplates"] == {"application/json": '{"ok": true}'}
    assert list(method["methodResponses"]) == ["200"]
    refused("ConflictException", gateway.put_method, **place, authorizationType="NONE")
    # A media type has a slash, which a JSON pointer writes as ~1.
    gateway.update_integration(
        **place, patchOperations=[{"op": "add", "path": "/requestTemplates/text~1plain", "value": "x"}]
    )
    assert gateway.get_integration(**place)["requestTemplates"] == {**MOCK, "text/plain": "x"}
    gateway.delete_integration_response(**place, statusCode="200")
    refused("NotFoundException", gateway.get_integration_response, **place, statusCode="200")
    embedded = gateway.get_resources(restApiId=api["id"], embed=["methods"])["items"][0]["resourceMethods"]
    assert embedded["POST"]["apiKeyRequired"] is True
    gateway.delete_method(**place)
    refused("NotFoundException", gateway.get_method, **place)


def test_deployments_and_stages(gateway, api, refused):
    refused("BadRequestException", gateway.create_deployment, restApiId=api["id"], stageName="prod")
    mock_method(gateway, api["id"], api["rootResourceId"])
    ids = [gateway.create_deployment(restApiId=api["id"], description=f"{n}")["id"] for n in range(3)]
    listed = everything(gateway, "get_deployments", restApiId=api["id"])
    assert {deployment["id"] for deployment in listed} == set(ids)
    stage = gateway.create_stage(
        restApiId=api["id"], stageName="prod", deploymentId=ids[0], variables={"a": "b"}, tags={"k": "v"}
    )
    assert (stage["stageName"], stage["deploymentId"], stage["variables"]) == ("prod", ids[0], {"a": "b"})
    refused("ConflictException", gateway.create_stage, restApiId=api["id"], stageName="prod", deploymentId=ids[0])
    patches = [
        replace("/deploymentId", ids[1]),
        replace("/*/*/throttling/rateLimit", "50"),
        replace("/variables/c", "d"),
    ]
    changed = gateway.update_stage(restApiId=api["id"], stageName="prod", patchOperations=patches)
    assert changed["deploymentId"] == ids[1] and changed["variables"] == {"a": "b", "c": "d"}
    assert changed["methodSettings"]["*/*"]["throttlingRateLimit"] == 50.0
    refused("BadRequestException", gateway.delete_deployment, restApiId=api["id"], deploymentId=ids[1])
    gateway.delete_deployment(restApiId=api["id"], deploymentId=ids[0])
    assert [stage["stageName"] for stage in gateway.get_stages(restApiId=api["id"])["item"]] == ["prod"]
    refused("NotFoundException", gateway.get_stage, restApiId=api["id"], stageName="dev")
    gateway.delete_stage(restApiId=api["id"], stageName="prod")
    gateway.delete_deployment(restApiId=api["id"], deploymentId=ids[1])


def test_keys_and_usage_plans(gateway, api, name, refused):
    mock_method(gateway, api["id"], api["rootResourceId"])
    gateway.create_deployment(restApiId=api["id"], stageName="prod")
    keys = [gateway.create_api_key(name=f"{name}-{n}", enabled=True) for n in range(3)]
    listed = everything(gateway, "get_api_keys", nameQuery=name)
    assert [key["id"] for key in listed] and {key["id"] for key in listed} == {key["id"] for key in keys}
    assert all("value" not in key for key in listed), "values come only when they are asked for"
    value = gateway.get_api_key(apiKey=keys[0]["id"], includeValue=True)["value"]
    assert value == keys[0]["value"] and len(value) >= 20
    assert "value" not in gateway.get_api_key(apiKey=keys[0]["id"])
    plan = gateway.create_usage_plan(
        name=name,
        apiStages=[{"apiId": api["id"], "stage": "prod"}],
        throttle={"rateLimit": 10.5, "burstLimit": 20},
        quota={"limit": 1000, "period": "DAY"},
    )
    for key in keys:
        gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    of_plan = everything(gateway, "get_usage_plan_keys", usagePlanId=plan["id"])
    assert {key["id"] for key in of_plan} == {key["id"] for key in keys}
    again = {"usagePlanId": plan["id"], "keyId": keys[0]["id"], "keyType": "API_KEY"}
    refused("ConflictException", gateway.create_usage_plan_key, **again)
    changed = gateway.update_usage_plan(usagePlanId=plan["id"], patchOperations=[replace("/throttle/burstLimit", "30")])
    assert changed["throttle"] == {"rateLimit": 10.5, "burstLimit": 30}
    assert plan["id"] in [each["id"] for each in everything(gateway, "get_usage_plans")]
    remove = [{"op": "remove", "path": "/apiStages", "value": f"{api['id']}:prod"}]
    assert gateway.update_usage_plan(usagePlanId=plan["id"], patchOperations=remove).get("apiStages", []) == []
    gateway.delete_usage_plan(usagePlanId=plan["id"])
    for key in keys:
        gateway.delete_api_key(apiKey=key["id"])
    refused("NotFoundException", gateway.get_api_key, apiKey=keys[0]["id"])


def test_models_and_validators(gateway, api, refused):
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object", "required": ["Data"]}
    more = {"restApiId": api["id"], "contentType": "application/json"}
    model = gateway.create_model(**more, name="Record", schema=json.dumps(schema))
    assert json.loads(gateway.get_model(restApiId=api["id"], modelName="Record")["schema"]) == schema
    refused("BadRequestException", gateway.create_model, **more, name="Broken", schema="{")
    names = {each["name"] for each in everything(gateway, "get_models", restApiId=api["id"])}
    assert {"Record", "Empty", "Error"} == names and model["name"] == "Record"
    validator = gateway.create_request_validator(restApiId=api["id"], name="body", validateRequestBody=True)
    assert (validator["validateRequestBody"], validator["validateRequestParameters"]) == (True, False)
    listed = everything(gateway, "get_request_validators", restApiId=api["id"])
    assert [each["id"] for each in listed] == [validator["id"]]


def test_tags(gateway, api):
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{api['id']}"
    gateway.tag_resource(resourceArn=arn, tags={"a/b": "c d", "team": "other"})
    assert gateway.get_tags(resourceArn=arn)["tags"] == {"a/b": "c d", "team": "other"}
    gateway.untag_resource(resourceArn=arn, tagKeys=["team", "a/b"])
    assert gateway.get_tags(resourceArn=arn)["tags"] == {}


def test_as_it_is_typed(aws, name):
    def typed(*words):
        return json.loads(aws("apigateway", *words) or "{}")

    api = typed("create-rest-api", "--name", name)["id"]
    root = typed("get-resources", "--rest-api-id", api)["items"][0]["id"]
    place = ["--rest-api-id", api, "--resource-id", root, "--http-method", "GET"]
    typed("put-method", *place, "--authorization-type", "NONE")
    template = ["--request-templates", '{"application/json": "{\\"statusCode\\": 200}"}']
    typed("put-integration", *place, "--type", "MOCK", *template)
    typed("put-method-response", *place, "--status-code", "200")
    typed("put-integration-response", *place, "--status-code", "200", "--selection-pattern", "")
    typed("create-deployment", "--rest-api-id", api, "--stage-name", "prod")
    patch = "op=replace,path=/description,value=hello"
    stage = typed("update-stage", "--rest-api-id", api, "--stage-name", "prod", "--patch-operations", patch)
    assert stage["description"] == "hello"
    assert api in aws("apigateway", "get-rest-apis", "--query", "items[].id", "--output", "text").split()
    assert "NotFoundException" in aws("apigateway", "get-stage", "--rest-api-id", api, "--stage-name", "x", fails=True)
    aws("apigateway", "delete-rest-api", "--rest-api-id", api)
