"""MSK Connect by boto3 and the AWS CLI: plugins, worker configurations, and a connector whose objects come to S3."""

import base64
import io
import json
import zipfile

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer

from cloud import until
from msk import delete, make, subnets, wait
from roles import delete_role, make_role

pytestmark = pytest.mark.pinfra

SERVICE = "kafkaconnect.amazonaws.com"
WORKER = b"".join(b"%s.converter=org.apache.kafka.connect.storage.StringConverter\n" % of for of in (b"key", b"value"))


@pytest.fixture
def connect(client):
    return client("kafkaconnect")


@pytest.fixture(scope="module")
def cluster(environment):
    made = make(environment, "interop-connect")
    yield made
    delete(environment, made.arn)


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("confluentinc-kafka-connect-s3/lib/kafka-connect-s3.jar", b"not run here")
    return file.getvalue()


def location(bucket, key):
    return {"s3Location": {"bucketArn": f"arn:aws:s3:::{bucket}", "fileKey": key}}


@pytest.fixture
def plugin(connect, s3, bucket, name):
    s3.put_object(Bucket=bucket, Key="plugin.zip", Body=archive())
    made = connect.create_custom_plugin(name=name, contentType="ZIP", location=location(bucket, "plugin.zip"))
    arn = made["customPluginArn"]
    until(lambda: plugin_state(connect, arn) == "ACTIVE", "the plugin is ACTIVE")
    yield arn
    connect.delete_custom_plugin(customPluginArn=arn)


def plugin_state(connect, arn):
    return connect.describe_custom_plugin(customPluginArn=arn)["customPluginState"]


@pytest.fixture
def role(environment, name):
    arn = make_role(environment, name, [(["kafka-cluster:*", "s3:*"], "*")], SERVICE)
    yield arn
    delete_role(environment, name)


@pytest.fixture
def asked(environment, cluster, plugin, role, bucket, name):
    """The arguments of CreateConnector for an S3 sink of the topic `name`."""
    return {
        "connectorName": name,
        "connectorDescription": "events to S3",
        "kafkaConnectVersion": "3.7.x",
        "capacity": {"provisionedCapacity": {"mcuCount": 1, "workerCount": 1}},
        "connectorConfiguration": {
            "connector.class": "io.confluent.connect.s3.S3SinkConnector",
            "tasks.max": "2",
            "topics": name,
            "s3.bucket.name": bucket,
            "s3.region": environment["AWS_DEFAULT_REGION"],
            "flush.size": "10",
            "storage.class": "io.confluent.connect.s3.storage.S3Storage",
            "format.class": "io.confluent.connect.s3.format.json.JsonFormat",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        },
        "kafkaCluster": {
            "apacheKafkaCluster": {
                "bootstrapServers": cluster.iam,
                "vpc": {"subnets": subnets(environment), "securityGroups": []},
            }
        },
        "kafkaClusterClientAuthentication": {"authenticationType": "IAM"},
        "kafkaClusterEncryptionInTransit": {"encryptionType": "TLS"},
        "plugins": [{"customPlugin": {"customPluginArn": plugin, "revision": 1}}],
        "serviceExecutionRoleArn": role,
    }


@pytest.fixture
def run(connect):
    """Makes connectors, waits until they run or have failed, and gives their ARN; deletes them."""
    made = []

    def run(**arguments):
        made.append(connect.create_connector(**arguments)["connectorArn"])
        reaches(connect, made[-1], "RUNNING", "FAILED")
        return made[-1]

    yield run
    for arn in made:
        connect.delete_connector(connectorArn=arn)
        until(lambda arn=arn: gone(connect, arn), "the connector is gone")


def gone(connect, arn):
    try:
        connect.describe_connector(connectorArn=arn)
    except connect.exceptions.NotFoundException:
        return True
    return False


def reaches(connect, arn, *states):
    def state():
        shown = connect.describe_connector(connectorArn=arn)
        return shown if shown["connectorState"] in states else None

    return until(state, f"the connector is {' or '.join(states)}")


def send(cluster, topic, numbers):
    producer = Producer(cluster.client())
    for n in numbers:
        producer.produce(topic, json.dumps({"index": n}), partition=0)
    assert producer.flush(20) == 0


def keys(s3, bucket):
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="topics/").get("Contents", [])
    return [entry["Key"] for entry in listed]


def test_a_connector_from_creation_to_deletion(connect, s3, cluster, asked, run, bucket, name, refused):
    topic = cluster.topic(name)
    arn = run(**asked)
    shown = connect.describe_connector(connectorArn=arn)
    assert shown["connectorState"] == "RUNNING", shown.get("stateDescription")
    for member in ("connectorName", "connectorDescription", "connectorConfiguration", "capacity", "plugins"):
        assert shown[member] == asked[member], member
    refused("ConflictException", connect.create_connector, **asked)

    send(cluster, topic, range(25))
    first = f"topics/{name}/partition=0/{name}+0+0000000000.json"
    until(lambda: len(keys(s3, bucket)) == 2, "two objects are stored")
    assert keys(s3, bucket) == [first, first.replace("+0000000000", "+0000000010")]
    body = s3.get_object(Bucket=bucket, Key=first)["Body"].read().decode()
    assert body == "".join(f'{{"index":{n}}}\n' for n in range(10))

    # Kafka's own administrators see it as a group of the connector's name.
    group = f"connect-{name}"
    [described] = wait(cluster.admin.describe_consumer_groups([group])).values()
    members = {p.topic for member in described.members for p in member.assignment.topic_partitions}
    assert described.state.name == "STABLE" and members == {name}
    assert all(member.client_id.startswith("connector-consumer-") for member in described.members)

    def committed():
        [listed] = wait(cluster.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])).values()
        return {partition.partition: partition.offset for partition in listed.topic_partitions}

    until(lambda: committed() == {0: 20}, "what is stored is committed")

    connect.pause_connector(connectorArn=arn)
    reaches(connect, arn, "PAUSED")
    send(cluster, topic, range(25, 45))
    connect.resume_connector(connectorArn=arn)
    reaches(connect, arn, "RUNNING")
    until(lambda: len(keys(s3, bucket)) == 4, "what came meanwhile is stored")

    version = connect.describe_connector(connectorArn=arn)["currentVersion"]
    wanted = {"provisionedCapacity": {"mcuCount": 2, "workerCount": 1}}
    stale = {"connectorArn": arn, "currentVersion": "KOLD", "capacity": wanted}
    refused("BadRequestException", connect.update_connector, **stale)
    connect.update_connector(connectorArn=arn, currentVersion=version, capacity=wanted)
    updated = until(
        lambda: (now := reaches(connect, arn, "RUNNING"))["currentVersion"] != version and now, "the update is done"
    )
    assert updated["capacity"] == wanted
    other = {**asked["connectorConfiguration"], "flush.size": "5"}
    connect.update_connector(connectorArn=arn, currentVersion=updated["currentVersion"], connectorConfiguration=other)
    until(
        lambda: reaches(connect, arn, "RUNNING")["connectorConfiguration"] == other, "the configuration is the new one"
    )
    until(lambda: len(keys(s3, bucket)) == 5, "the smaller objects are stored")

    pages = connect.get_paginator("list_connector_operations")
    pages = list(pages.paginate(connectorArn=arn, PaginationConfig={"PageSize": 2}))
    operations = [operation for page in pages for operation in page["connectorOperations"]]
    kinds = {operation["connectorOperationType"] for operation in operations}
    assert {"UPDATE_WORKER_SETTING", "UPDATE_CONNECTOR_CONFIGURATION"} <= kinds and len(pages) >= 1
    for operation in operations:
        found = connect.describe_connector_operation(connectorOperationArn=operation["connectorOperationArn"])
        assert found["connectorOperationState"].endswith("_COMPLETE"), found
    listed = connect.get_paginator("list_connectors").paginate(connectorNamePrefix=name)
    assert [each["connectorArn"] for page in listed for each in page["connectors"]] == [arn]


def test_a_wrong_configuration_fails_in_words(connect, cluster, asked, run, name):
    cluster.topic(name)
    wrong = {"flush.size": "many", "format.class": "io.example.Nothing", "topics.dirr": "x"}
    arn = run(**{**asked, "connectorConfiguration": {**asked["connectorConfiguration"], **wrong}})
    shown = connect.describe_connector(connectorArn=arn)
    assert shown["connectorState"] == "FAILED"
    for word in ("flush.size", "format.class", "topics.dirr"):
        assert word in shown["stateDescription"]["message"], shown["stateDescription"]


def test_a_bucket_that_is_not_there(connect, cluster, asked, run, name):
    cluster.topic(name)
    configuration = {**asked["connectorConfiguration"], "s3.bucket.name": f"{name}-absent"}
    arn = run(**{**asked, "connectorConfiguration": configuration})
    shown = connect.describe_connector(connectorArn=arn)
    assert shown["connectorState"] == "FAILED" and f"{name}-absent" in shown["stateDescription"]["message"], shown


def test_what_a_connector_cannot_be(connect, asked, environment, name, refused):
    configuration = asked["connectorConfiguration"]
    nobody = make_role(environment, f"{name}-other")
    absent = asked["plugins"][0]["customPlugin"]["customPluginArn"].replace("custom-plugin/", "custom-plugin/x")
    wrong = [
        ("BadRequestException", {"connectorName": "no spaces"}),
        ("BadRequestException", {"serviceExecutionRoleArn": nobody}),
        ("BadRequestException", {"kafkaConnectVersion": "1.0"}),
        ("BadRequestException", {"plugins": []}),
        ("BadRequestException", {"capacity": {}}),
        ("BadRequestException", {"capacity": {"provisionedCapacity": {"mcuCount": 3, "workerCount": 1}}}),
        ("BadRequestException", {"kafkaClusterEncryptionInTransit": {"encryptionType": "PLAINTEXT"}}),
        ("NotFoundException", {"plugins": [{"customPlugin": {"customPluginArn": absent, "revision": 1}}]}),
    ]
    for missing in ("connector.class", "tasks.max"):
        rest = {key: value for key, value in configuration.items() if key != missing}
        wrong.append(("BadRequestException", {"connectorConfiguration": rest}))
    for code, one in wrong:
        refused(code, connect.create_connector, **{**asked, **one})
    assert connect.list_connectors(connectorNamePrefix=name)["connectors"] == []
    delete_role(environment, f"{name}-other")


def test_plugins(connect, s3, bucket, plugin, name, refused):
    shown = connect.describe_custom_plugin(customPluginArn=plugin)
    [revision] = [shown["latestRevision"]]
    assert (revision["revision"], revision["contentType"]) == (1, "ZIP")
    assert revision["fileDescription"]["fileSize"] == len(archive())
    assert revision["location"]["s3Location"]["fileKey"] == "plugin.zip"
    arguments = {"name": name, "contentType": "ZIP", "location": location(bucket, "plugin.zip")}
    refused("ConflictException", connect.create_custom_plugin, **arguments)
    absent = {**arguments, "name": f"{name}-x", "location": location(bucket, "absent.zip")}
    refused("BadRequestException", connect.create_custom_plugin, **absent)
    s3.put_object(Bucket=bucket, Key="text.zip", Body=b"this is no archive")
    text = {**arguments, "name": f"{name}-x", "location": location(bucket, "text.zip")}
    arn = connect.create_custom_plugin(**text)["customPluginArn"]
    until(lambda: plugin_state(connect, arn) == "CREATE_FAILED", "the plugin is CREATE_FAILED")
    assert "archive" in connect.describe_custom_plugin(customPluginArn=arn)["stateDescription"]["message"]
    pages = connect.get_paginator("list_custom_plugins").paginate(namePrefix=name, PaginationConfig={"PageSize": 1})
    assert {each["customPluginArn"] for page in pages for each in page["customPlugins"]} == {plugin, arn}
    connect.delete_custom_plugin(customPluginArn=arn)
    refused("NotFoundException", connect.describe_custom_plugin, customPluginArn=f"{plugin}0")


def test_worker_configurations(connect, name, refused):
    made = connect.create_worker_configuration(name=name, propertiesFileContent=encoded(WORKER), tags={"a": "b"})
    arn = made["workerConfigurationArn"]
    shown = connect.describe_worker_configuration(workerConfigurationArn=arn)
    assert shown["latestRevision"]["propertiesFileContent"] == encoded(WORKER) and shown["name"] == name
    assert connect.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b"}
    connect.tag_resource(resourceArn=arn, tags={"c": "d"})
    connect.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert connect.list_tags_for_resource(resourceArn=arn)["tags"] == {"c": "d"}
    again = {"name": name, "propertiesFileContent": encoded(WORKER)}
    refused("ConflictException", connect.create_worker_configuration, **again)
    wrong = {"name": f"{name}-x", "propertiesFileContent": encoded(WORKER + b"bootstrap.servers=elsewhere\n")}
    refused("BadRequestException", connect.create_worker_configuration, **wrong)
    pages = connect.get_paginator("list_worker_configurations").paginate(namePrefix=name)
    assert [each["name"] for page in pages for each in page["workerConfigurations"]] == [name]
    connect.delete_worker_configuration(workerConfigurationArn=arn)


def encoded(properties):
    return base64.b64encode(properties).decode()


def test_as_it_is_typed(aws, environment, connect, cluster, asked, run, name, tmp_path):
    endpoint = ["--endpoint-url", environment["AWS_ENDPOINT_URL"], "kafkaconnect"]
    cluster.topic(name)
    run(**asked)
    listed = json.loads(aws(*endpoint, "list-connectors"))["connectors"]
    assert [each["connectorState"] for each in listed if each["connectorName"] == name] == ["RUNNING"]
    plugins = json.loads(aws(*endpoint, "list-custom-plugins", "--name-prefix", name))["customPlugins"]
    assert [each["name"] for each in plugins] == [name]
    assert "NotFoundException" in aws(
        *endpoint, "describe-connector", "--connector-arn", f"{listed[0]['connectorArn']}0", fails=True
    )
