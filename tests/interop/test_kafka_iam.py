"""The IAM listener: TLS, and tokens of AWS's own signer for the local cloud's user and for sessions of roles."""

import re
import time

import botocore.credentials
import pytest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from cloud import until
from msk import delete, make, wait
from roles import allow, delete_role, make_role, session

pytestmark = pytest.mark.pinfra

CONNECT = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster"]


@pytest.fixture(scope="module")
def cluster(environment):
    made = make(environment, "interop-iam")
    yield made
    delete(environment, made.arn)


@pytest.fixture(scope="module")
def authority(cloud):
    """The certificate authority, where the documentation says."""
    return str(cloud.folder / "local" / "kafka" / "ca.pem")


class Keys(botocore.credentials.CredentialProvider):
    """What the signer asks for credentials."""

    def __init__(self, aws_access_key_id, aws_secret_access_key, aws_session_token=None):
        self.keys = botocore.credentials.Credentials(aws_access_key_id, aws_secret_access_key, aws_session_token)

    def load(self):
        return self.keys


@pytest.fixture
def as_(cluster, authority, environment):
    """`as_(keys)` gives the settings of a client with these keys; without any, with those of the local cloud."""

    def settings(keys=None, region=None, tokens=None, **more):
        keys = keys or {key: environment[key.upper()] for key in ("aws_access_key_id", "aws_secret_access_key")}

        def token(_):
            text, expires = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(
                region or environment["AWS_DEFAULT_REGION"], Keys(**keys)
            )
            if tokens is not None:
                tokens.append(text)
            return text, expires / 1_000

        return {
            "bootstrap.servers": cluster.iam,
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "OAUTHBEARER",
            "ssl.ca.location": authority,
            "oauth_cb": token,
            "log_level": 1,
            **more,
        }

    return settings


@pytest.fixture
def resource(cluster):
    """The ARN of a topic or group of the cluster, as policies name them; `*` for all."""
    return lambda kind, name: f"{cluster.arn.replace(':cluster/', f':{kind}/')}/{name}"


@pytest.fixture
def role(environment, name):
    arn = make_role(environment, name)
    yield arn
    delete_role(environment, name)


def sent(settings, topic, seconds=8):
    """What became of a message: nothing that is wrong, or the error of Kafka."""
    settings = {"message.timeout.ms": seconds * 1_000, "topic.metadata.propagation.max.ms": 0, **settings}
    producer, reports = Producer(settings), []
    producer.produce(topic, b"x", on_delivery=lambda error, _: reports.append(error and error.code()))
    producer.flush(seconds + 5)
    [report] = reports
    return report


def failure(settings, seconds=10):
    """The text with which a client is kept out, as its user sees it."""
    errors = []
    client = AdminClient({**settings, "error_cb": lambda error: errors.append(str(error))})

    def told():
        client.poll(0.1)
        return [error for error in errors if "brokers are down" not in error]

    return until(told, "an error is told", seconds)[0]


def test_the_user_of_the_local_cloud_may_do_everything(cluster, as_, name):
    admin = AdminClient(as_())
    wait(admin.create_topics([NewTopic(name, 2, 3)]))
    assert {f"{b.host}:{b.port}" for b in admin.list_topics(timeout=10).brokers.values()} == set(cluster.iam.split(","))
    assert sent(as_(), name) is None
    assert sent(as_(**{"enable.idempotence": True, "acks": "all", "compression.type": "zstd"}), name) is None
    consumer = Consumer(as_(**{"group.id": name, "auto.offset.reset": "earliest"}))
    consumer.subscribe([name])
    got = []
    until(lambda: got.extend(consumer.consume(10, 0.2)) or len(got) == 2, "both messages are there")
    assert [message.value() for message in got] == [b"x", b"x"]
    consumer.commit(asynchronous=False)
    consumer.close()
    wait(admin.delete_topics([name]))


def test_a_session_that_may_write(cluster, as_, resource, environment, name, role):
    """The least that a producer needs by AWS's table; and nothing that was not given."""
    mine, other = cluster.topic(f"{name}.mine"), cluster.topic(f"{name}.other")
    allow(
        environment,
        name,
        [(CONNECT, cluster.arn), (["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"], resource("topic", mine))],
    )
    settings = as_(session(environment, role))
    assert sent(settings, mine) is None
    assert sent(settings, other) in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._UNKNOWN_TOPIC)
    admin = AdminClient(settings)
    assert mine in admin.list_topics(timeout=10).topics and other not in admin.list_topics(timeout=10).topics
    for futures in (admin.create_topics([NewTopic(f"{name}.new", 1)]), admin.delete_topics([mine])):
        with pytest.raises(KafkaException) as caught:
            wait(futures)
        assert caught.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    consumer, codes = Consumer({**settings, "group.id": name}), []
    consumer.assign([TopicPartition(mine, 0, 0)])

    def refused():
        # The group, which it may not see either, is refused in between.
        message = consumer.poll(0.5)
        assert message is None or message.error(), "it may write, and not read"
        codes.append(message and message.error().code())
        return KafkaError.TOPIC_AUTHORIZATION_FAILED in codes

    until(refused, "reading is refused")
    consumer.close()


def test_an_idempotent_producer_needs_its_permission(cluster, as_, resource, environment, name, role):
    topic = cluster.topic(name)
    write = (["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"], resource("topic", topic))
    allow(environment, name, [(CONNECT, cluster.arn), write])
    settings = as_(session(environment, role), **{"enable.idempotence": True})
    producer = Producer({**settings, "log_level": 0})
    with pytest.raises(KafkaException) as caught:
        until(lambda: producer.poll(0.1), "the producer is told")
    error = caught.value.args[0]
    assert error.fatal() and error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED, error
    allow(environment, name, [([*CONNECT, "kafka-cluster:WriteDataIdempotently"], cluster.arn), write])
    assert sent(settings, topic) is None


def test_a_session_that_may_read_as_one_group(cluster, as_, resource, environment, name, role):
    topic = cluster.topic(name)
    assert sent(as_(), topic) is None
    allow(
        environment,
        name,
        [
            (CONNECT, cluster.arn),
            (["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"], resource("topic", topic)),
            (["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"], resource("group", f"{name}-mine")),
        ],
    )
    settings = as_(session(environment, role), **{"auto.offset.reset": "earliest"})
    consumer = Consumer({**settings, "group.id": f"{name}-mine"})
    consumer.subscribe([topic])
    message = until(lambda: consumer.poll(0.5), "the message is there")
    assert message.error() is None and message.value() == b"x"
    consumer.close()
    stranger = Consumer({**settings, "group.id": f"{name}-other"})
    stranger.subscribe([topic])
    message = until(lambda: stranger.poll(0.5), "the group is refused")
    assert message.error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    stranger.close()


def test_a_permission_that_is_taken_away(cluster, as_, resource, environment, name, role):
    """A decision holds for a second; the connection stays."""
    topic = cluster.topic(name)
    connect = (CONNECT, cluster.arn)
    write = (["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"], resource("topic", topic))
    allow(environment, name, [connect, write])
    settings = as_(session(environment, role), **{"topic.metadata.refresh.interval.ms": 500})
    producer, codes = Producer(settings), []

    def send():
        try:
            producer.produce(topic, b"x", on_delivery=lambda error, _: codes.append(error and error.code()))
        except KafkaException as error:
            # It knows already, until it asks for the topic again.
            return error.args[0].code()
        assert producer.flush(10) == 0
        return codes[-1]

    assert send() is None
    allow(environment, name, [connect])
    until(lambda: send() == KafkaError.TOPIC_AUTHORIZATION_FAILED, "it is refused")
    allow(environment, name, [connect, write])
    until(lambda: send() is None, "it is taken again")


def test_a_session_that_may_not_connect(as_, environment, name, role):
    allow(environment, name, [(["kafka-cluster:DescribeCluster"], "*")])
    text = failure(as_(session(environment, role)))
    assert "_AUTHENTICATION" in text and "kafka-cluster:Connect" in text, text


def test_tokens_that_are_wrong(as_, environment):
    """Each is refused in words that say why, and never show a key."""
    good = {key: environment[key.upper()] for key in ("aws_access_key_id", "aws_secret_access_key")}
    wrong = [
        (as_({**good, "aws_secret_access_key": "wrong"}), "signature"),
        (as_({**good, "aws_access_key_id": "AKIAUNKNOWNUNKNOWN00"}), "not known"),
        (as_({**good, "aws_session_token": "stolen"}), "session token"),
        (as_(region="eu-west-1"), "eu-west-1"),
        (as_(oauth_cb=lambda _: ("bm90IGEgdG9rZW4", 4_000_000_000)), "signed URL"),
    ]
    for settings, words in wrong:
        text = failure(settings)
        assert re.search(words, text) and good["aws_secret_access_key"] not in text, text


def test_clients_that_come_the_wrong_way(cluster, as_, authority):
    """No TLS; TLS without the authority; TLS without a login; a mechanism that is not there."""
    settings = {"bootstrap.servers": cluster.iam, "log_level": 0}
    tls = {**settings, "security.protocol": "SSL", "ssl.ca.location": authority}
    for wrong in (settings, tls):
        with pytest.raises(KafkaException):
            AdminClient(wrong).list_topics(timeout=3)
    assert "certificate verify failed" in failure({**as_(), "ssl.ca.location": "probe"})
    plain = {**as_(), "sasl.mechanisms": "PLAIN", "sasl.username": "a", "sasl.password": "b"}
    plain.pop("oauth_cb")
    text = failure(plain)
    assert "OAUTHBEARER" in text, text


def test_a_token_is_renewed_on_the_way(cluster, as_, name):
    """librdkafka comes with a new one at four fifths of the time that its callback told."""
    topic, tokens = cluster.topic(name), []
    settings = as_(tokens=tokens)
    signed = settings["oauth_cb"]

    def short(text):
        return signed(text)[0], time.time() + 3

    producer, failed = Producer({**settings, "oauth_cb": short}), []

    def more():
        producer.produce(topic, b"x", on_delivery=lambda error, _: error and failed.append(error))
        producer.flush(5)
        return len(tokens) >= 4

    until(more, "some tokens were used", 20)
    assert not failed and len(set(tokens)) >= 3
