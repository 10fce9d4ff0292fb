"""Who is let in: the local cloud answers signed requests to a loopback name, and nobody else."""

import datetime
import http.client
import urllib.parse
from unittest import mock

import pytest

from cloud import make_client

pytestmark = pytest.mark.pinfra

CALLS = [
    ("kinesis", "list_streams"),
    ("sts", "get_caller_identity"),
    ("s3", "list_buckets"),
    ("ssm", "describe_parameters"),
]


@pytest.mark.parametrize(("service", "method"), CALLS)
def test_a_wrong_secret_is_refused(client, refused, service, method):
    code = "InvalidSignatureException" if service in ("kinesis", "ssm") else "SignatureDoesNotMatch"
    wrong = client(service, aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    refused(code, getattr(wrong, method))


@pytest.mark.parametrize(("service", "method"), CALLS)
def test_an_unknown_key_is_refused(client, refused, service, method):
    codes = {"s3": "InvalidAccessKeyId", "sts": "InvalidClientTokenId"}
    unknown = client(service, aws_access_key_id="AKIAIOSFODNN7EXAMPLE")
    refused(codes.get(service, "UnrecognizedClientException"), getattr(unknown, method))


@pytest.mark.parametrize(("service", "method"), CALLS)
def test_an_old_signature_is_refused(client, service, method):
    call = getattr(client(service, retries={"total_max_attempts": 1}), method)
    old = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(hours=1)
    an_hour_ago = mock.patch("botocore.auth.get_current_datetime", return_value=old)
    with an_hour_ago, pytest.raises(call.__self__.exceptions.ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] in (
        "InvalidSignatureException",  # the services that speak JSON
        "SignatureDoesNotMatch",  # those that speak query
        "RequestTimeTooSkewed",  # S3
    )


def send(environment, host=None, method="GET", path="/", body=None, headers=()):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(environment["AWS_ENDPOINT_URL"]).netloc, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=host is not None)
        if host is not None:
            connection.putheader("Host", host)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_no_signature_is_refused(environment):
    headers = [("X-Amz-Target", "Kinesis_20131202.ListStreams"), ("Content-Type", "application/x-amz-json-1.1")]
    status, answer = send(environment, method="POST", body=b"{}", headers=headers)
    assert status in (400, 403) and b"MissingAuthenticationToken" in answer
    status, answer = send(environment, path="/some-bucket/some-key")
    assert status == 403


def test_a_presigned_url_is_good_for_loopback_names_only(client, environment, bucket):
    """A page in a browser can be made to call 127.0.0.1 by a name of its own (DNS rebinding)."""
    s3 = client("s3", signature_version="s3v4")
    s3.put_object(Bucket=bucket, Key="a", Body=b"secret")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"}, ExpiresIn=60)
    target = url.split(urllib.parse.urlsplit(url).netloc, 1)[1]
    port = urllib.parse.urlsplit(url).port
    assert send(environment, path=target) == (200, b"secret")
    for host in [f"evil.example:{port}", "evil.example", f"127.0.0.1.evil.example:{port}", f"10.0.0.1:{port}", ""]:
        status, answer = send(environment, host=host, path=target)
        assert 400 <= status < 500 and b"secret" not in answer, host


def test_a_foreign_host_is_refused_even_when_it_is_signed(client, environment, bucket):
    """Whoever has the keys still has to come by a loopback name."""
    port = urllib.parse.urlsplit(environment["AWS_ENDPOINT_URL"]).port
    foreign = {**environment, "AWS_ENDPOINT_URL": f"http://evil.example:{port}"}
    s3 = make_client(foreign, "s3", signature_version="s3v4", s3={"addressing_style": "path"})
    url = s3.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket}, ExpiresIn=60)
    status, _answer = send(environment, host=f"evil.example:{port}", path=url.split(f":{port}", 1)[1])
    assert 400 <= status < 500


def test_localhost_is_loopback_too(environment, bucket):
    port = urllib.parse.urlsplit(environment["AWS_ENDPOINT_URL"]).port
    by_name = {**environment, "AWS_ENDPOINT_URL": f"http://localhost:{port}"}
    assert make_client(by_name, "sts").get_caller_identity()["Account"]
    s3 = make_client(by_name, "s3", s3={"addressing_style": "path"})
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"
