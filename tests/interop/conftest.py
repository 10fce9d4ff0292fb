"""One local cloud for all tests, and clients that know nothing of it but its endpoint and its credentials.

INTEROP_PROGRAM is the `pinfra` binary. INTEROP_ENDPOINT aims the tests at something else that speaks the AWS protocols
(a witness such as moto, with any credentials); tests about the process itself are then skipped.
"""

import os
import subprocess
import sys
import uuid

import pytest

from cloud import Cloud, make_client


def pytest_configure(config):
    config.addinivalue_line("markers", "pinfra: is about the local cloud itself, so no other endpoint will do")


def pytest_collection_modifyitems(items):
    if "INTEROP_ENDPOINT" in os.environ:
        for item in items:
            if item.get_closest_marker("pinfra"):
                item.add_marker(pytest.mark.skip(reason="INTEROP_ENDPOINT is not ours"))


@pytest.fixture(scope="session")
def program():
    return os.environ["INTEROP_PROGRAM"]


@pytest.fixture(scope="session")
def cloud(program, tmp_path_factory):
    cloud = Cloud(program, tmp_path_factory.mktemp("state"), "--settle-ms", "100").start()
    yield cloud
    cloud.stop()


@pytest.fixture(scope="session")
def environment(request):
    """What a shell would have after `eval "$(pinfra local status --env)"`, and nothing else of AWS's."""
    if endpoint := os.environ.get("INTEROP_ENDPOINT"):
        return {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    return request.getfixturevalue("cloud").environment


@pytest.fixture(scope="session")
def client(environment):
    """`client("s3")`; further arguments go to botocore's Config, keys to the client."""
    return lambda service, **config: make_client(environment, service, **config)


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"interop-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def kinesis(client):
    return client("kinesis")


@pytest.fixture
def s3(client):
    return client("s3")


@pytest.fixture
def bucket(s3, name):
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=name, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def aws(environment, tmp_path):
    """Runs the AWS CLI as a user does, `aws("kinesis", "list-streams")`, and gives its standard output."""

    def run(*words, fails=False, environment=environment):
        done = subprocess.run(
            [sys.executable, os.path.join(os.path.dirname(sys.executable), "aws"), *words],
            env={**environment, "PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_PAGER": ""},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"aws {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def refused():
    """Asserts that a call is refused with a code of AWS's, and gives the error."""

    def check(code, call, **arguments):
        with pytest.raises(call.__self__.exceptions.ClientError) as caught:
            call(**arguments)
        error = caught.value.response["Error"]
        assert error["Code"] == code, error
        return error

    return check
