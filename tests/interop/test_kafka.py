"""Kafka clients that are not ours: confluent-kafka (librdkafka) and kafka-python, at a cluster that boto3 made."""

import hashlib
import random
import subprocess
import sys
import time

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from msk import delete, make, read, wait

pytestmark = pytest.mark.pinfra

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module")
def cluster(environment):
    made = make(environment, "interop-kafka")
    yield made
    delete(environment, made.arn)


@pytest.fixture
def admin(cluster):
    return cluster.admin


def produce(cluster, topic, messages, **settings):
    """Sends (key, value) pairs, or dictionaries of what `produce` takes; gives the acknowledged messages."""
    producer = Producer(cluster.client(**{"linger.ms": 20, **settings}))
    reports, failures = [], []

    def report(error, message):
        if error is None:
            reports.append(message)
        else:
            failures.append(error)

    for message in messages:
        arguments = message if isinstance(message, dict) else {"key": message[0], "value": message[1]}
        while True:
            try:
                producer.produce(topic, on_delivery=report, **arguments)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(30) == 0, "some messages are still under way"
    assert not failures, failures[:3]
    return reports


def code_of(call):
    """The error code of Kafka with which a call is refused."""
    with pytest.raises(KafkaException) as caught:
        wait(call) if isinstance(call, dict) else call()
    return caught.value.args[0].code()


def test_the_cluster_tells_of_its_brokers(cluster, admin):
    metadata = admin.list_topics(timeout=10)
    assert sorted(metadata.brokers) == [1, 2, 3] and metadata.controller_id in metadata.brokers
    addresses = {f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()}
    assert addresses == set(cluster.plaintext.split(","))
    described = admin.describe_cluster(include_authorized_operations=True).result(10)
    assert described.cluster_id == metadata.cluster_id and len(described.nodes) == 3


@pytest.mark.parametrize("codec", CODECS)
def test_each_compression_comes_back_whole(cluster, name, codec):
    """Small and large, what compresses and what does not, in batches and alone."""
    topic = cluster.topic(name, 3, max_message_bytes="8388608")
    noise = random.Random(codec)
    values = [b"", b"x", *(b"row %d " % n * (n % 50) for n in range(400)), noise.randbytes(300_000), b"a" * 3_000_000]
    sent = [(str(n).encode(), value) for n, value in enumerate(values)]
    limit = {"message.max.bytes": 8_388_608, "compression.type": codec}
    reports = produce(cluster, topic, sent, **limit)
    assert len({(report.partition(), report.offset()) for report in reports}) == len(sent)
    got = {(message.key(), message.value()) for message in read(cluster, topic, **{"fetch.message.max.bytes": 100_000})}
    assert got == set(sent)


def test_records_keep_all_they_have(cluster, name):
    """Headers (also twice the same, and empty), times, tombstones, and no key at all."""
    topic = cluster.topic(name)
    headers = [("a", b"1"), ("a", b"\x00\xff"), ("é", None), ("", b"")]
    produce(
        cluster,
        topic,
        [
            {"key": b"k", "value": b"v", "headers": headers, "timestamp": 1_546_300_800_123},
            {"key": b"k", "value": None},
            {"value": b"without a key"},
        ],
    )
    first, tombstone, keyless = read(cluster, topic)
    assert first.headers() == headers and first.timestamp() == (TIMESTAMP_CREATE_TIME, 1_546_300_800_123)
    assert (tombstone.key(), tombstone.value()) == (b"k", None)
    assert (keyless.key(), keyless.value(), keyless.headers()) == (None, b"without a key", None)
    assert [message.offset() for message in (first, tombstone, keyless)] == [0, 1, 2]


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_every_kind_of_acknowledgement(cluster, name, acks):
    topic = cluster.topic(name)
    produce(cluster, topic, [(None, b"%d" % n) for n in range(1_000)], acks=acks)
    values = [int(message.value()) for message in read(cluster, topic, 1_000)]
    assert values == list(range(1_000))


def test_what_is_too_large_is_refused(cluster, name):
    topic = cluster.topic(name, max_message_bytes="1000")
    producer, errors = Producer(cluster.client()), []
    producer.produce(topic, random.Random(1).randbytes(5_000), on_delivery=lambda error, _: errors.append(error))
    producer.produce(topic, b"small", on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    codes = [error and error.code() for error in errors]
    assert KafkaError.MSG_SIZE_TOO_LARGE in codes, codes
    # Apart from the large one it goes.
    produce(cluster, topic, [(None, b"small")])


def test_topics_are_made_described_and_deleted(cluster, admin, name):
    other = f"{name}.other_one"
    wait(admin.create_topics([NewTopic(name, 5, 2, config={"retention.ms": "3600000"}), NewTopic(other)]))
    listed = admin.list_topics(timeout=10).topics
    assert len(listed[name].partitions) == 5 and len(listed[other].partitions) == 1
    [described] = wait(admin.describe_topics(TopicCollection([name]))).values()
    assert described.name == name and len(described.partitions) == 5 and not described.is_internal
    for partition in described.partitions:
        assert len(partition.replicas) == 2 and len(partition.isr) == 2
        assert partition.leader.id in [replica.id for replica in partition.replicas]
    assert len({partition.leader.id for partition in described.partitions}) == 3, "leaders are spread over the brokers"

    assert code_of(admin.create_topics([NewTopic(name, 1)])) == KafkaError.TOPIC_ALREADY_EXISTS
    assert code_of(admin.create_topics([NewTopic("a b", 1)])) == KafkaError.TOPIC_EXCEPTION
    assert code_of(admin.create_topics([NewTopic(f"{name}-x", 1, 4)])) == KafkaError.INVALID_REPLICATION_FACTOR
    assert code_of(admin.create_topics([NewTopic(f"{name}-x", 0)])) == KafkaError.INVALID_PARTITIONS
    config = {"retention.ms": "soon"}
    assert code_of(admin.create_topics([NewTopic(f"{name}-x", 1, config=config)])) == KafkaError.INVALID_CONFIG
    wait(admin.create_topics([NewTopic(f"{name}-x", 1)], validate_only=True))
    assert f"{name}-x" not in admin.list_topics(timeout=10).topics

    wait(admin.delete_topics([name, other]))
    assert not {name, other} & set(admin.list_topics(timeout=10).topics)
    assert code_of(admin.delete_topics([name])) == KafkaError.UNKNOWN_TOPIC_OR_PART
    # A topic of the same name begins anew.
    wait(admin.create_topics([NewTopic(name, 1)]))
    assert read(cluster, name) == []


def test_nothing_makes_a_topic_by_the_way(cluster, admin, name):
    producer, errors = Producer(cluster.client(**{"topic.metadata.propagation.max.ms": 0})), []
    producer.produce(name, b"x", on_delivery=lambda error, _: errors.append(error.code()))
    assert producer.flush(20) == 0
    assert errors == [KafkaError.UNKNOWN_TOPIC_OR_PART]
    assert name not in admin.list_topics(timeout=10).topics


def test_partitions_grow_and_do_not_shrink(cluster, admin, name):
    cluster.topic(name, 2)
    produce(cluster, name, [(b"%d" % n, b"before") for n in range(20)])
    wait(admin.create_partitions([NewPartitions(name, 4)]))
    assert len(admin.list_topics(name, timeout=10).topics[name].partitions) == 4
    assert code_of(admin.create_partitions([NewPartitions(name, 3)])) == KafkaError.INVALID_PARTITIONS
    produce(cluster, name, [{"value": b"after", "partition": 3}])
    messages = read(cluster, name)
    assert len(messages) == 21 and [m.value() for m in messages if m.partition() == 3] == [b"after"]


def test_configs_are_told_and_changed(cluster, admin, name):
    cluster.topic(name, retention_ms="7200000")
    resource = ConfigResource(ResourceType.TOPIC, name)

    def configs():
        [found] = wait(admin.describe_configs([resource])).values()
        return found

    found = configs()
    assert found["retention.ms"].value == "7200000" and not found["retention.ms"].is_default
    assert found["max.message.bytes"].is_default and found["cleanup.policy"].value == "delete"
    assert "log.retention.ms" in found["retention.ms"].synonyms

    for value, operation in (("5000", AlterConfigOpType.SET), (None, AlterConfigOpType.DELETE)):
        entry = ConfigEntry("retention.ms", value, incremental_operation=operation)
        wait(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])]))
        assert configs()["retention.ms"].value == (value or "604800000")
    with pytest.warns(DeprecationWarning):
        replaced = admin.alter_configs([ConfigResource(ResourceType.TOPIC, name, set_config={"segment.bytes": "9999"})])
    wait(replaced)
    assert configs()["segment.bytes"].value == "9999"
    entry = ConfigEntry("no.such.config", "1", incremental_operation=AlterConfigOpType.SET)
    wrong = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    assert code_of(admin.incremental_alter_configs([wrong])) == KafkaError.INVALID_CONFIG
    absent = ConfigResource(ResourceType.TOPIC, f"{name}-absent")
    assert code_of(admin.describe_configs([absent])) == KafkaError.UNKNOWN_TOPIC_OR_PART

    broker = ConfigResource(ResourceType.BROKER, "1")
    [found] = wait(admin.describe_configs([broker])).values()
    assert found["auto.create.topics.enable"].value == "false" and found["default.replication.factor"].value == "3"


def test_offsets_for_times(cluster, admin, name):
    cluster.topic(name)
    times = [1_600_000_000_000 + 1_000 * n for n in range(10)]
    for time_ in times:  # a batch each
        produce(cluster, name, [{"value": b"x", "timestamp": time_}])
    consumer = Consumer(cluster.client(**{"group.id": name}))
    asked = [times[0] - 1, times[3], times[3] + 1, times[-1] + 1]
    offsets = [consumer.offsets_for_times([TopicPartition(name, 0, time_)], 10)[0].offset for time_ in asked]
    assert offsets == [0, 3, 4, -1]
    assert consumer.get_watermark_offsets(TopicPartition(name, 0), 10) == (0, 10)
    consumer.close()

    def listed(spec):
        answer = admin.list_offsets({TopicPartition(name, 0): spec}, isolation_level=IsolationLevel.READ_COMMITTED)
        [found] = wait(answer).values()
        return found.offset, found.timestamp

    assert listed(OffsetSpec.earliest())[0] == 0 and listed(OffsetSpec.latest())[0] == 10
    assert listed(OffsetSpec.max_timestamp()) == (9, times[-1])
    assert listed(OffsetSpec.for_timestamp(times[5])) == (5, times[5])


def test_times_inside_of_a_batch(cluster, name):
    """Compressed batches are looked into: the offset is that of a record, not of its batch."""
    cluster.topic(name)
    begin = 1_600_000_000_000
    messages = [{"value": b"x" * 100, "timestamp": begin + n} for n in range(500)]
    produce(cluster, name, messages, **{"compression.type": "zstd", "linger.ms": 200})
    consumer = Consumer(cluster.client(**{"group.id": name}))
    for n in (0, 1, 250, 499):
        [found] = consumer.offsets_for_times([TopicPartition(name, 0, begin + n)], 10)
        assert found.offset == n
    consumer.close()


def test_records_are_deleted_up_to_an_offset(cluster, admin, name):
    cluster.topic(name)
    produce(cluster, name, [(None, b"%d" % n) for n in range(100)])
    deleted = wait(admin.delete_records([TopicPartition(name, 0, 40)]))
    assert [answer.low_watermark for answer in deleted.values()] == [40]
    consumer = Consumer(cluster.client(**{"group.id": name}))
    assert consumer.get_watermark_offsets(TopicPartition(name, 0), 10) == (40, 100)
    consumer.close()
    assert [int(m.value()) for m in read(cluster, name, begin=40)] == list(range(40, 100))
    # Who asks for what is gone is sent to what there is.
    late = read(cluster, name, 60, begin=10, **{"auto.offset.reset": "earliest"})
    assert int(late[0].value()) == 40
    assert code_of(admin.delete_records([TopicPartition(name, 0, 101)])) == KafkaError.OFFSET_OUT_OF_RANGE


def test_an_idempotent_producer_keeps_the_order(cluster, name):
    """Five requests under way at once, in three partitions: each value once, in its place."""
    topic = cluster.topic(name, 3)
    messages = [{"value": b"%d" % n, "partition": n % 3} for n in range(20_000)]
    settings = {"enable.idempotence": True, "batch.num.messages": 100, "linger.ms": 1}
    produce(cluster, topic, messages, **settings)
    found = {0: [], 1: [], 2: []}
    for message in read(cluster, topic):
        found[message.partition()].append(int(message.value()))
    assert found == {partition: list(range(partition, 20_000, 3)) for partition in range(3)}


def test_transactions_are_refused_in_words(cluster):
    """They are not there; what a client needs for them is not promised to it."""
    producer = Producer(cluster.client(**{"transactional.id": "t"}))
    with pytest.raises(KafkaException) as caught:
        producer.init_transactions(5)
    assert "transactions are not supported by the local cloud" in caught.value.args[0].str()


def test_a_large_fetch_in_small_pieces(cluster, name):
    """A record that is larger than what a consumer asks for comes all the same, or it would never get past it."""
    topic = cluster.topic(name, max_message_bytes="8388608")
    values = [random.Random(n).randbytes(2_000_000 if n % 2 else 10) for n in range(6)]
    produce(cluster, topic, [(None, value) for value in values], **{"message.max.bytes": 8_388_608})
    settings = {"fetch.message.max.bytes": 1_000, "fetch.max.bytes": 1_000_000, "message.max.bytes": 1_000}
    got = read(cluster, topic, **settings)
    assert [hashlib.sha256(m.value()).digest() for m in got] == [hashlib.sha256(value).digest() for value in values]


def test_a_waiting_consumer_is_told_at_once(cluster, name):
    """A fetch waits at the broker: what comes meanwhile is there long before its time is over."""
    topic = cluster.topic(name)
    consumer = Consumer(cluster.client(**{"group.id": name, "fetch.wait.max.ms": 10_000}))
    consumer.assign([TopicPartition(topic, 0, 0)])
    assert consumer.poll(0.5) is None
    produce(cluster, topic, [(None, b"now")], **{"linger.ms": 0})
    began = time.monotonic()
    assert consumer.poll(9).value() == b"now" and time.monotonic() - began < 5
    consumer.close()


def test_kafka_python(cluster, name):
    """A third client, written in Python from the protocol alone; in a process of its own."""
    script = r"""
import sys
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
servers, topic = sys.argv[1].split(","), sys.argv[2]
admin = KafkaAdminClient(bootstrap_servers=servers)
admin.create_topics([NewTopic(topic, 3, 3)])
assert topic in admin.list_topics()
for codec in (None, "gzip"):
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", compression_type=codec, linger_ms=10)
    sent = [producer.send(topic, key=b"%d" % n, value=b"v%d" % n, headers=[("h", b"1")]) for n in range(500)]
    assert all(future.get(20).offset >= 0 for future in sent)
    producer.close()
consumer = KafkaConsumer(topic, bootstrap_servers=servers, group_id=topic, auto_offset_reset="earliest",
                         consumer_timeout_ms=20000)
seen = []
for message in consumer:
    seen.append((message.key, message.value, tuple(message.headers)))
    if len(seen) == 1000:
        break
assert sorted(seen) == sorted(2 * [(b"%d" % n, b"v%d" % n, (("h", b"1"),)) for n in range(500)]), len(seen)
consumer.commit()
ends = consumer.end_offsets([TopicPartition(topic, p) for p in range(3)])
assert sum(ends.values()) == 1000, ends
consumer.close()
admin.delete_topics([topic])
admin.close()
print("good")
"""
    command = [sys.executable, "-c", script, cluster.plaintext, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.stdout.strip() == "good", done.stdout + done.stderr
