"""kill -9 in the middle of the work of sixteen clients: what was acknowledged is there, and nothing is torn.

Every worker writes to Kinesis and S3 in turn and keeps, apart, what it has sent and what was acknowledged. A write that
was cut off may be there or not, but only as a whole.
"""

import collections
import hashlib
import itertools
import random
import threading
import urllib.parse

import pytest
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from cloud import Cloud, make_client, until

pytestmark = pytest.mark.pinfra

WORKERS = 16
ROUNDS = 3
# Enough that every worker is at work, and few enough that a round takes seconds.
BEFORE_THE_KILL = 40 * WORKERS
SHARDS = 4


def payload(worker, number):
    """Says who wrote it, ends in its own checksum, and varies in length over pages and blocks."""
    size = random.Random(worker * 1_000_003 + number).choice([0, 10, 1_000, 5_000, 70_000])
    text = b"%d:%d:" % (worker, number) + b"x" * size
    return text + b":" + hashlib.sha256(text).hexdigest().encode()


def is_whole(content):
    text, _, checksum = content.rpartition(b":")
    return hashlib.sha256(text).hexdigest().encode() == checksum


class Ledger:
    """What was sent and what was acknowledged, over all rounds."""

    def __init__(self):
        self.lock = threading.Lock()
        self.numbers = itertools.count()
        self.sent_records, self.sent_objects = set(), collections.defaultdict(set)
        self.records = {}  # (shard, sequence number) → data
        self.objects = {}  # key → (number, content), the newest that was acknowledged
        self.winners = {}  # key of a conditional write → content
        self.acknowledged = 0

    def next(self):
        with self.lock:
            return next(self.numbers)

    def acknowledge(self, update):
        with self.lock:
            update()
            self.acknowledged += 1


class Worker(threading.Thread):
    def __init__(self, number, environment, stream, bucket, ledger):
        super().__init__(daemon=True)
        once = {"retries": {"total_max_attempts": 1}}
        self.kinesis, self.s3 = make_client(environment, "kinesis", **once), make_client(environment, "s3", **once)
        self.number, self.stream, self.bucket, self.ledger = number, stream, bucket, ledger
        self.problem = None

    def run(self):
        try:
            for step in itertools.cycle([self.one_record, self.batch, self.object, self.overwrite, self.compete]):
                step()
        except (ConnectionError, HTTPClientError):
            pass  # The server is gone, which is what ends a round.
        except Exception as error:
            self.problem = error

    def one_record(self):
        data = payload(self.number, self.ledger.next())
        self.ledger.sent_records.add(data)
        put = self.kinesis.put_record(StreamName=self.stream, PartitionKey=str(hash(data)), Data=data)
        place = put["ShardId"], put["SequenceNumber"]
        self.ledger.acknowledge(lambda: self.ledger.records.update({place: data}))

    def batch(self):
        batch = [payload(self.number, self.ledger.next()) for _ in range(5)]
        self.ledger.sent_records.update(batch)
        entries = [{"PartitionKey": str(hash(data)), "Data": data} for data in batch]
        answer = self.kinesis.put_records(StreamName=self.stream, Records=entries)
        assert answer["FailedRecordCount"] == 0, answer
        places = {(r["ShardId"], r["SequenceNumber"]): data for r, data in zip(answer["Records"], batch, strict=True)}
        self.ledger.acknowledge(lambda: self.ledger.records.update(places))

    def put(self, key, **arguments):
        number = self.ledger.next()
        content = payload(self.number, number)
        self.ledger.sent_objects[key].add(content)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, **arguments)
        return number, content

    def object(self):
        key = f"{self.number}/pins+{self.ledger.next():010}.json"
        put = self.put(key)
        self.ledger.acknowledge(lambda: self.ledger.objects.update({key: put}))

    def overwrite(self):
        """Only this worker writes this key, so after the kill it holds this content or one that was sent later."""
        key = f"{self.number}/head"
        put = self.put(key)
        self.ledger.acknowledge(lambda: self.ledger.objects.update({key: put}))

    def compete(self):
        key = f"locks/{self.ledger.next() // 200}"
        try:
            _number, content = self.put(key, IfNoneMatch="*")
        except ClientError as error:
            # The status, not the code: the kill may cut the body off.
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412), error
            return

        def win():
            assert key not in self.ledger.winners, f"{key} has two winners"
            self.ledger.winners[key] = content

        self.ledger.acknowledge(win)


def check_records(kinesis, stream, ledger):
    found = {}
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        last, behind = -1, 1
        while behind:
            answer = kinesis.get_records(ShardIterator=iterator)
            iterator, behind = answer["NextShardIterator"], answer["MillisBehindLatest"]
            for record in answer["Records"]:
                assert last < int(record["SequenceNumber"]), "sequence numbers rise, also over a restart"
                last = int(record["SequenceNumber"])
                found[shard["ShardId"], record["SequenceNumber"]] = record["Data"]
    torn = [data for data in found.values() if data not in ledger.sent_records]
    assert not torn, f"{len(torn)} records that nobody sent, such as {torn[0][:80]}"
    lost = {place for place, data in ledger.records.items() if found.get(place) != data}
    assert not lost, f"{len(lost)} of {len(ledger.records)} acknowledged records are lost"
    twice = [data for data, times in collections.Counter(found.values()).items() if times > 1]
    assert not twice, f"{len(twice)} records are there twice"


def check_objects(s3, bucket, ledger):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    listed = {entry["Key"]: entry for page in pages for entry in page.get("Contents", [])}
    lost = (ledger.objects.keys() | ledger.winners.keys()) - listed.keys()
    assert not lost, f"{len(lost)} acknowledged objects are lost, such as {min(lost)}"
    for key, entry in listed.items():
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        assert is_whole(content) and content in ledger.sent_objects[key], f"{key} holds what nobody sent"
        assert entry["Size"] == len(content) and entry["ETag"] == f'"{hashlib.md5(content).hexdigest()}"', key
        if key in ledger.objects:
            number, acknowledged = ledger.objects[key]
            assert content == acknowledged or int(content.split(b":")[1]) > number, f"{key} went back in time"
        if key in ledger.winners:
            assert content == ledger.winners[key], f"{key}: the winner's content is gone"


def test_what_was_acknowledged_survives_a_kill(program, tmp_path, name):
    cloud = Cloud(program, tmp_path / "state", "--no-limits", "--settle-ms", "0").start()
    try:
        survive(cloud, name)
    finally:
        cloud.stop()


def survive(cloud, name):
    ledger, environment = Ledger(), cloud.environment
    kinesis, s3 = make_client(environment, "kinesis"), make_client(environment, "s3")
    s3.create_bucket(Bucket=name)
    kinesis.create_stream(StreamName=name, ShardCount=SHARDS)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    for _ in range(ROUNDS):
        work_until_killed(cloud, name, ledger)
        cloud.start()
        assert cloud.environment == environment, "the same port and the same credentials as before"
        check_records(kinesis, name, ledger)
        check_objects(s3, name, ledger)


def work_until_killed(cloud, name, ledger):
    workers = [Worker(number, cloud.environment, name, name, ledger) for number in range(WORKERS)]
    goal = ledger.acknowledged + BEFORE_THE_KILL
    for worker in workers:
        worker.start()
    until(
        lambda: ledger.acknowledged >= goal or any(worker.problem for worker in workers),
        f"{goal} writes are acknowledged",
        seconds=120,
    )
    cloud.kill()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    assert [worker.problem for worker in workers if worker.problem] == []


def test_one_process_at_a_time_uses_a_folder(program, tmp_path):
    """Started twice it is still one server, and the first goes on."""
    cloud = Cloud(program, tmp_path / "state").start()
    try:
        port = urllib.parse.urlsplit(cloud.endpoint).port
        second = Cloud(program, tmp_path / "state", "--port", str(port + 1 if port < 65535 else port - 1))
        with pytest.raises(AssertionError, match="the local cloud left with"):
            second.start()
            until(lambda: second._status() and False, "the second one leaves", seconds=10)
        assert make_client(cloud.environment, "sts").get_caller_identity()["Account"]
        assert cloud.pid == cloud.process.pid
    finally:
        cloud.stop()


def test_a_stop_is_clean(program, tmp_path, name):
    cloud = Cloud(program, tmp_path / "state").start()
    s3 = make_client(cloud.environment, "s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"kept")
    cloud.stop()
    assert cloud.process.returncode == 0, cloud.log()
    cloud.start()
    assert make_client(cloud.environment, "s3").get_object(Bucket=name, Key="a")["Body"].read() == b"kept"
    cloud.stop()
