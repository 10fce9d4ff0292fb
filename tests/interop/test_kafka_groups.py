"""Consumer groups by librdkafka: members come, leave and die; offsets; what administrators see and do."""

import collections
import json
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

from cloud import until
from msk import delete, make, wait

pytestmark = pytest.mark.pinfra

PARTITIONS = 6

# A member in a process of its own, so that it can die without a word. It says what it got.
MEMBER = """
import json, sys
from confluent_kafka import Consumer
consumer = Consumer(json.loads(sys.argv[1]))
told = lambda _, partitions: print(json.dumps(sorted(p.partition for p in partitions)), flush=True)
consumer.subscribe([sys.argv[2]], on_assign=told)
while True:
    consumer.poll(1)
"""


@pytest.fixture(scope="module")
def cluster(environment):
    made = make(environment, "interop-groups")
    yield made
    delete(environment, made.arn)


@pytest.fixture
def admin(cluster):
    return cluster.admin


class Member(threading.Thread):
    """A consumer that keeps what it got and which partitions it has."""

    def __init__(self, cluster, group, topic, strategy="range", **settings):
        super().__init__(daemon=True)
        self.settings = cluster.client(
            **{
                "group.id": group,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": strategy,
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 500,
                "auto.commit.interval.ms": 200,
                **settings,
            }
        )
        self.topic, self.partitions, self.values = topic, set(), []
        self.leaving, self.problem, self.rebalances = threading.Event(), None, 0
        self.start()

    def run(self):
        consumer = Consumer(self.settings)
        consumer.subscribe([self.topic])
        try:
            while not self.leaving.is_set():
                message = consumer.poll(0.1)
                now = {partition.partition for partition in consumer.assignment()}
                self.rebalances += now != self.partitions
                self.partitions = now
                if message is None:
                    continue
                if message.error():
                    raise KafkaException(message.error())
                self.values.append(message.value())
        except Exception as error:
            self.problem = error
        finally:
            consumer.close()
            self.partitions = set()

    def leave(self):
        self.leaving.set()
        self.join(20)
        assert not self.is_alive() and self.problem is None, self.problem


def shared(members, partitions=PARTITIONS):
    """Whether each partition is at exactly one of them, and they have about the same number."""
    assert not [member.problem for member in members if member.problem]
    all_of_them = [partition for member in members for partition in member.partitions]
    counts = [len(member.partitions) for member in members]
    return sorted(all_of_them) == list(range(partitions)) and max(counts) - min(counts) <= 1


class Source:
    """Numbered messages, without an end until told."""

    def __init__(self, cluster, topic):
        self.cluster, self.topic, self.sent, self.done = cluster, topic, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        producer = Producer(self.cluster.client(**{"linger.ms": 5}))
        while not self.done.is_set():
            producer.produce(self.topic, b"%d" % self.sent, partition=self.sent % PARTITIONS)
            self.sent += 1
            producer.poll(0.002)
        assert producer.flush(20) == 0

    def end(self):
        self.done.set()
        self.thread.join(30)
        return self.sent


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_members_come_and_leave(cluster, name, strategy):
    """One, two, three members, then one less, while messages come: each message is taken by somebody."""
    topic = cluster.topic(name, PARTITIONS)
    source = Source(cluster, topic)
    members = []
    for count in (1, 2, 3):
        members.append(Member(cluster, name, topic, strategy))
        until(lambda: shared(members), f"{count} members share the partitions")
    gone = members.pop(0)
    gone.leave()
    until(lambda: shared(members), "the two that stay share the partitions")
    sent = source.end()

    def taken():
        return {int(value) for member in [gone, *members] for value in member.values}

    until(lambda: len(taken()) == sent, "all messages are taken")
    assert taken() == set(range(sent))
    counts = collections.Counter(value for member in [gone, *members] for value in member.values)
    twice = sum(count > 1 for count in counts.values())
    # Offsets are committed before a partition is given away, so close to nothing is read by two.
    assert twice <= sent // 20, f"{twice} of {sent} messages came twice"
    for member in members:
        member.leave()


def test_a_member_dies(cluster, admin, name):
    """Killed, it says nothing: its partitions go to the other after its session time, and not before."""
    topic = cluster.topic(name, PARTITIONS)
    settings = {
        "group.id": name,
        "client.id": "mortal",
        "session.timeout.ms": 6_000,
        "heartbeat.interval.ms": 500,
        "partition.assignment.strategy": "range",
    }
    command = [sys.executable, "-c", MEMBER, json.dumps(cluster.client(**settings)), topic]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as mortal:
        assert json.loads(mortal.stdout.readline()) == list(range(PARTITIONS))
        other = Member(cluster, name, topic)
        assert len(json.loads(mortal.stdout.readline())) == PARTITIONS // 2
        until(lambda: len(other.partitions) == PARTITIONS // 2, "the other has half of the partitions")
        [described] = wait(admin.describe_consumer_groups([name])).values()
        assert sorted(member.client_id for member in described.members) == ["mortal", "rdkafka"]
        mortal.kill()
    died = time.monotonic()
    until(lambda: len(other.partitions) == PARTITIONS, "the other has all partitions", 20)
    assert 3 < time.monotonic() - died < 12, "after the session time of 6 s"
    other.leave()


def test_a_static_member_comes_back_to_its_partitions(cluster, name):
    """With an instance id a restart within the session time disturbs nobody (KIP-345)."""
    topic = cluster.topic(name, PARTITIONS)
    members = [Member(cluster, name, topic, **{"group.instance.id": f"static-{n}"}) for n in range(2)]
    until(lambda: shared(members), "two members share the partitions")
    before, rebalances = set(members[0].partitions), members[1].rebalances
    members[0].leave()
    members[0] = Member(cluster, name, topic, **{"group.instance.id": "static-0"})
    until(lambda: members[0].partitions == before, "it has the same partitions again")
    assert members[1].rebalances == rebalances, "the other was left alone"
    for member in members:
        member.leave()


def test_two_static_members_of_one_name(cluster, name):
    """The later one wins; the earlier one is told that it is fenced."""
    topic = cluster.topic(name)
    first = Member(cluster, name, topic, **{"group.instance.id": "only"})
    until(lambda: first.partitions == {0}, "the first has the partition")
    second = Member(cluster, name, topic, **{"group.instance.id": "only"})
    until(lambda: first.problem, "the first is fenced")
    assert first.problem.args[0].code() in (KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID), first.problem
    until(lambda: second.partitions == {0}, "the second has the partition")
    second.leave()


def test_lag_and_committed_offsets(cluster, admin, name):
    topic = cluster.topic(name, 2)
    producer = Producer(cluster.client())
    for n in range(30):
        producer.produce(topic, b"%d" % n, partition=n % 2)
    assert producer.flush(20) == 0
    consumer = Consumer(cluster.client(**{"group.id": name, "enable.auto.commit": False}))
    both = [TopicPartition(topic, partition) for partition in range(2)]
    assert [partition.offset for partition in consumer.committed(both, 10)] == [-1001, -1001]
    wanted = [TopicPartition(topic, 0, 5, metadata="half way"), TopicPartition(topic, 1, 15)]
    consumer.commit(offsets=wanted, asynchronous=False)
    found = consumer.committed(both, 10)
    assert [partition.offset for partition in found] == [5, 15] and found[0].metadata == "half way"
    consumer.close()

    [listed] = wait(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])).values()
    offsets = {partition.partition: partition.offset for partition in listed.topic_partitions}
    ends = Consumer(cluster.client(**{"group.id": f"{name}-other"}))
    lag = {n: ends.get_watermark_offsets(TopicPartition(topic, n), 10)[1] - offsets[n] for n in offsets}
    ends.close()
    assert lag == {0: 10, 1: 0}

    # An administrator puts it back; who comes next begins there.
    back = ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 0, 0), TopicPartition(topic, 1, 14)])
    wait(admin.alter_consumer_group_offsets([back]))
    member = Member(cluster, name, topic)
    until(lambda: len(member.values) == 16, "what is after the offsets was read")
    member.leave()


def test_groups_are_listed_described_and_deleted(cluster, admin, name):
    topic = cluster.topic(name, PARTITIONS)
    members = [Member(cluster, name, topic, **{"client.id": f"client-{n}"}) for n in range(2)]
    until(lambda: shared(members), "two members share the partitions")

    def listed(**how):
        answer = admin.list_consumer_groups(**how).result(10)
        assert not answer.errors
        return {group.group_id: group.state for group in answer.valid}

    assert listed()[name] == ConsumerGroupState.STABLE
    assert name not in listed(states={ConsumerGroupState.EMPTY})
    [group] = wait(admin.describe_consumer_groups([name])).values()
    assert group.state == ConsumerGroupState.STABLE and group.partition_assignor == "range"
    assert group.coordinator.id in (1, 2, 3)
    shown = {
        member.client_id: {p.partition for p in member.assignment.topic_partitions if p.topic == topic}
        for member in group.members
    }
    assert shown == {f"client-{n}": members[n].partitions for n in range(2)}
    assert all(member.host.strip("/") == "127.0.0.1" for member in group.members)

    def refusal(futures):
        with pytest.raises(KafkaException) as caught:
            wait(futures)
        return caught.value.args[0].code()

    assert refusal(admin.delete_consumer_groups([name])) == KafkaError.NON_EMPTY_GROUP
    for member in members:
        member.leave()
    until(lambda: listed()[name] == ConsumerGroupState.EMPTY, "the group is empty")
    wait(admin.delete_consumer_groups([name]))
    assert name not in listed()
    assert refusal(admin.delete_consumer_groups([name])) == KafkaError.GROUP_ID_NOT_FOUND
    [gone] = wait(admin.describe_consumer_groups([name])).values()
    assert gone.state == ConsumerGroupState.DEAD and gone.members == []


def test_a_topic_that_comes_later_is_consumed(cluster, name):
    """By a pattern: a topic that is made after the member came is found with the next metadata."""
    settings = {"topic.metadata.refresh.interval.ms": 500, "allow.auto.create.topics": False}
    member = Member(cluster, name, f"^{name}\\..*", **settings)
    topic = cluster.topic(f"{name}.later")
    producer = Producer(cluster.client())
    producer.produce(topic, b"late")
    assert producer.flush(20) == 0
    until(lambda: member.values == [b"late"], "the message of the later topic is there")
    member.leave()
