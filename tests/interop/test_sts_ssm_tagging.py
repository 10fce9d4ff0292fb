"""STS, SSM's public parameters and the tagging API as boto3 sees them."""

import urllib.request

import pytest

from cloud import until


def test_the_caller_is_known(client, environment):
    identity = client("sts").get_caller_identity()
    assert len(identity["Account"]) == 12 and identity["Account"].isdigit()
    assert identity["Arn"].startswith(f"arn:aws:iam::{identity['Account']}:")
    assert identity["UserId"]
    assert environment["AWS_SECRET_ACCESS_KEY"] not in str(identity)


def test_one_account_for_all_services(client, name):
    account = client("sts").get_caller_identity()["Account"]
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    assert arn.split(":")[4] == account
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    kinesis.delete_stream(StreamName=name)


@pytest.mark.pinfra
def test_a_presigned_identity(client):
    """How EKS, Vault and MSK prove who somebody is: the URL is sent by another program."""
    sts = client("sts")
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    with urllib.request.urlopen(url) as answer:
        assert f"<Account>{sts.get_caller_identity()['Account']}</Account>" in answer.read().decode()


def test_the_image_of_amazon_linux(client, refused):
    ssm = client("ssm")
    path = "/aws/service/ami-amazon-linux-latest"
    name = f"{path}/al2023-ami-kernel-default-x86_64"
    parameter = ssm.get_parameter(Name=name)["Parameter"]
    assert (parameter["Name"], parameter["Type"]) == (name, "String")
    assert parameter["Value"].startswith("ami-")
    several = ssm.get_parameters(Names=[name, "/aws/service/none-such"])
    assert [each["Name"] for each in several["Parameters"]] == [name]
    assert several["InvalidParameters"] == ["/aws/service/none-such"]
    refused("ParameterNotFound", ssm.get_parameter, Name="/aws/service/none-such")
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path)
    assert name in {each["Name"] for page in pages for each in page["Parameters"]}


def test_resources_are_found_by_tag(client, name):
    kinesis, s3, tagging = client("kinesis"), client("s3"), client("resourcegroupstaggingapi")
    for stream in (f"{name}-a", f"{name}-b"):
        kinesis.create_stream(StreamName=stream, ShardCount=1, Tags={"interop": name, "stream": stream})
        kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    s3.create_bucket(Bucket=name)
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "interop", "Value": name}]})

    def found(**arguments):
        filters = [{"Key": "interop", "Values": [name]}] + arguments.pop("more", [])
        pages = tagging.get_paginator("get_resources").paginate(TagFilters=filters, **arguments)
        entries = [entry for page in pages for entry in page["ResourceTagMappingList"]]
        arns = [entry["ResourceARN"] for entry in entries]
        assert len(arns) == len(set(arns))
        return {
            arn.split(":", 5)[5]: {tag["Key"]: tag["Value"] for tag in entry["Tags"]}
            for arn, entry in zip(arns, entries, strict=True)
        }

    streams = {f"stream/{stream}": {"interop": name, "stream": stream} for stream in (f"{name}-a", f"{name}-b")}
    everything = {**streams, name: {"interop": name}}
    assert until(lambda: len(found()) == 3 and found(), "all three are found") == everything
    assert found(ResourceTypeFilters=["kinesis:stream"]) == streams
    assert found(ResourceTypeFilters=["kinesis", "s3"]) == everything
    assert found(PaginationConfig={"PageSize": 1}) == everything
    only_a = {"Key": "stream", "Values": [f"{name}-a", "other"]}
    assert list(found(more=[only_a])) == [f"stream/{name}-a"]
    assert found(more=[{"Key": "none such"}]) == {}

    for stream in (f"{name}-a", f"{name}-b"):
        kinesis.delete_stream(StreamName=stream)
    s3.delete_bucket(Bucket=name)
    until(lambda: found() == {}, "what is gone is not found")


@pytest.mark.pinfra
@pytest.mark.parametrize(
    ("service", "method", "arguments"),
    [
        ("ssm", "describe_instance_information", {}),
        ("sts", "decode_authorization_message", {"EncodedMessage": "x"}),
        ("resourcegroupstaggingapi", "get_compliance_summary", {}),
        ("dynamodb", "list_tables", {}),
    ],
)
def test_what_is_not_there_is_named(client, refused, service, method, arguments):
    error = refused("UnknownOperationException", getattr(client(service), method), **arguments)
    assert method.replace("_", "") in error["Message"].lower(), error


@pytest.mark.pinfra
def test_what_s3_does_not_have_is_named(client, bucket):
    s3 = client("s3")
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.get_bucket_analytics_configuration(Bucket=bucket, Id="a")
    error = caught.value.response["Error"]
    assert error["Code"] in ("NotImplemented", "UnknownOperationException")
    assert "GetBucketAnalyticsConfiguration" in error["Message"], error
