"""Amazon MSK by boto3 and the AWS CLI: clusters, operations, configurations, topics, versions, tags, pages."""

import base64
import json

import pytest

from cloud import until
from msk import active, delete, found, make, wish

pytestmark = pytest.mark.pinfra

PROPERTIES = b"auto.create.topics.enable=false\ndelete.topic.enable=true\nnum.partitions=2\n"


@pytest.fixture
def kafka(client):
    return client("kafka")


@pytest.fixture(scope="module")
def cluster(environment):
    made = make(environment, "interop-msk", Tags={"team": "data"})
    yield made
    delete(environment, made.arn)


@pytest.fixture
def configuration(kafka, name):
    arn = kafka.create_configuration(Name=name, ServerProperties=PROPERTIES, KafkaVersions=["3.6.0"])["Arn"]
    yield arn
    kafka.delete_configuration(Arn=arn)


@pytest.fixture
def own(environment, configuration, name):
    """A cluster to change, gone before its configuration."""
    made = make(environment, name)
    yield made
    delete(environment, made.arn)


@pytest.fixture
def change(kafka, own):
    """`change("update_monitoring", …)` calls for the current version and waits for the operation, which it gives."""

    def call(operation, **arguments):
        if operation != "reboot_broker":
            info = kafka.describe_cluster_v2(ClusterArn=own.arn)["ClusterInfo"]
            arguments["CurrentVersion"] = info["CurrentVersion"]
        begun = getattr(kafka, operation)(ClusterArn=own.arn, **arguments)
        arn = begun["ClusterOperationArn"]

        def ended():
            shown = kafka.describe_cluster_operation_v2(ClusterOperationArn=arn)["ClusterOperationInfo"]
            assert shown["OperationState"] != "UPDATE_FAILED", shown["Provisioned"]
            return shown if shown["OperationState"] == "UPDATE_COMPLETE" else None

        shown = until(ended, f"{operation} is complete")
        active(kafka, own.arn)
        return shown

    return call


def test_a_cluster_is_described(kafka, cluster, environment):
    one = kafka.describe_cluster(ClusterArn=cluster.arn)["ClusterInfo"]
    two = kafka.describe_cluster_v2(ClusterArn=cluster.arn)["ClusterInfo"]
    assert one["ClusterName"] == two["ClusterName"] == "interop-msk" and one["State"] == two["State"] == "ACTIVE"
    assert two["ClusterType"] == "PROVISIONED" and one["CurrentVersion"] == two["CurrentVersion"]
    asked = wish(environment, "x")["BrokerNodeGroupInfo"]
    group = two["Provisioned"]["BrokerNodeGroupInfo"]
    assert group["ClientSubnets"] == asked["ClientSubnets"] and group["StorageInfo"] == asked["StorageInfo"]
    assert len(group["SecurityGroups"]) == 1 and group["InstanceType"] == "kafka.t3.small"
    assert two["Provisioned"]["EncryptionInfo"]["EncryptionInTransit"] == {"ClientBroker": "TLS", "InCluster": True}
    assert two["Provisioned"]["ClientAuthentication"]["Sasl"]["Iam"] == {"Enabled": True}
    assert two["Provisioned"]["CurrentBrokerSoftwareInfo"]["KafkaVersion"] == "3.6.0"
    nodes = kafka.get_paginator("list_nodes").paginate(ClusterArn=cluster.arn, PaginationConfig={"PageSize": 2})
    brokers = [node["BrokerNodeInfo"] for page in nodes for node in page["NodeInfoList"] if "BrokerNodeInfo" in node]
    assert sorted(broker["BrokerId"] for broker in brokers) == [1, 2, 3]
    assert {broker["ClientSubnet"] for broker in brokers} == set(asked["ClientSubnets"])


def test_the_name_is_taken(kafka, environment, cluster, refused):
    refused("ConflictException", kafka.create_cluster, **wish(environment, "interop-msk"))


def test_what_a_cluster_cannot_be(kafka, environment, name, refused):
    good = wish(environment, name)
    group = good["BrokerNodeGroupInfo"]
    wrong = [
        {"ClusterName": "no spaces"},
        {"KafkaVersion": "0.1"},
        {"NumberOfBrokerNodes": 4},
        {"BrokerNodeGroupInfo": {**group, "InstanceType": "t3.small"}},
        {"BrokerNodeGroupInfo": {**group, "ClientSubnets": ["subnet-00000000000000000"] * 3}},
        {"BrokerNodeGroupInfo": {**group, "SecurityGroups": ["sg-00000000000000000"]}},
        {"ClientAuthentication": {"Sasl": {"Scram": {"Enabled": True}}}},
        {"ConfigurationInfo": {"Arn": "arn:aws:kafka:us-east-1:000000000000:configuration/none/x-1", "Revision": 1}},
    ]
    for one in wrong:
        refused("BadRequestException", kafka.create_cluster, **{**good, **one})
    serverless = {"VpcConfigs": [{"SubnetIds": group["ClientSubnets"]}]}
    error = refused("BadRequestException", kafka.create_cluster_v2, ClusterName=name, Serverless=serverless)
    assert "serverless" in error["Message"].lower()
    absent = "arn:aws:kafka:us-east-1:000000000000:cluster/none/00000000-0000-4000-8000-000000000000-1"
    for call in (kafka.describe_cluster, kafka.describe_cluster_v2, kafka.get_bootstrap_brokers, kafka.delete_cluster):
        refused("NotFoundException", call, ClusterArn=absent)
    assert [c for c in kafka.list_clusters_v2()["ClusterInfoList"] if c["ClusterName"] == name] == []


def test_clusters_in_pages_and_by_name(kafka, environment, cluster, name):
    arns = [kafka.create_cluster_v2(**v2(environment, f"{name}-{n}"))["ClusterArn"] for n in range(3)]
    for arn in arns:
        active(kafka, arn)
    pages = list(
        kafka.get_paginator("list_clusters_v2").paginate(ClusterNameFilter=name, PaginationConfig={"PageSize": 2})
    )
    assert [len(page["ClusterInfoList"]) for page in pages] == [2, 1]
    assert [c["ClusterArn"] for page in pages for c in page["ClusterInfoList"]] == arns
    one = kafka.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 1}).build_full_result()
    assert {*arns, cluster.arn} <= {c["ClusterArn"] for c in one["ClusterInfoList"]}
    # Each has its own brokers.
    addresses = [address for arn in arns for address in found(environment, arn).plaintext.split(",")]
    assert len(set(addresses)) == 9
    for arn in arns:
        delete(environment, arn)


def v2(environment, name):
    asked = wish(environment, name)
    return {"ClusterName": asked.pop("ClusterName"), "Provisioned": asked}


def test_each_update_is_an_operation(kafka, own, environment, change, configuration):
    def info():
        return kafka.describe_cluster_v2(ClusterArn=own.arn)["ClusterInfo"]

    before = found(environment, own.arn)
    own.topic("kept", 3)
    versions = {info()["CurrentVersion"]}
    change("update_broker_storage", TargetBrokerEBSVolumeInfo=[{"KafkaBrokerNodeId": "All", "VolumeSizeGB": 20}])
    versions.add(info()["CurrentVersion"])
    change("update_broker_type", TargetInstanceType="kafka.m7g.large")
    change("update_monitoring", EnhancedMonitoring="PER_BROKER")
    change("update_cluster_configuration", ConfigurationInfo={"Arn": configuration, "Revision": 1})
    kafka.update_configuration(Arn=configuration, ServerProperties=b"num.partitions=3\n")
    change("update_cluster_configuration", ConfigurationInfo={"Arn": configuration, "Revision": 2})
    both = {"EncryptionInTransit": {"ClientBroker": "TLS_PLAINTEXT"}}
    change("update_security", EncryptionInfo=both)
    shown = change("update_broker_count", TargetNumberOfBrokerNodes=6)
    provisioned = shown["Provisioned"]
    assert shown["OperationType"] == "INCREASE_BROKER_COUNT" and shown["EndTime"] >= shown["StartTime"]
    assert provisioned["SourceClusterInfo"]["NumberOfBrokerNodes"] == 3
    assert provisioned["TargetClusterInfo"]["NumberOfBrokerNodes"] == 6
    change("update_cluster_kafka_version", TargetKafkaVersion="3.8.x")
    change("reboot_broker", BrokerIds=["1"])
    versions.add(info()["CurrentVersion"])
    assert len(versions) == 3, "every update makes a version"

    now = info()["Provisioned"]
    group = now["BrokerNodeGroupInfo"]
    assert group["StorageInfo"]["EbsStorageInfo"]["VolumeSize"] == 20 and group["InstanceType"] == "kafka.m7g.large"
    assert now["EnhancedMonitoring"] == "PER_BROKER" and now["NumberOfBrokerNodes"] == 6
    software = now["CurrentBrokerSoftwareInfo"]
    assert (software["KafkaVersion"], software["ConfigurationRevision"]) == ("3.8.x", 2)
    after = found(environment, own.arn)
    assert set(before.plaintext.split(",")) < set(after.plaintext.split(",")) and after.plaintext.count(",") == 5
    assert sorted(after.admin.list_topics(timeout=10).brokers) == [1, 2, 3, 4, 5, 6]

    pages = kafka.get_paginator("list_cluster_operations_v2")
    pages = list(pages.paginate(ClusterArn=own.arn, PaginationConfig={"PageSize": 4}))
    operations = [operation for page in pages for operation in page["ClusterOperationInfoList"]]
    assert len(operations) >= 9 and len(pages) >= 3
    assert {operation["OperationState"] for operation in operations} == {"UPDATE_COMPLETE"}
    one = kafka.get_paginator("list_cluster_operations").paginate(ClusterArn=own.arn).build_full_result()
    assert len(one["ClusterOperationInfoList"]) == len(operations)

    # Brokers go when no partition is on them; those that stay have what they had.
    wide = after.topic("wide", 6)
    with pytest.raises(kafka.exceptions.BadRequestException, match="wide"):
        change("update_broker_count", TargetNumberOfBrokerNodes=3)
    kafka.delete_topic(ClusterArn=own.arn, TopicName=wide)
    change("update_broker_count", TargetNumberOfBrokerNodes=3)
    assert found(environment, own.arn) == before
    metadata = before.admin.list_topics(timeout=10)
    assert sorted(metadata.brokers) == [1, 2, 3] and set(metadata.topics) == {"kept"}


def test_what_is_not_an_update(kafka, cluster, refused):
    def info():
        return kafka.describe_cluster_v2(ClusterArn=cluster.arn)["ClusterInfo"]

    now = info()
    arguments = {"ClusterArn": cluster.arn, "CurrentVersion": now["CurrentVersion"]}
    count = now["Provisioned"]["NumberOfBrokerNodes"]
    smaller = [{"KafkaBrokerNodeId": "All", "VolumeSizeGB": 1}]
    wrong = [
        (kafka.update_broker_count, {"TargetNumberOfBrokerNodes": count}),
        (kafka.update_broker_count, {"TargetNumberOfBrokerNodes": count + 1}),
        (kafka.update_broker_storage, {"TargetBrokerEBSVolumeInfo": smaller}),
        (kafka.update_broker_type, {"TargetInstanceType": "kafka.z9.huge"}),
        (kafka.update_cluster_kafka_version, {"TargetKafkaVersion": "2.2.1"}),
        (kafka.update_security, {"EncryptionInfo": {"EncryptionInTransit": {"InCluster": False}}}),
    ]
    for call, more in wrong:
        refused("BadRequestException", call, **arguments, **more)
    stale = {**arguments, "CurrentVersion": "KOLD"}
    error = refused("BadRequestException", kafka.update_monitoring, **stale, EnhancedMonitoring="PER_BROKER")
    assert "version" in error["Message"]
    assert info()["State"] == "ACTIVE" and info()["CurrentVersion"] == now["CurrentVersion"]


def test_one_update_at_a_time(kafka, environment, name, refused):
    arn = make(environment, name).arn
    version = kafka.describe_cluster_v2(ClusterArn=arn)["ClusterInfo"]["CurrentVersion"]
    arguments = {"ClusterArn": arn, "CurrentVersion": version}
    kafka.update_monitoring(**arguments, EnhancedMonitoring="PER_BROKER")
    refused("BadRequestException", kafka.update_broker_count, **arguments, TargetNumberOfBrokerNodes=6)
    # While it is updated clients go on.
    assert len(found(environment, arn).admin.list_topics(timeout=10).brokers) == 3
    active(kafka, arn)
    delete(environment, arn)


def test_configurations_and_their_revisions(kafka, configuration, name, refused):
    described = kafka.describe_configuration(Arn=configuration)
    assert (described["Name"], described["State"], described["KafkaVersions"]) == (name, "ACTIVE", ["3.6.0"])
    for n in range(2, 6):
        latest = kafka.update_configuration(Arn=configuration, ServerProperties=PROPERTIES, Description=f"number {n}")
        assert latest["LatestRevision"]["Revision"] == n
    first = kafka.describe_configuration_revision(Arn=configuration, Revision=1)
    assert first["ServerProperties"] == PROPERTIES
    pages = kafka.get_paginator("list_configuration_revisions")
    pages = list(pages.paginate(Arn=configuration, PaginationConfig={"PageSize": 2}))
    revisions = [revision for page in pages for revision in page["Revisions"]]
    assert [len(page["Revisions"]) for page in pages] == [2, 2, 1]
    assert sorted(revision["Revision"] for revision in revisions) == [1, 2, 3, 4, 5]
    listed = kafka.get_paginator("list_configurations").paginate(PaginationConfig={"PageSize": 1})
    assert configuration in [each["Arn"] for page in listed for each in page["Configurations"]]
    refused("ConflictException", kafka.create_configuration, Name=name, ServerProperties=b"")
    for properties in (b"no.such.property=1", b"num.partitions=many", b"num.partitions"):
        refused("BadRequestException", kafka.update_configuration, Arn=configuration, ServerProperties=properties)
    refused("BadRequestException", kafka.describe_configuration_revision, Arn=configuration, Revision=9)
    error = refused("BadRequestException", kafka.describe_configuration, Arn=f"{configuration}0")
    assert error["Message"] == "Configuration ARN does not exist."


def test_topics_are_those_of_kafka(kafka, cluster, name, refused):
    configs = base64.b64encode(b"retention.ms=3600000\n").decode()
    arguments = {"ClusterArn": cluster.arn, "TopicName": name}
    made = kafka.create_topic(**arguments, PartitionCount=3, ReplicationFactor=3, Configs=configs)
    assert made["TopicArn"].endswith(f"/{name}") and made["Status"] == "CREATING"
    until(lambda: kafka.describe_topic(**arguments)["Status"] == "ACTIVE", "the topic is ACTIVE")
    assert len(cluster.admin.list_topics(name, timeout=10).topics[name].partitions) == 3
    described = kafka.describe_topic(**arguments)
    assert (described["PartitionCount"], described["ReplicationFactor"]) == (3, 3)
    assert base64.b64decode(described["Configs"]).decode().strip() == "retention.ms=3600000"
    pages = kafka.get_paginator("describe_topic_partitions")
    pages = list(pages.paginate(**arguments, PaginationConfig={"PageSize": 2}))
    partitions = [partition for page in pages for partition in page["Partitions"]]
    assert [partition["Partition"] for partition in partitions] == [0, 1, 2] and len(pages) == 2
    assert all(partition["Leader"] in partition["Isr"] for partition in partitions)

    kafka.update_topic(**arguments, PartitionCount=5)
    until(lambda: kafka.describe_topic(**arguments)["Status"] == "ACTIVE", "the topic is ACTIVE")
    assert len(cluster.admin.list_topics(name, timeout=10).topics[name].partitions) == 5
    refused("BadRequestException", kafka.update_topic, **arguments, PartitionCount=2)
    refused("TopicExistsException", kafka.create_topic, **arguments, PartitionCount=1, ReplicationFactor=1)
    other = cluster.topic(f"{name}-by-kafka", 2)
    listed = kafka.get_paginator("list_topics").paginate(
        ClusterArn=cluster.arn, TopicNameFilter=name, PaginationConfig={"PageSize": 1}
    )
    topics = {topic["TopicName"]: topic["PartitionCount"] for page in listed for topic in page["Topics"]}
    assert topics == {name: 5, other: 2}
    for topic in topics:
        kafka.delete_topic(ClusterArn=cluster.arn, TopicName=topic)
    until(lambda: name not in cluster.admin.list_topics(timeout=10).topics, "the topic is gone")
    refused("NotFoundException", kafka.describe_topic, **arguments)


def test_versions(kafka, cluster):
    pages = kafka.get_paginator("list_kafka_versions").paginate(PaginationConfig={"PageSize": 10})
    versions = {version["Version"]: version["Status"] for page in pages for version in page["KafkaVersions"]}
    assert versions["3.6.0"] == "ACTIVE" and versions["1.1.1"] == "DEPRECATED"
    [compatible] = kafka.get_compatible_kafka_versions(ClusterArn=cluster.arn)["CompatibleKafkaVersions"]
    assert compatible["SourceVersion"] in versions and set(compatible["TargetVersions"]) <= set(versions)


def test_tags(kafka, client, cluster):
    assert kafka.list_tags_for_resource(ResourceArn=cluster.arn)["Tags"] == {"team": "data"}
    kafka.tag_resource(ResourceArn=cluster.arn, Tags={"stage": "é", "team": "interop"})
    kafka.untag_resource(ResourceArn=cluster.arn, TagKeys=["nothing"])
    assert kafka.describe_cluster_v2(ClusterArn=cluster.arn)["ClusterInfo"]["Tags"] == {"stage": "é", "team": "interop"}
    found = client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "team", "Values": ["interop"]}])
    assert cluster.arn in [each["ResourceARN"] for each in found["ResourceTagMappingList"]]
    kafka.untag_resource(ResourceArn=cluster.arn, TagKeys=["stage"])
    kafka.tag_resource(ResourceArn=cluster.arn, Tags={"team": "data"})


def test_what_is_not_there_is_named(kafka, cluster, refused):
    for call, arguments in (
        (kafka.list_replicators, {}),
        (kafka.get_cluster_policy, {"ClusterArn": cluster.arn}),
        (kafka.list_scram_secrets, {"ClusterArn": cluster.arn}),
    ):
        with pytest.raises(kafka.exceptions.ClientError) as caught:
            call(**arguments)
        assert "not" in str(caught.value), caught.value


def test_as_it_is_typed(aws, environment, cluster, name):
    endpoint = ["--endpoint-url", environment["AWS_ENDPOINT_URL"]]

    def kafka(*words, **how):
        text = aws(*endpoint, "kafka", *words, **how)
        return text if how or not text.strip() else json.loads(text)

    listed = kafka("list-clusters-v2", "--cluster-name-filter", "interop-msk")
    assert [each["ClusterArn"] for each in listed["ClusterInfoList"]] == [cluster.arn]
    arn = ["--cluster-arn", cluster.arn]
    brokers = aws(*endpoint, "kafka", "get-bootstrap-brokers", *arn, "--query", "BootstrapBrokerString")
    assert set(cluster.plaintext.split(",")) <= set(json.loads(brokers).split(","))
    topic = ["--topic-name", name]
    kafka("create-topic", *arn, *topic, "--partition-count", "2", "--replication-factor", "3")
    assert kafka("describe-topic", *arn, *topic)["PartitionCount"] == 2
    kafka("delete-topic", *arn, *topic)
    assert "NotFoundException" in kafka("describe-topic", *arn, *topic, fails=True)
    assert len(kafka("list-nodes", *arn)["NodeInfoList"]) >= 3
