"""S3 as boto3 sees it."""

import concurrent.futures
import hashlib
import io
import json
import os
import urllib.error
import urllib.request

import pytest
from boto3.s3.transfer import TransferConfig

CONNECTOR_KEYS = [f"topics/pins.pin/partition={part}/pins.pin+{part}+{n:010}.json" for part in (0, 1) for n in (0, 50)]
ODD_KEYS = ["a b", "a+b", "a%20b", "a//b", "é/漢", "a&b=c", "#?", "~'()*!", "x" * 1024, '<&>"', "conf", "conf/b", "d/"]
THREADS = 16


def fill(s3, bucket, keys):
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


def keys(answer):
    return [entry["Key"] for entry in answer.get("Contents", [])]


def prefixes(answer):
    return [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]


def body(s3, **arguments):
    return s3.get_object(**arguments)["Body"].read()


def md5(content):
    return f'"{hashlib.md5(content).hexdigest()}"'


def at_once(work, count=THREADS):
    """Runs `work(0)` to `work(count - 1)` in threads and gives their results."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_an_object_comes_back_as_it_was(s3, bucket):
    content = bytes(range(256)) * 5
    put = s3.put_object(
        Bucket=bucket, Key="a", Body=content, ContentType="application/x-pins", Metadata={"note": "a b+c"}
    )
    assert put["ETag"] == md5(content)
    got = s3.get_object(Bucket=bucket, Key="a")
    assert got["Body"].read() == content
    assert (got["ContentType"], got["Metadata"]) == ("application/x-pins", {"note": "a b+c"})
    head = s3.head_object(Bucket=bucket, Key="a")
    assert (head["ContentLength"], head["ETag"]) == (len(content), md5(content))
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    assert body(s3, Bucket=bucket, Key="a") == b""


def test_ranges(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="a", Body=b"0123456789")
    for asked, expected, said in [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ]:
        got = s3.get_object(Bucket=bucket, Key="a", Range=asked)
        assert (got["Body"].read(), got["ContentRange"]) == (expected, said)
    refused("InvalidRange", s3.get_object, Bucket=bucket, Key="a", Range="bytes=10-11")


def test_odd_keys_are_kept_apart(s3, bucket):
    fill(s3, bucket, ODD_KEYS)
    assert keys(s3.list_objects_v2(Bucket=bucket)) == sorted(ODD_KEYS, key=str.encode)
    left = set(ODD_KEYS)
    for key in ODD_KEYS:
        assert body(s3, Bucket=bucket, Key=key) == key.encode()
        assert keys(s3.list_objects_v2(Bucket=bucket, Prefix=key))[0] == key
        s3.delete_object(Bucket=bucket, Key=key)
        left.remove(key)
        assert set(keys(s3.list_objects_v2(Bucket=bucket))) == left


def test_listings_with_plus_signs(s3, bucket):
    fill(s3, bucket, CONNECTOR_KEYS)
    assert keys(s3.list_objects_v2(Bucket=bucket)) == sorted(CONNECTOR_KEYS)
    assert keys(s3.list_objects(Bucket=bucket)) == sorted(CONNECTOR_KEYS)
    answer = s3.list_objects_v2(Bucket=bucket, Prefix="topics/pins.pin/partition=1/pins.pin+1+")
    assert keys(answer) == CONNECTOR_KEYS[2:]
    assert answer["Prefix"] == "topics/pins.pin/partition=1/pins.pin+1+"


def test_delimiters(s3, bucket):
    fill(s3, bucket, ["a", "b+/1", "b+/2", "c d/é/1", "c d/2", "e"])
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert (keys(answer), prefixes(answer)) == (["a", "e"], ["b+/", "c d/"])
    assert answer["KeyCount"] == 4
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="c d/")
    assert (keys(answer), prefixes(answer)) == (["c d/2"], ["c d/é/"])
    answer = s3.list_objects_v2(Bucket=bucket, Prefix="nothing")
    assert (keys(answer), answer["KeyCount"]) == ([], 0)


def test_pages(s3, bucket):
    expected = [f"{number:03}+ é" for number in range(25)] + [f"z/{number}" for number in range(5)]
    fill(s3, bucket, expected)
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 4})
    )
    assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
    assert all(len(keys(page)) + len(prefixes(page)) <= 4 for page in pages)
    assert [key for page in pages for key in keys(page)] == expected[:25]
    assert [prefix for page in pages for prefix in prefixes(page)] == ["z/"]
    after = s3.list_objects_v2(Bucket=bucket, StartAfter=expected[20])
    assert keys(after) == expected[21:]
    old = s3.get_paginator("list_objects").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7})
    assert [key for page in old for key in keys(page)] == expected


def test_the_transfer_manager_uploads_in_parts(s3, bucket):
    content = os.urandom(13 * 1024 * 1024 + 7)
    config = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024)
    s3.upload_fileobj(io.BytesIO(content), bucket, "big+file", Config=config, ExtraArgs={"Metadata": {"a": "b"}})
    head = s3.head_object(Bucket=bucket, Key="big+file")
    assert head["ContentLength"] == len(content)
    assert head["ETag"].endswith('-3"') and head["Metadata"] == {"a": "b"}
    received = io.BytesIO()
    s3.download_fileobj(bucket, "big+file", received, Config=config)
    assert received.getvalue() == content
    s3.copy({"Bucket": bucket, "Key": "big+file"}, bucket, "copy é", Config=config)
    assert s3.head_object(Bucket=bucket, Key="copy é")["ContentLength"] == len(content)
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_multipart_by_hand(s3, bucket, refused):
    upload = {"Bucket": bucket, "Key": "a", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]}
    part = os.urandom(5 * 1024 * 1024)
    second = s3.upload_part(**upload, PartNumber=2, Body=b"end")["ETag"]
    first = s3.upload_part(**upload, PartNumber=1, Body=part)["ETag"]
    assert [each["Key"] for each in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["a"]
    listed = s3.list_parts(**upload)["Parts"]
    assert [(each["PartNumber"], each["ETag"]) for each in listed] == [(1, first), (2, second)]
    assert keys(s3.list_objects_v2(Bucket=bucket)) == [], "an upload is not an object before it is complete"

    parts = lambda *tags: {"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in tags]}  # noqa: E731
    refused("InvalidPart", s3.complete_multipart_upload, **upload, MultipartUpload=parts((1, first), (2, first)))
    refused("InvalidPartOrder", s3.complete_multipart_upload, **upload, MultipartUpload=parts((2, second), (1, first)))
    s3.complete_multipart_upload(**upload, MultipartUpload=parts((1, first), (2, second)))
    assert body(s3, Bucket=bucket, Key="a") == part + b"end"

    other = {"Bucket": bucket, "Key": "b", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]}
    s3.upload_part(**other, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(**other)
    refused("NoSuchUpload", s3.list_parts, **other)
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="b")


@pytest.mark.parametrize("signature", ["s3v4", None], ids=["version 4", "default of boto3"])
def test_presigned_urls(client, bucket, signature):
    s3 = client("s3", signature_version=signature) if signature else client("s3")
    key = {"Bucket": bucket, "Key": "a b+c/é"}
    put = s3.generate_presigned_url("put_object", Params=key, ExpiresIn=60)
    request = urllib.request.Request(put, data=b"by anyone", method="PUT", headers={"Content-Type": ""})
    assert urllib.request.urlopen(request).status == 200
    get = s3.generate_presigned_url("get_object", Params={**key, "ResponseContentType": "text/x-pins"}, ExpiresIn=60)
    with urllib.request.urlopen(get) as answer:
        assert (answer.read(), answer.headers["Content-Type"]) == (b"by anyone", "text/x-pins")


@pytest.mark.pinfra
def test_a_presigned_url_is_for_one_object(client, bucket):
    s3 = client("s3", signature_version="s3v4")
    fill(s3, bucket, ["a", "b"])
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"}, ExpiresIn=60)
    for wrong in [url.replace(f"{bucket}/a?", f"{bucket}/b?"), url[:-1] + ("0" if url[-1] != "0" else "1")]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(wrong)
        assert caught.value.code == 403
        assert b"<Code>SignatureDoesNotMatch</Code>" in caught.value.read()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.split("?")[0])
    assert caught.value.code == 403


def test_one_of_sixteen_creates_an_object(client, bucket):
    clients = [client("s3") for _ in range(THREADS)]

    for round in range(20):

        def create(number, key=f"lock-{round}"):
            s3 = clients[number]
            try:
                s3.put_object(Bucket=bucket, Key=key, Body=b"%d" % number, IfNoneMatch="*")
            except s3.exceptions.ClientError as error:
                return error.response["Error"]["Code"]
            return number

        results = at_once(create)
        winners = [result for result in results if isinstance(result, int)]
        assert len(winners) == 1, results
        assert set(results) - set(winners) <= {"PreconditionFailed", "ConditionalRequestConflict"}
        assert body(clients[0], Bucket=bucket, Key=f"lock-{round}") == b"%d" % winners[0]


def test_sixteen_count_by_compare_and_swap(client, bucket):
    clients = [client("s3") for _ in range(THREADS)]
    clients[0].put_object(Bucket=bucket, Key="counter", Body=b"0")

    def add(number):
        s3, added = clients[number], 0
        while added < 5:
            got = s3.get_object(Bucket=bucket, Key="counter")
            next_value = b"%d" % (int(got["Body"].read()) + 1)
            try:
                s3.put_object(Bucket=bucket, Key="counter", Body=next_value, IfMatch=got["ETag"])
                added += 1
            except s3.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")

    at_once(add)
    assert body(clients[0], Bucket=bucket, Key="counter") == b"80"


def test_conditional_reads(s3, bucket, refused):
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["ETag"]
    assert body(s3, Bucket=bucket, Key="a", IfMatch=etag) == b"1"
    refused("304", s3.get_object, Bucket=bucket, Key="a", IfNoneMatch=etag)
    refused("PreconditionFailed", s3.get_object, Bucket=bucket, Key="a", IfMatch='"0"')
    refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="a", Body=b"2", IfMatch='"0"')
    refused("NoSuchKey", s3.put_object, Bucket=bucket, Key="b", Body=b"2", IfMatch=etag)


def test_versions(s3, bucket, refused):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"0")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    first = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="a", Body=b"2")["VersionId"]
    assert body(s3, Bucket=bucket, Key="a") == b"2"
    assert body(s3, Bucket=bucket, Key="a", VersionId=first) == b"1"
    assert body(s3, Bucket=bucket, Key="a", VersionId="null") == b"0"

    deleted = s3.delete_object(Bucket=bucket, Key="a")
    assert deleted["DeleteMarker"] is True
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="a")
    assert keys(s3.list_objects_v2(Bucket=bucket)) == []
    listed = s3.list_object_versions(Bucket=bucket)
    assert [(each["VersionId"], each["IsLatest"]) for each in listed["Versions"]] == [
        (second, False),
        (first, False),
        ("null", False),
    ]
    assert [(each["VersionId"], each["IsLatest"]) for each in listed["DeleteMarkers"]] == [(deleted["VersionId"], True)]
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)

    s3.delete_object(Bucket=bucket, Key="a", VersionId=deleted["VersionId"])
    assert body(s3, Bucket=bucket, Key="a") == b"2"
    s3.delete_object(Bucket=bucket, Key="a", VersionId=second)
    assert body(s3, Bucket=bucket, Key="a") == b"1"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key="a", Body=b"3")
    assert body(s3, Bucket=bucket, Key="a", VersionId="null") == b"3", "suspended, a write replaces `null`"
    assert body(s3, Bucket=bucket, Key="a", VersionId=first) == b"1"


def test_policy(s3, bucket, refused):
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)
    arns = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OneUserOnly",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "s3:PutObjectAcl",
                "Resource": arns,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy
    refused("MalformedPolicy", s3.put_bucket_policy, Bucket=bucket, Policy="{not json")
    s3.delete_bucket_policy(Bucket=bucket)
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)


def test_tagging(s3, bucket, refused):
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)
    tags = [{"Key": "note", "Value": "a b+c=é"}, {"Key": "team", "Value": "data"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert sorted(s3.get_bucket_tagging(Bucket=bucket)["TagSet"], key=lambda tag: tag["Key"]) == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)

    s3.put_object(Bucket=bucket, Key="a", Body=b"", Tagging="team=data&note=a%20b%2Bc%3D%C3%A9")
    assert sorted(s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"], key=lambda tag: tag["Key"]) == tags
    s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": tags[:1]})
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == tags[:1]
    s3.delete_object_tagging(Bucket=bucket, Key="a")
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == []


def test_encryption(s3, bucket):
    def algorithm():
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        return rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]

    assert algorithm() == "AES256", "new buckets are encrypted since 2023"
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/aws/s3"}
    configuration = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=configuration)
    assert algorithm() == "aws:kms"
    s3.delete_bucket_encryption(Bucket=bucket)
    assert algorithm() == "AES256", "without a rule of its own a bucket has the default"


def test_public_access_block(s3, bucket, refused):
    closed = {
        name: True for name in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    }
    block = lambda: s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]  # noqa: E731
    assert block() == closed, "new buckets are closed since 2023"
    half = {**closed, "BlockPublicPolicy": False}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=half)
    assert block() == half
    s3.delete_public_access_block(Bucket=bucket)
    refused("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block, Bucket=bucket)


def test_lifecycle(s3, bucket, refused):
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    rules = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "topics/"}, "Expiration": {"Days": 30}},
        {
            "ID": "parts",
            "Status": "Disabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
        },
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    got = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert sorted(got, key=lambda rule: rule["ID"]) == rules
    s3.delete_bucket_lifecycle(Bucket=bucket)
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=bucket)


def test_buckets(s3, name, refused):
    s3.create_bucket(Bucket=name)
    assert name in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    fill(s3, name, ["a", "b+c", "d"])
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=name)
    objects = [{"Key": key} for key in ("a", "b+c", "never there")]
    deleted = s3.delete_objects(Bucket=name, Delete={"Objects": objects})
    assert {each["Key"] for each in deleted["Deleted"]} == {"a", "b+c", "never there"}
    s3.delete_object(Bucket=name, Key="d")
    s3.delete_object(Bucket=name, Key="d")
    s3.delete_bucket(Bucket=name)
    refused("NoSuchBucket", s3.list_objects_v2, Bucket=name)
    refused("NoSuchBucket", s3.put_object, Bucket=name, Key="a", Body=b"")
    refused("NoSuchBucket", s3.delete_bucket, Bucket=name)
    refused("404", s3.head_bucket, Bucket=name)
    refused("InvalidBucketName", s3.create_bucket, Bucket="UPPER")


def test_copies(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="a+b é", Body=b"1", Metadata={"a": "b"}, ContentType="text/x-pins")
    source = {"Bucket": bucket, "Key": "a+b é"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    kept = s3.head_object(Bucket=bucket, Key="kept")
    assert (kept["Metadata"], kept["ContentType"]) == ({"a": "b"}, "text/x-pins")
    s3.copy_object(Bucket=bucket, Key="new", CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "d"})
    assert s3.head_object(Bucket=bucket, Key="new")["Metadata"] == {"c": "d"}
    assert body(s3, Bucket=bucket, Key="new") == b"1"
    refused("NoSuchKey", s3.copy_object, Bucket=bucket, Key="x", CopySource={"Bucket": bucket, "Key": "missing"})


def test_checksums_are_checked(s3, bucket, refused):
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"content", ChecksumAlgorithm="SHA256")
    got = s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert got["ChecksumSHA256"] == put["ChecksumSHA256"]
    wrong = "AAAAAAAAAAAAAAAAAAAAAA=="
    refused("BadDigest", s3.put_object, Bucket=bucket, Key="b", Body=b"content", ContentMD5=wrong)
    refused("404", s3.head_object, Bucket=bucket, Key="b")
