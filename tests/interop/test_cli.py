"""The AWS CLI, as it is typed."""

import base64
import json

import pytest

from cloud import Cloud


def answer(text):
    return json.loads(text)


def test_a_record_goes_in_and_comes_out(aws, name):
    aws("kinesis", "create-stream", "--stream-name", name, "--shard-count", "1", "--tags", "team=data")
    aws("kinesis", "wait", "stream-exists", "--stream-name", name)
    put = answer(aws("kinesis", "put-record", "--stream-name", name, "--partition-key", "1", "--data", "hello, é"))
    assert put["ShardId"] == "shardId-000000000000"
    batch = ["Data=a,PartitionKey=1", "Data=b,PartitionKey=2"]
    assert answer(aws("kinesis", "put-records", "--stream-name", name, "--records", *batch))["FailedRecordCount"] == 0
    iterator = answer(
        aws(
            "kinesis",
            "get-shard-iterator",
            "--stream-name",
            name,
            "--shard-id",
            put["ShardId"],
            "--shard-iterator-type",
            "TRIM_HORIZON",
        )
    )["ShardIterator"]
    records = answer(aws("kinesis", "get-records", "--shard-iterator", iterator))["Records"]
    assert [base64.b64decode(record["Data"]).decode() for record in records] == ["hello, é", "a", "b"]
    assert records[0]["SequenceNumber"] == put["SequenceNumber"]
    tags = answer(aws("kinesis", "list-tags-for-stream", "--stream-name", name))["Tags"]
    assert tags == [{"Key": "team", "Value": "data"}]
    aws("kinesis", "delete-stream", "--stream-name", name)
    aws("kinesis", "wait", "stream-not-exists", "--stream-name", name)
    error = aws("kinesis", "describe-stream-summary", "--stream-name", name, fails=True)
    assert "(ResourceNotFoundException)" in error and name in error


def test_the_endpoint_on_the_command_line(aws, environment):
    endpoint = environment["AWS_ENDPOINT_URL"]
    assert answer(aws("--endpoint-url", endpoint, "--region", "us-east-1", "sts", "get-caller-identity"))["Account"]


def test_files_go_to_a_bucket_and_back(aws, name, tmp_path):
    folder = tmp_path / "lake"
    contents = {"a+b c.json": b"{}", "é/x.bin": bytes(range(256)) * 100, "big": b"0123456789" * 1024 * 1024}
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    bucket = f"s3://{name}"

    aws("s3", "mb", bucket)
    aws("s3", "cp", "lake/a+b c.json", f"{bucket}/single+ é")
    assert aws("s3", "cp", f"{bucket}/single+ é", "-") == "{}"
    # 10 MiB go up in two parts.
    aws("s3", "sync", "lake", f"{bucket}/lake")
    lines = aws("s3", "ls", "--recursive", bucket).splitlines()
    listed = {line.split(maxsplit=3)[3]: int(line.split(maxsplit=3)[2]) for line in lines}
    assert listed == {"single+ é": 2, **{f"lake/{path}": len(content) for path, content in contents.items()}}
    assert "PRE lake/" in aws("s3", "ls", bucket)
    assert aws("s3", "sync", "lake", f"{bucket}/lake") == "", "nothing has changed, so nothing is sent"

    aws("s3", "sync", f"{bucket}/lake", "back")
    for path, content in contents.items():
        assert (tmp_path / "back" / path).read_bytes() == content
    aws("s3", "mv", f"{bucket}/lake/big", f"{bucket}/moved")
    url = aws("s3", "presign", f"{bucket}/moved").strip()
    assert name in url and "Signature=" in url
    assert "BucketNotEmpty" in aws("s3", "rb", bucket, fails=True)
    aws("s3", "rm", "--recursive", f"{bucket}/lake")
    assert [line.split()[-1] for line in aws("s3", "ls", bucket).splitlines()] == ["moved", "é"]
    aws("s3", "rb", "--force", bucket)
    assert "NoSuchBucket" in aws("s3", "ls", bucket, fails=True)


def test_settings_of_a_bucket(aws, name):
    aws("s3api", "create-bucket", "--bucket", name)
    aws("s3api", "wait", "bucket-exists", "--bucket", name)
    aws("s3api", "put-bucket-versioning", "--bucket", name, "--versioning-configuration", "Status=Enabled")
    assert answer(aws("s3api", "get-bucket-versioning", "--bucket", name))["Status"] == "Enabled"
    aws("s3api", "put-bucket-tagging", "--bucket", name, "--tagging", "TagSet=[{Key=team,Value=a b}]")
    tags = answer(aws("s3api", "get-bucket-tagging", "--bucket", name))["TagSet"]
    assert tags == [{"Key": "team", "Value": "a b"}]
    assert "NoSuchBucketPolicy" in aws("s3api", "get-bucket-policy", "--bucket", name, fails=True)
    aws("s3api", "delete-bucket", "--bucket", name)


def test_the_public_image(aws):
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    words = ["--name", name, "--query", "Parameter.Value", "--output", "text"]
    assert aws("ssm", "get-parameter", *words).startswith("ami-")


@pytest.mark.pinfra
def test_what_was_typed_is_there_after_a_restart(program, aws, environment, tmp_path):
    """The commands of the README, before and after the local cloud is stopped and started."""
    cloud = Cloud(program, tmp_path / "state").start()
    try:

        def typed(*words):
            assert cloud.endpoint != environment["AWS_ENDPOINT_URL"]
            return aws("--endpoint-url", cloud.endpoint, *words, environment=cloud.environment)

        typed("kinesis", "create-stream", "--stream-name", "pins", "--shard-count", "1")
        typed("kinesis", "wait", "stream-exists", "--stream-name", "pins")
        put = ["--stream-name", "pins", "--partition-key", "1", "--data", "hello"]
        number = answer(typed("kinesis", "put-record", *put))["SequenceNumber"]
        (tmp_path / "lake").mkdir()
        (tmp_path / "lake" / "a.json").write_text("{}")
        typed("s3", "mb", "s3://lake")
        typed("s3", "cp", "lake/a.json", "s3://lake/one.json")
        typed("s3", "sync", "lake", "s3://lake/all")

        cloud.stop()
        cloud.start()

        shard = ["--stream-name", "pins", "--shard-id", "shardId-000000000000"]
        from_here = ["--shard-iterator-type", "AT_SEQUENCE_NUMBER", "--starting-sequence-number", number]
        iterator = answer(typed("kinesis", "get-shard-iterator", *shard, *from_here))["ShardIterator"]
        [record] = answer(typed("kinesis", "get-records", "--shard-iterator", iterator))["Records"]
        assert base64.b64decode(record["Data"]) == b"hello" and record["SequenceNumber"] == number
        listed = typed("s3", "ls", "--recursive", "s3://lake").split()
        assert [word for word in listed if word.endswith(".json")] == ["all/a.json", "one.json"]
        assert typed("s3", "cp", "s3://lake/one.json", "-") == "{}"
        assert typed("s3", "sync", "lake", "s3://lake/all") == "", "nothing has changed"
        typed("s3", "rm", "--recursive", "s3://lake")
        assert typed("s3", "ls", "s3://lake") == ""
    finally:
        cloud.stop()
