"""Amazon MSK clusters by boto3, and what Kafka's clients need to know of them."""

import dataclasses
import functools

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from cloud import make_client, until

VERSION = "3.6.0"


@dataclasses.dataclass
class Cluster:
    arn: str
    plaintext: str
    iam: str

    def client(self, **settings):
        """Settings of librdkafka for the listener without a login; it is quiet about brokers that are gone."""
        return {"bootstrap.servers": self.plaintext, "log_level": 2, **settings}

    @functools.cached_property
    def admin(self):
        return AdminClient(self.client())

    def topic(self, name, partitions=1, **configs):
        """Makes a topic by Kafka's protocol and gives its name."""
        configs = {key.replace("_", "."): value for key, value in configs.items()}
        wait(self.admin.create_topics([NewTopic(name, partitions, config=configs)]))
        return name


def subnets(environment):
    """One subnet a zone of the default network."""
    found = make_client(environment, "ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    return [subnet["SubnetId"] for subnet in found["Subnets"]]


def wish(environment, name, **more):
    """The arguments of CreateCluster for three small brokers with IAM."""
    return {
        "ClusterName": name,
        "KafkaVersion": VERSION,
        "NumberOfBrokerNodes": 3,
        "BrokerNodeGroupInfo": {
            "InstanceType": "kafka.t3.small",
            "ClientSubnets": subnets(environment),
            "StorageInfo": {"EbsStorageInfo": {"VolumeSize": 10}},
        },
        "ClientAuthentication": {"Sasl": {"Iam": {"Enabled": True}}},
        **more,
    }


def active(kafka, arn, seconds=30):
    """Waits until a cluster can be used, as everybody has to: MSK has no waiters."""

    def state():
        info = kafka.describe_cluster_v2(ClusterArn=arn)["ClusterInfo"]
        assert info["State"] != "FAILED", info
        return info if info["State"] == "ACTIVE" else None

    return until(state, f"{arn} is ACTIVE", seconds)


def make(environment, name, **more):
    kafka = make_client(environment, "kafka")
    arn = kafka.create_cluster(**wish(environment, name, **more))["ClusterArn"]
    active(kafka, arn)
    return found(environment, arn)


def found(environment, arn):
    """The cluster with its brokers as they are told now."""
    brokers = make_client(environment, "kafka").get_bootstrap_brokers(ClusterArn=arn)
    return Cluster(arn, brokers["BootstrapBrokerString"], brokers["BootstrapBrokerStringSaslIam"])


def delete(environment, arn):
    kafka = make_client(environment, "kafka")
    kafka.delete_cluster(ClusterArn=arn)

    def gone():
        try:
            kafka.describe_cluster_v2(ClusterArn=arn)
        except kafka.exceptions.NotFoundException:
            return True
        return False

    until(gone, f"{arn} is gone")


def wait(futures, seconds=20):
    """The answers of an admin call, by what they are about. Raises the first refusal."""
    return {key: future.result(seconds) for key, future in futures.items()}


def read(cluster, topic, count=None, seconds=20, begin=0, **settings):
    """The messages of all partitions from an offset on: to their ends, or at least `count`."""
    consumer = Consumer(cluster.client(**{"group.id": "reader", "enable.partition.eof": True, **settings}))
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, begin) for partition in partitions])
        messages, ends = [], set()

        def done():
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    messages.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ends.add(message.partition())
                else:
                    raise AssertionError(message.error())
            return len(messages) >= count if count is not None else len(ends) == len(partitions)

        until(done, f"{topic} is read", seconds)
        return messages
    finally:
        consumer.close()
