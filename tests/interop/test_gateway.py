"""`stacks/kafka.yaml` as it stands, but for its name and the number of its events.

The REST Proxy through the API, the way to S3 and to the batch tables, and what Kafka's own tools see of it.
"""

import base64
import json
import pathlib
import random
import subprocess

import pytest
import requests
import yaml
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from cloud import make_client, until
from msk import Cluster, read, wait
from stack import KEYS, Stack

pytestmark = pytest.mark.pinfra

ROOT = pathlib.Path(__file__).parents[2]
JSON, BINARY = "application/vnd.kafka.json.v2+json", "application/vnd.kafka.binary.v2+json"
ANSWER = "application/vnd.kafka.v2+json"
EVENTS = 60
# More than the topics of tests take, and compression does not help.
LARGE = random.Random(1).randbytes(200_000).hex()


@pytest.fixture(scope="module")
def stack(program, tmp_path_factory):
    document = yaml.safe_load((ROOT / "stacks" / "kafka.yaml").read_text())
    document["name"] = "gateway"
    document["workers"]["emulator"] = {"rate": 50, "count": EVENTS}
    with Stack(program, tmp_path_factory.mktemp("gateway"), document) as stack:
        yield stack


@pytest.fixture(scope="module")
def environment(stack):
    return stack.environment()


@pytest.fixture(scope="module")
def cluster(environment):
    kafka = make_client(environment, "kafka")
    [info] = kafka.list_clusters_v2()["ClusterInfoList"]
    brokers = kafka.get_bootstrap_brokers(ClusterArn=info["ClusterArn"])
    return Cluster(info["ClusterArn"], brokers["BootstrapBrokerString"], brokers["BootstrapBrokerStringSaslIam"])


@pytest.fixture(scope="module")
def call(stack):
    """Calls a path of the API with its key; `key=None` without one."""
    url, api_key = stack.output("invoke_url"), stack.output("api_key")

    def call(method, path, body=None, content_type=JSON, key=api_key, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers["content-type"] = content_type
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if key:
            headers["x-api-key"] = key
        return requests.request(method, f"{url}{path}", headers=headers, data=body, timeout=30)

    return call


@pytest.fixture(scope="module")
def permitted(environment, cluster):
    """The gateway's role may use the topics of its stack alone; those that tests make are allowed it beside them."""
    iam = make_client(environment, "iam")
    pages = iam.get_paginator("list_roles").paginate()
    names = [role["RoleName"] for page in pages for role in page["Roles"]]
    [role] = [name for name in names if "gateway" in iam.list_role_policies(RoleName=name)["PolicyNames"]]
    topics = f"{cluster.arn.replace(':cluster/', ':topic/')}/gateway.*"
    statement = {"Effect": "Allow", "Action": "kafka-cluster:*", "Resource": topics}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="interop", PolicyDocument=document)
    yield
    iam.delete_role_policy(RoleName=role, PolicyName="interop")


@pytest.fixture
def topic(cluster, permitted, name):
    made = cluster.topic(f"gateway.{name}", 3, max_message_bytes="100000")
    yield made
    wait(cluster.admin.delete_topics([made]))


def good(answer):
    assert answer.status_code == 200, (answer.status_code, answer.text)
    return answer.json()


def refused(answer, status, code):
    assert (answer.status_code, answer.json().get("error_code")) == (status, code), (answer.status_code, answer.text)
    assert answer.headers["content-type"] == ANSWER
    return answer.json()["message"]


def test_events_come_to_s3_and_into_tables(stack, environment):
    """The whole way of the emulator's events, counted at every hop, cleaned, and asked about."""

    def stored():
        counts = stack.counts("batch")
        return all(hops["in_s3"] > EVENTS // 3 for hops in counts.values())

    until(stored, "the events, and a probe in each table, are in S3", 60)
    stack.run("clean", "gateway")
    counts = stack.settle(path="batch")
    for table, hops in counts.items():
        assert hops["accepted"] == hops["emitted"] == hops["rows"] + hops["rejected"] + hops["duplicates"], (
            table,
            hops,
        )
        [row] = stack.query("--sql", f"SELECT count(*) AS n FROM {table}", "--from", "batch")
        assert row["n"] == hops["rows"] > 0, (table, hops, row)
    s3 = make_client(environment, "s3")
    bucket = stack.output("bucket")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="topics/gateway.pin/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert keys and all(key.startswith("topics/gateway.pin/partition=") for key in keys)
    assert "changes" not in stack.run("plan", stack.file, "--detailed-exitcode").replace("no changes", "")


def test_the_lines_of_the_issue(stack, environment):
    """As they are typed there: curl at the API, `kafkaconnect list-connectors`."""
    url, key = stack.output("invoke_url"), stack.output("api_key")
    command = ["curl", "-sS", "-X", "POST", f"{url}/topics/gateway.pin", "-H", f"x-api-key: {key}"]
    command += ["-H", f"Content-Type: {JSON}", "-d", '{"records":[{"value":{"_pinfra_probe":"interop"}}]}']
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)
    [offset] = answer["offsets"]
    assert offset["offset"] >= 0 and offset["error_code"] is None and offset["error"] is None, answer
    assert answer["key_schema_id"] is None and answer["value_schema_id"] is None
    [connector] = make_client(environment, "kafkaconnect").list_connectors()["connectors"]
    assert (connector["connectorName"], connector["connectorState"]) == ("gateway-s3", "RUNNING")


def test_a_topic_that_is_mistyped(call):
    """Of the stack's own topics the gateway knows that there is no such; of others it may not know."""
    one = {"records": [{"value": 1}]}
    assert refused(call("POST", "/topics/gateway.pni", one), 404, 40401) == "Topic not found."
    refused(call("POST", "/topics/elsewhere.pin", one), 403, 40301)


def test_records_of_json(call, cluster, topic):
    """Key order and the spelling of numbers stay; what is between the tokens goes."""
    body = (
        b'{"records": [{"key": "k", "value": {"b": 1.0, "a": [1e2, "\xc3\xa9"]}}, {"value": null}, {"value": "text"}]}'
    )
    answer = good(call("POST", f"/topics/{topic}", body))
    assert [offset["error_code"] for offset in answer["offsets"]] == [None] * 3
    by_place = {(message.partition(), message.offset()): message for message in read(cluster, topic)}
    first, second, third = (by_place[offset["partition"], offset["offset"]] for offset in answer["offsets"])
    assert (first.key(), first.value()) == (b'"k"', '{"b":1.0,"a":[1e2,"é"]}'.encode())
    assert second.value() is None and third.value() == b'"text"'


def test_records_of_bytes_and_where_they_go(call, cluster, topic):
    value = bytes(range(256))
    text = base64.b64encode(value).decode()
    records = [{"value": text, "partition": 2, "timestamp": 1_546_300_800_000}, {"key": text, "value": text}]
    answer = good(call("POST", f"/topics/{topic}", {"records": records}, BINARY))
    assert answer["offsets"][0]["partition"] == 2
    good(call("POST", f"/topics/{topic}/partitions/1", {"records": [{"value": text}]}, BINARY))
    messages = read(cluster, topic)
    assert len(messages) == 3 and {message.value() for message in messages} == {value}
    assert [message.timestamp()[1] for message in messages if message.partition() == 2][:1] == [1_546_300_800_000]
    assert 1 in {message.partition() for message in messages}


def test_a_thousand_records_at_once(call, cluster, topic):
    records = [{"key": n, "value": {"index": n}} for n in range(1_000)]
    answer = good(call("POST", f"/topics/{topic}", {"records": records}))
    assert len({(offset["partition"], offset["offset"]) for offset in answer["offsets"]}) == 1_000
    assert sorted(json.loads(message.value())["index"] for message in read(cluster, topic)) == list(range(1_000))


def test_what_there_is(call, cluster, topic):
    assert {"gateway.pin", "gateway.geo", "gateway.user", topic} <= set(good(call("GET", "/topics")))
    assert sorted(good(call("GET", "/brokers"))["brokers"]) == [1, 2, 3]
    shown = good(call("GET", f"/topics/{topic}"))
    assert shown["name"] == topic and shown["configs"]["max.message.bytes"] == "100000"
    assert [partition["partition"] for partition in shown["partitions"]] == [0, 1, 2]
    partitions = good(call("GET", f"/topics/{topic}/partitions"))
    assert partitions == shown["partitions"] and good(call("GET", f"/topics/{topic}/partitions/1")) == partitions[1]
    [leader] = [replica for replica in partitions[0]["replicas"] if replica["leader"]]
    assert leader["broker"] == partitions[0]["leader"] and leader["in_sync"]
    good(call("POST", f"/topics/{topic}/partitions/0", {"records": [{"value": 1}, {"value": 2}]}))
    offsets = f"/topics/{topic}/partitions/0/offsets"
    assert good(call("GET", offsets)) == {"beginning_offset": 0, "end_offset": 2}
    assert call("GET", "/health").json() == {"healthy": True}
    metrics = call("GET", "/metrics")
    assert metrics.status_code == 200 and "# TYPE" in metrics.text and metrics.text.endswith("# EOF\n")


def test_types_of_answers(call, topic):
    path = f"/topics/{topic}"
    assert call("GET", path).headers["content-type"] == ANSWER
    assert call("GET", path, accept="application/json").headers["content-type"] == "application/json"
    assert call("GET", path, accept=f"application/json;q=0.5, {ANSWER}").headers["content-type"] == ANSWER
    refused(call("GET", path, accept="text/html"), 406, 406)


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"{", 400, 400, "JSON"),
        (b'{"records": []}', 422, 422, "empty"),
        (b"{}", 422, 422, "empty"),
        (b'{"index": 1}', 422, 422, "Unrecognized field: index"),
        (b'{"records": [{"value": 1, "colour": 2}]}', 422, 422, "Unrecognized field: colour"),
        (b'{"records": [{"value": 1, "partition": "x"}]}', 422, 42201, "partition"),
        (b'{"records": [{"value": 1, "timestamp": -5}]}', 422, 42201, "timestamp"),
        (b'{"records": [{"value": 1}, 7]}', 422, 42201, "records"),
        (b'{"records": {"value": 1}}', 422, 42201, "records"),
        (b'{"records": [{"value": 1, "partition": 99}]}', 404, 40402, "Partition not found"),
        (b'{"records": [{"value": "%s"}]}' % LARGE.encode(), 413, 41301, "larger"),
        (b'{"records": [%s]}' % b",".join([b'{"value":1}'] * 10_001), 413, 413, "10000"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, bytes) else None,
)
def test_bodies_that_are_refused(call, topic, body, status, code, words):
    assert words in refused(call("POST", f"/topics/{topic}", body), status, code)


def test_what_else_is_refused(call, topic):
    one = {"records": [{"value": 1}]}
    for nothing in ("gateway.nothing", "not%20a%20name"):
        refused(call("POST", f"/topics/{nothing}", one), 404, 40401)
        refused(call("GET", f"/topics/{nothing}"), 404, 40401)
    refused(call("GET", f"/topics/{topic}/partitions/9"), 404, 40402)
    refused(call("POST", f"/topics/{topic}/partitions/9", one), 404, 40402)
    refused(call("GET", "/consumers/x"), 404, 404)
    for method in ("DELETE", "PUT"):
        refused(call(method, f"/topics/{topic}", one), 405, 405)
    refused(call("POST", "/brokers", one), 405, 405)
    for content_type in ("application/json", "text/plain", "application/vnd.kafka.avro.v2+json"):
        refused(call("POST", f"/topics/{topic}", one, content_type), 415, 415)
    # A value of base64 that is none.
    wrong = call("POST", f"/topics/{topic}", {"records": [{"value": "not base64!"}]}, BINARY)
    assert "value" in refused(wrong, 422, 42201)


def test_a_record_that_is_too_large_beside_others(call, topic):
    """One record is refused for good, the others are there: each is told apart."""
    answer = good(call("POST", f"/topics/{topic}", {"records": [{"value": "small"}, {"value": LARGE}]}))
    small, large = answer["offsets"]
    assert small["error_code"] is None and small["offset"] is not None
    assert large["error_code"] == 1 and large["error"] and large["offset"] is None


def test_topics_that_are_not_the_stacks(call, cluster, name):
    """The gateway's role may use the topics of its stack; it does not show others."""
    other = cluster.topic(f"other-{name}")
    assert other not in good(call("GET", "/topics"))
    answer = call("POST", f"/topics/{other}", {"records": [{"value": 1}]})
    refused(answer, 403, 40301)


def test_without_the_key_or_the_header(call, stack):
    answer = call("POST", "/topics/gateway.pin", {"records": [{"value": 1}]}, key=None)
    assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})
    # What the client sends in the place of the header that the API adds does not get through.
    answer = call("GET", "/topics", x_pinfra_gateway="guessed")
    assert answer.status_code == 200


def test_a_body_of_more_than_api_gateway_takes(call, topic):
    answer = call("POST", f"/topics/{topic}", b'{"records":[{"value":"%s"}]}' % (b"x" * (10 * 1024 * 1024)))
    assert answer.status_code == 413, answer.text


def test_the_group_of_the_connector_is_seen(cluster, stack):
    admin = AdminClient(cluster.client())
    group = "connect-gateway-s3"
    assert group in {one.group_id for one in admin.list_consumer_groups().result(10).valid}
    [described] = wait(admin.describe_consumer_groups([group])).values()
    topics = {partition.topic for member in described.members for partition in member.assignment.topic_partitions}
    assert topics == {f"gateway.{table}" for table in KEYS}
    assert [len(admin.list_topics(topic, timeout=10).topics[topic].partitions) for topic in topics] == [3, 3, 3]

    def stored():
        [listed] = wait(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])).values()
        return sum(max(partition.offset, 0) for partition in listed.topic_partitions)

    until(lambda: stored() >= EVENTS, "the events are committed")
