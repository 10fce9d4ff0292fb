"""Kinesis as boto3 sees it."""

import datetime
import hashlib
import time

import pytest
from botocore.exceptions import WaiterError

from cloud import until

QUICK = {"Delay": 1, "MaxAttempts": 30}
WHOLE_RANGE = 2**128


@pytest.fixture
def stream(kinesis, name):
    """A stream of two shards."""
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=QUICK)
    yield name
    kinesis.delete_stream(StreamName=name, EnforceConsumerDeletion=True)


def active(kinesis, stream):
    def summary():
        described = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        return described if described["StreamStatus"] == "ACTIVE" else None

    return until(summary, f"{stream} is ACTIVE")


def shards(kinesis, stream, **arguments):
    return kinesis.list_shards(StreamName=stream, **arguments)["Shards"]


def hash_range(shard):
    return int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"])


def is_open(shard):
    return "EndingSequenceNumber" not in shard["SequenceNumberRange"]


def read(kinesis, stream, shard, count, kind="TRIM_HORIZON", **position):
    """Reads until `count` records are there; one more than that would be returned too."""
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType=kind, **position)
    return read_on(kinesis, iterator["ShardIterator"], count)


def read_on(kinesis, iterator, count):
    records = []
    deadline = time.monotonic() + 30
    while iterator and time.monotonic() < deadline:
        answer = kinesis.get_records(ShardIterator=iterator, Limit=1000)
        records += answer["Records"]
        if len(records) >= count and answer["MillisBehindLatest"] == 0:
            break
        iterator = answer.get("NextShardIterator")
    return records


def data(records):
    return [record["Data"] for record in records]


def test_a_new_stream_is_described(kinesis, stream):
    summary = active(kinesis, stream)
    account = summary["StreamARN"].split(":")[4]
    assert len(account) == 12 and account.isdigit()
    assert summary["StreamARN"] == f"arn:aws:kinesis:us-east-1:{account}:stream/{stream}"
    assert summary["OpenShardCount"] == 2
    assert summary["RetentionPeriodHours"] == 24
    assert summary.get("EncryptionType", "NONE") == "NONE"
    assert summary["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    age = datetime.datetime.now(datetime.UTC) - summary["StreamCreationTimestamp"]
    assert abs(age.total_seconds()) < 120
    assert stream in kinesis.list_streams(Limit=10_000)["StreamNames"]

    ranges = sorted(hash_range(shard) for shard in shards(kinesis, stream))
    assert ranges == [(0, WHOLE_RANGE // 2 - 1), (WHOLE_RANGE // 2, WHOLE_RANGE - 1)]
    by_arn = kinesis.describe_stream(StreamARN=summary["StreamARN"])["StreamDescription"]
    assert [shard["ShardId"] for shard in by_arn["Shards"]] == ["shardId-000000000000", "shardId-000000000001"]
    assert by_arn["HasMoreShards"] is False


def test_a_key_goes_to_the_shard_of_its_md5(kinesis, stream):
    ranges = {shard["ShardId"]: hash_range(shard) for shard in shards(kinesis, stream)}
    seen = set()
    for key in [*"abcdefgh", "clé", "漢" * 256]:
        digest = int(hashlib.md5(key.encode()).hexdigest(), 16)
        put = kinesis.put_record(StreamName=stream, PartitionKey=key, Data=key.encode())
        low, high = ranges[put["ShardId"]]
        assert low <= digest <= high, key
        seen.add(put["ShardId"])
    assert len(seen) == 2
    for explicit, shard in [(0, "shardId-000000000000"), (WHOLE_RANGE - 1, "shardId-000000000001")]:
        put = kinesis.put_record(StreamName=stream, PartitionKey="a", Data=b"", ExplicitHashKey=str(explicit))
        assert put["ShardId"] == shard


def test_records_come_back_as_they_were_in_order(kinesis, stream):
    every_byte = bytes(range(256))
    sent = [every_byte, b"", "é".encode(), *(b"%d" % number for number in range(97))]
    puts = [
        kinesis.put_record(StreamName=stream, PartitionKey="one key", Data=payload, ExplicitHashKey="7")
        for payload in sent[:3]
    ]
    batch = kinesis.put_records(
        StreamName=stream,
        Records=[{"PartitionKey": "one key", "Data": payload, "ExplicitHashKey": "7"} for payload in sent[3:]],
    )
    assert batch["FailedRecordCount"] == 0
    records = read(kinesis, stream, "shardId-000000000000", len(sent))
    assert data(records) == sent
    numbers = [record["SequenceNumber"] for record in records]
    assert numbers == [put["SequenceNumber"] for put in puts + batch["Records"]]
    assert [int(number) for number in numbers] == sorted({int(number) for number in numbers})
    assert {record["PartitionKey"] for record in records} == {"one key"}
    now = datetime.datetime.now(datetime.UTC)
    assert all(abs((now - record["ApproximateArrivalTimestamp"]).total_seconds()) < 60 for record in records)


def test_every_kind_of_iterator(kinesis, stream):
    shard = "shardId-000000000000"
    put = lambda payload: kinesis.put_record(  # noqa: E731
        StreamName=stream, PartitionKey="k", ExplicitHashKey="0", Data=payload
    )["SequenceNumber"]

    first, second = put(b"1"), put(b"2")
    latest = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    # boto3 sends whole seconds, so the next record must be in another one.
    boundary = int(time.time()) + 1
    until(lambda: time.time() > boundary + 0.05, "the next second")
    put(b"3")

    assert data(read(kinesis, stream, shard, 3)) == [b"1", b"2", b"3"]
    assert data(read(kinesis, stream, shard, 2, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=second)) == [b"2", b"3"]
    assert data(read(kinesis, stream, shard, 2, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=first)) == [b"2", b"3"]
    assert data(read_on(kinesis, latest, 1)) == [b"3"]
    at = lambda seconds: datetime.datetime.fromtimestamp(seconds, datetime.UTC)  # noqa: E731
    assert data(read(kinesis, stream, shard, 1, "AT_TIMESTAMP", Timestamp=at(boundary))) == [b"3"]
    assert data(read(kinesis, stream, shard, 3, "AT_TIMESTAMP", Timestamp=at(boundary - 3600))) == [b"1", b"2", b"3"]


def test_a_page_holds_no_more_than_its_limit(kinesis, stream):
    records = [{"PartitionKey": "k", "ExplicitHashKey": "0", "Data": b"%d" % number} for number in range(5)]
    kinesis.put_records(StreamName=stream, Records=records)
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    page = kinesis.get_records(ShardIterator=iterator, Limit=2)
    assert data(page["Records"]) == [b"0", b"1"]
    again = kinesis.get_records(ShardIterator=iterator, Limit=2)
    assert data(again["Records"]) == [b"0", b"1"], "an iterator is a position, so it can be used twice"
    assert data(read_on(kinesis, page["NextShardIterator"], 3)) == [b"2", b"3", b"4"]


def test_a_split_and_a_merge_keep_every_record(kinesis, stream):
    parent = "shardId-000000000000"
    kinesis.put_record(StreamName=stream, PartitionKey="k", ExplicitHashKey="0", Data=b"before")
    middle = WHOLE_RANGE // 4
    kinesis.split_shard(StreamName=stream, ShardToSplit=parent, NewStartingHashKey=str(middle))
    assert active(kinesis, stream)["OpenShardCount"] == 3

    children = [shard for shard in shards(kinesis, stream) if shard.get("ParentShardId") == parent]
    assert sorted(map(hash_range, children)) == [(0, middle - 1), (middle, WHOLE_RANGE // 2 - 1)]
    closed = next(shard for shard in shards(kinesis, stream) if shard["ShardId"] == parent)
    assert not is_open(closed)
    put = kinesis.put_record(StreamName=stream, PartitionKey="k", ExplicitHashKey="0", Data=b"after")
    assert put["ShardId"] in {child["ShardId"] for child in children}

    # A closed shard is read to its end: no next iterator, and the children are named.
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=parent, ShardIteratorType="TRIM_HORIZON")
    iterator, records, answer = iterator["ShardIterator"], [], {}
    deadline = time.monotonic() + 30
    while iterator and time.monotonic() < deadline:
        answer = kinesis.get_records(ShardIterator=iterator)
        records += answer["Records"]
        iterator = answer.get("NextShardIterator")
    assert data(records) == [b"before"]
    assert {child["ShardId"] for child in answer["ChildShards"]} == {child["ShardId"] for child in children}

    low, high = sorted(children, key=hash_range)
    kinesis.merge_shards(StreamName=stream, ShardToMerge=low["ShardId"], AdjacentShardToMerge=high["ShardId"])
    assert active(kinesis, stream)["OpenShardCount"] == 2
    merged = next(shard for shard in shards(kinesis, stream) if shard.get("AdjacentParentShardId"))
    assert {merged["ParentShardId"], merged["AdjacentParentShardId"]} == {low["ShardId"], high["ShardId"]}
    assert hash_range(merged) == (0, WHOLE_RANGE // 2 - 1)
    assert data(read(kinesis, stream, low["ShardId"], 1)) == [b"after"]
    latest = shards(kinesis, stream, ShardFilter={"Type": "AT_LATEST"})
    assert all(map(is_open, latest)) and len(latest) == 2


def test_the_shard_count_is_scaled(kinesis, stream):
    answer = kinesis.update_shard_count(StreamName=stream, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (2, 4)
    assert active(kinesis, stream)["OpenShardCount"] == 4
    ranges = sorted(hash_range(shard) for shard in shards(kinesis, stream) if is_open(shard))
    assert [low for low, _ in ranges] == [0, *(high + 1 for _, high in ranges[:-1])]
    assert ranges[-1][1] == WHOLE_RANGE - 1


def test_more_than_double_is_refused(kinesis, stream, refused):
    refused(
        "LimitExceededException",
        kinesis.update_shard_count,
        StreamName=stream,
        TargetShardCount=5,
        ScalingType="UNIFORM_SCALING",
    )


def test_tags_by_name_and_by_arn(kinesis, stream):
    kinesis.add_tags_to_stream(StreamName=stream, Tags={"team": "data", "note": "a b+c=é"})
    arn = active(kinesis, stream)["StreamARN"]
    kinesis.tag_resource(ResourceARN=arn, Tags={"team": "pins"})
    kinesis.remove_tags_from_stream(StreamName=stream, TagKeys=["gone", "note"])
    listed = kinesis.list_tags_for_stream(StreamName=stream)
    assert listed == {**listed, "Tags": [{"Key": "team", "Value": "pins"}], "HasMoreTags": False}
    assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "pins"}]
    kinesis.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert kinesis.list_tags_for_stream(StreamName=stream)["Tags"] == []


def test_tags_at_creation(kinesis, name):
    kinesis.create_stream(StreamName=name, ShardCount=1, Tags={"team": "data"})
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=QUICK)
    assert kinesis.list_tags_for_stream(StreamName=name)["Tags"] == [{"Key": "team", "Value": "data"}]
    kinesis.delete_stream(StreamName=name)


def test_retention_goes_up_and_down(kinesis, stream, refused):
    kinesis.increase_stream_retention_period(StreamName=stream, RetentionPeriodHours=48)
    assert active(kinesis, stream)["RetentionPeriodHours"] == 48
    refused(
        "InvalidArgumentException",
        kinesis.increase_stream_retention_period,
        StreamName=stream,
        RetentionPeriodHours=30,
    )
    kinesis.decrease_stream_retention_period(StreamName=stream, RetentionPeriodHours=24)
    assert active(kinesis, stream)["RetentionPeriodHours"] == 24
    refused(
        "InvalidArgumentException",
        kinesis.decrease_stream_retention_period,
        StreamName=stream,
        RetentionPeriodHours=36,
    )


def test_encryption_is_turned_on_and_off(kinesis, stream):
    kinesis.start_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    summary = active(kinesis, stream)
    assert (summary["EncryptionType"], summary["KeyId"]) == ("KMS", "alias/aws/kinesis")
    put = kinesis.put_record(StreamName=stream, PartitionKey="k", Data=b"x")
    assert put["EncryptionType"] == "KMS"
    kinesis.stop_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    assert active(kinesis, stream)["EncryptionType"] == "NONE"


def test_on_demand(kinesis, name):
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=QUICK)
    summary = active(kinesis, name)
    assert summary["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert summary["OpenShardCount"] == 4
    kinesis.update_stream_mode(StreamARN=summary["StreamARN"], StreamModeDetails={"StreamMode": "PROVISIONED"})
    assert active(kinesis, name)["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    kinesis.delete_stream(StreamName=name)


def test_a_deleted_stream_is_gone(kinesis, name, refused):
    kinesis.create_stream(StreamName=name, ShardCount=1)
    with pytest.raises(WaiterError):
        kinesis.get_waiter("stream_not_exists").wait(StreamName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=QUICK)
    kinesis.delete_stream(StreamName=name)
    kinesis.get_waiter("stream_not_exists").wait(StreamName=name, WaiterConfig=QUICK)
    refused("ResourceNotFoundException", kinesis.describe_stream_summary, StreamName=name)
    assert name not in kinesis.list_streams(Limit=10_000)["StreamNames"]


def test_lists_come_in_pages(kinesis, name):
    names = [f"{name}-{number}" for number in range(5)]
    for each in names:
        kinesis.create_stream(StreamName=each, ShardCount=1)
        kinesis.get_waiter("stream_exists").wait(StreamName=each, WaiterConfig=QUICK)
    pages = list(kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["StreamNames"]) <= 2 for page in pages)
    listed = [each for page in pages for each in page["StreamNames"]]
    assert listed == sorted(set(listed)) and set(names) <= set(listed)
    for each in names:
        kinesis.delete_stream(StreamName=each)


def test_shards_come_in_pages(kinesis, stream):
    first = kinesis.list_shards(StreamName=stream, MaxResults=1)
    second = kinesis.list_shards(NextToken=first["NextToken"], MaxResults=1)
    assert [first["Shards"][0]["ShardId"], second["Shards"][0]["ShardId"]] == [
        "shardId-000000000000",
        "shardId-000000000001",
    ]


def test_errors_have_the_codes_of_aws(kinesis, stream, refused):
    missing = {"StreamName": f"{stream}-missing"}
    refused("ResourceNotFoundException", kinesis.describe_stream, **missing)
    refused("ResourceNotFoundException", kinesis.put_record, **missing, PartitionKey="k", Data=b"")
    refused("ResourceNotFoundException", kinesis.delete_stream, **missing)
    refused("ResourceNotFoundException", kinesis.list_tags_for_stream, **missing)
    refused("ResourceInUseException", kinesis.create_stream, StreamName=stream, ShardCount=1)
    error = refused("ValidationException", kinesis.create_stream, StreamName="not a name", ShardCount=1)
    assert "streamName" in error["Message"], error
    refused("ValidationException", kinesis.put_record, StreamName=stream, PartitionKey="k" * 257, Data=b"")
    many = [{"PartitionKey": "k", "Data": b""}] * 501
    error = refused("ValidationException", kinesis.put_records, StreamName=stream, Records=many)
    assert "records" in error["Message"] and "500" in error["Message"], error
    refused(
        "ResourceNotFoundException",
        kinesis.get_shard_iterator,
        StreamName=stream,
        ShardId="shardId-000000000099",
        ShardIteratorType="LATEST",
    )
    refused("InvalidArgumentException", kinesis.get_records, ShardIterator="AAAAnonsense")
    refused(
        "InvalidArgumentException",
        kinesis.put_record,
        StreamName=stream,
        PartitionKey="k",
        Data=b"",
        ExplicitHashKey=str(WHOLE_RANGE),
    )
    refused(
        "InvalidArgumentException",
        kinesis.split_shard,
        StreamName=stream,
        ShardToSplit="shardId-000000000000",
        NewStartingHashKey=str(WHOLE_RANGE - 5),
    )


@pytest.mark.pinfra
def test_a_shard_takes_no_more_than_its_limit(client, stream):
    """1 MiB a second: what is too much in a batch fails on its own, and the rest is there."""
    once = client("kinesis", retries={"total_max_attempts": 1})
    records = [{"PartitionKey": "k", "ExplicitHashKey": "0", "Data": bytes(256 * 1024)} for _ in range(12)]
    answer = once.put_records(StreamName=stream, Records=records)
    failed = [record for record in answer["Records"] if "ErrorCode" in record]
    assert 0 < len(failed) == answer["FailedRecordCount"] < 12
    assert {record["ErrorCode"] for record in failed} == {"ProvisionedThroughputExceededException"}
    assert all("SequenceNumber" in record for record in answer["Records"] if "ErrorCode" not in record)
