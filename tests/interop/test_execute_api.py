"""A pipeline's API called as its users call it: by requests with a key, and signed by botocore with `auth: iam`."""

import json

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cloud import make_client
from stack import Stack, document

pytestmark = pytest.mark.pinfra


def without_workers(name, auth):
    stack = document(name, {}, auth)
    return {key: value for key, value in stack.items() if key not in ("client", "workers")}


@pytest.fixture(scope="module", params=["key", "iam", "none"])
def auth(request):
    return request.param


@pytest.fixture(scope="module")
def stack(program, tmp_path_factory, auth):
    with Stack(program, tmp_path_factory.mktemp("api"), without_workers(f"api-{auth}", auth)) as stack:
        yield stack


@pytest.fixture(scope="module")
def environment(stack):
    return stack.environment()


@pytest.fixture(scope="module")
def call(stack, environment, auth):
    """Calls a path of the API as one may; `good=False` as one may not."""
    url = stack.output("invoke_url")
    key = stack.output("api_key") if auth == "key" else None

    def call(method, path, body=None, good=True, **headers):
        headers = {"content-type": "application/json", **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        if auth == "key" and good:
            headers["x-api-key"] = key
        if auth == "iam":
            secret = environment["AWS_SECRET_ACCESS_KEY"] if good else "wrong"
            credentials = Credentials(environment["AWS_ACCESS_KEY_ID"], secret)
            request = AWSRequest(method, f"{url}{path}", headers=headers, data=data)
            SigV4Auth(credentials, "execute-api", environment["AWS_DEFAULT_REGION"]).add_auth(request)
            headers = dict(request.headers)
        return requests.request(method, f"{url}{path}", headers=headers, data=data, timeout=10)

    return call


def records(environment, stream):
    kinesis = make_client(environment, "kinesis")
    shard = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(**shard)["ShardIterator"]
    return [json.loads(record["Data"]) for record in kinesis.get_records(ShardIterator=iterator)["Records"]]


def test_events_go_into_their_stream(call, environment, stack):
    streams = call("GET", "/streams", {})
    assert streams.status_code == 200, streams.text
    assert set(streams.json()["StreamNames"]) == {f"{stack.name}-{table}" for table in ("pin", "geo", "user")}
    stream = f"{stack.name}-pin"
    row = {"index": 7528, "title": 'é 🌞 "quoted" \\ $x #if', "nothing": None, "deep": {"a": [1, 2.5, True]}}
    one = {"StreamName": stream, "Data": row, "PartitionKey": "7528"}
    answer = call("PUT", f"/streams/{stream}/record", one)
    assert answer.status_code == 200 and answer.json()["ShardId"] == "shardId-000000000000", answer.text
    assert answer.headers["content-type"] == "application/json" and answer.headers["x-amzn-requestid"]
    several = [{"data": {"index": n}, "partition-key": str(n)} for n in range(3)]
    answer = call("PUT", f"/streams/{stream}/records", {"records": several})
    assert answer.status_code == 200 and answer.json()["FailedRecordCount"] == 0, answer.text
    assert records(environment, stream) == [row, {"index": 0}, {"index": 1}, {"index": 2}]


def test_what_is_wrong_is_refused(call, stack, auth):
    stream = f"{stack.name}-geo"
    good = {"StreamName": stream, "Data": {"ind": 1}, "PartitionKey": "1"}
    assert call("GET", "/nothing").status_code == 403
    assert call("PUT", f"/streams/{stream}/record", b"{").status_code == 400
    assert call("PUT", f"/streams/{stream}/record", {"Data": {"ind": 1}}).status_code == 400
    unknown = call("PUT", f"/streams/{stack.name}-none/record", {**good, "StreamName": f"{stack.name}-none"})
    # The API's role may write to the stack's streams alone, and is asked before it is known what there is.
    assert unknown.status_code == 403 and "not authorized to perform: kinesis:PutRecord" in unknown.text, unknown.text
    plain = call("PUT", f"/streams/{stream}/record", good, **{"content-type": "text/csv"})
    assert (plain.status_code, plain.json()) == (415, {"message": "Unsupported Media Type"})
    if auth != "none":
        refused = call("PUT", f"/streams/{stream}/record", good, good=False)
        assert refused.status_code == 403, refused.text
        if auth == "key":
            assert refused.json() == {"message": "Forbidden"}
            assert refused.headers["x-amzn-errortype"] == "ForbiddenException"
        else:
            assert "signature" in refused.json()["message"].lower()
