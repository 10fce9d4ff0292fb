"""Clients that are broken or mean it: each gets an answer of 4xx or a closed connection, and nobody else notices."""

import contextlib
import hashlib
import http.client
import socket
import urllib.parse

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cloud import Cloud, make_client, until

pytestmark = pytest.mark.pinfra

KINESIS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Kinesis_20131202.ListStreams"}
ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))


@pytest.fixture
def address(environment):
    place = urllib.parse.urlsplit(environment["AWS_ENDPOINT_URL"])
    return place.hostname, place.port


@pytest.fixture(autouse=True)
def others_are_served(kinesis, s3):
    yield
    assert "StreamNames" in kinesis.list_streams()
    assert "Buckets" in s3.list_buckets()


@pytest.fixture
def send(environment):
    """Sends a signed request of any shape; `unsigned` headers are added afterwards. Gives status and body."""

    def send(service, method, target, headers=(), body=b"", unsigned=(), region="us-east-1"):
        endpoint = environment["AWS_ENDPOINT_URL"]
        credentials = Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
        request = AWSRequest(method, endpoint + target, headers=dict(headers), data=body)
        if service == "s3":
            request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(credentials, service, region).add_auth(request)
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=20)
        try:
            connection.request(method, target, body, {**dict(request.headers.items()), **dict(unsigned)})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return send


def talk(address, *pieces):
    """Sends bytes as they are, and gives all that comes back until the server closes."""
    with socket.create_connection(address, timeout=20) as connection:
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while more := connection.recv(65536):
                answer += more
        except (BrokenPipeError, ConnectionResetError):
            pass  # It has read enough.
        return answer


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\xff\xfe\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 512,  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 5_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n",
        b"GET http://evil/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\nConnection: close\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\nConnection: close\r\n\r\n",
        b"POST /_pinfra/stop HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
    ids=lambda request: repr(request[:32]),
)
def test_what_is_no_request(address, request_):
    answer = talk(address, request_)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"a":' * 500_000,
        b'{"Limit":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"Limit":1e400}',
        b'{"Limit":99999999999999999999999}',
        b'{"Limit":1.5}',
        b'{"ExclusiveStartStreamName":"\xff\xfe"}',
        b'{"NextToken":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"{} x",
        b"null",
        b"\x1f\x8b\x08\x00",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_json_that_is_none_or_deep(send, body):
    status, answer = send("kinesis", "POST", "/", KINESIS, body)
    assert status == 400 and b"__type" in answer, answer[:200]


def test_a_body_of_another_kind(send):
    status, answer = send("kinesis", "POST", "/", {**KINESIS, "Content-Type": "text/plain"}, b"{}")
    assert status == 415 and b"text/plain" in answer


@pytest.mark.parametrize(
    "body",
    [
        f'<!DOCTYPE t [<!ENTITY a0 "aaaaaaaaaa">{ENTITIES}]>'
        "<Tagging><TagSet><Tag><Key>&a11;</Key><Value/></Tag></TagSet></Tagging>",
        '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        "<Tagging><TagSet><Tag><Key>&x;</Key><Value/></Tag></TagSet></Tagging>",
        "<a>" * 300_000,
        "<Tagging>" * 100_000 + "</Tagging>" * 100_000,
        "<Tagging><TagSet>" + "<Tag>" * 300_000,
        "<Tagging " + 'a="b" ' * 100_000 + "/>",
        "\0" * 100,
        "",
    ],
    ids=["entities", "file", "deep", "deep and closed", "deep tags", "attributes", "zeros", "nothing"],
)
def test_xml_that_is_none_or_explodes(send, bucket, body):
    status, answer = send("s3", "PUT", f"/{bucket}?tagging=", {"Content-Type": "application/xml"}, body.encode())
    assert status == 400 and b"root:" not in answer, answer[:200]


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/%2e%2e/x", "/./x", "//a", "/UPPER/x", "/a/b", "/x%00y/k"])
def test_paths_that_lead_out(send, path):
    status, answer = send("s3", "PUT", path, body=b"x")
    assert status in (400, 403), answer


@pytest.mark.parametrize("key", ["../../etc/passwd", "./.", "a\0b", "\r\nX-Evil: 1", "/", "a//b", "💩" * 256])
def test_keys_are_only_names(s3, bucket, key):
    encoded = urllib.parse.quote(key)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key})
    place = urllib.parse.urlsplit(url)
    assert encoded.replace("/", "") in place.path.replace("/", "")
    connection = http.client.HTTPConnection(place.netloc, timeout=20)
    for method, body in [("PUT", b"x"), ("GET", None)]:
        params = {"Bucket": bucket, "Key": key}
        place = urllib.parse.urlsplit(s3.generate_presigned_url(f"{method.lower()}_object", Params=params))
        connection.request(method, f"{place.path}?{place.query}", body)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"" if body else b"x")
        assert "X-Evil" not in answer.headers
    connection.close()


@pytest.mark.parametrize("key", ["a" * 1025, "💩" * 257])
def test_keys_that_are_too_long(s3, bucket, refused, key):
    refused("KeyTooLongError", s3.put_object, Bucket=bucket, Key=key, Body=b"")


@pytest.mark.parametrize("range_", ["bytes=a-", "bytes=5-2", "items=0-1", "bytes=0-1,3-4", "bytes=", "bytes=-"])
def test_a_range_that_is_none_is_ignored(send, s3, bucket, range_):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert send("s3", "GET", f"/{bucket}/k", {"Range": range_}) == (200, b"0123456789")
    assert send("s3", "GET", f"/{bucket}/k", unsigned={"Range": range_}) == (200, b"0123456789")


def test_a_signature_is_for_one_request(send, environment, address):
    """What is changed after signing is refused; the very same request may come twice, as on AWS."""
    status, answer = send("kinesis", "POST", "/", KINESIS, b"{}", unsigned={"X-Amz-Target": "Kinesis_20131202.Other"})
    assert status == 400 and b"InvalidSignatureException" in answer
    status, answer = send("kinesis", "POST", "/", KINESIS, b"{}", unsigned={"X-Amz-Security-Token": "x"})
    assert status == 400 and b"SignatureException" in answer
    for scheme in ["", "Bearer x", "Basic eDp5", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 " + "Credential=x," * 4000]:
        status, answer = send("kinesis", "POST", "/", KINESIS, b"{}", unsigned={"Authorization": scheme})
        assert status == 400 and b"SignatureException" in answer, scheme[:40]
    status, _answer = send("kinesis", "POST", "/", KINESIS, b"{}", unsigned={"X-Amz-Date": "20150101T000000Z"})
    assert status == 400


def test_a_bucket_of_another_region(environment, refused, name):
    """SDKs find out where a bucket is, as they do on AWS; a plain client is told."""
    west = make_client({**environment, "AWS_DEFAULT_REGION": "eu-west-1"}, "s3")
    east = make_client(environment, "s3")
    west.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert east.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    # The redirector of boto3 signs again for the region that the refusal names.
    east.put_object(Bucket=name, Key="k", Body=b"x")
    assert east.head_object(Bucket=name, Key="k")["ContentLength"] == 1
    assert make_client(environment, "s3").head_bucket(Bucket=name)["BucketRegion"] == "eu-west-1"
    west.delete_object(Bucket=name, Key="k")
    west.delete_bucket(Bucket=name)


def test_clients_that_never_finish(program, tmp_path):
    """Half heads on every seat, and half bodies, keep nobody out for long."""
    cloud = Cloud(program, tmp_path / "state").start()
    try:
        s3 = make_client(cloud.environment, "s3")
        s3.create_bucket(Bucket="lake")
        place = urllib.parse.urlsplit(cloud.endpoint)
        url = urllib.parse.urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": "lake", "Key": "half"}))
        half_put = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 100000\r\n\r\nhalf"
        crowd = []
        for number in range(1100):
            stranger = socket.socket()
            stranger.setblocking(False)
            stranger.connect_ex((place.hostname, place.port))
            crowd.append(stranger)
            if number % 10 == 0:
                stranger.setblocking(True)
                stranger.settimeout(1)
                with contextlib.suppress(OSError):  # Not accepted yet, which is the point.
                    stranger.sendall(half_put.encode() if number < 500 else b"GET / HTTP/1.1\r\nHost: localh")

        def served():
            client = make_client(cloud.environment, "s3", retries={"total_max_attempts": 1})
            try:
                return client.put_object(Bucket="lake", Key="k", Body=b"x" * 100_000)
            except Exception:
                return None

        until(served, "somebody is served beside them", seconds=60)
        for stranger in crowd:
            stranger.close()
        assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="lake")["Contents"]] == ["k"]
    finally:
        cloud.stop()
