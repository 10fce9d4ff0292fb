"""Debian's kcat, as it is typed."""

import json
import shutil
import subprocess

import pytest

from msk import delete, make

pytestmark = [
    pytest.mark.pinfra,
    pytest.mark.skipif(shutil.which("kcat") is None, reason="not there: kcat (apt-get install kcat)"),
]


@pytest.fixture(scope="module")
def cluster(environment):
    made = make(environment, "interop-kcat")
    yield made
    delete(environment, made.arn)


@pytest.fixture
def kcat(cluster):
    """Runs `kcat -b <brokers> …` and gives what it printed."""

    def run(*words, given="", fails=False):
        command = ["kcat", "-b", cluster.plaintext, *map(str, words)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode != 0) == fails, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    return run


def test_the_cluster_is_listed(cluster, kcat, name):
    cluster.topic(name, 4)
    text = kcat("-L")
    assert " 3 brokers:" in text and f'topic "{name}" with 4 partitions:' in text
    listed = json.loads(kcat("-L", "-J", "-t", name))
    assert {broker["name"] for broker in listed["brokers"]} == set(cluster.plaintext.split(","))
    [topic] = listed["topics"]
    assert topic["topic"] == name and [len(partition["isrs"]) for partition in topic["partitions"]] == [3] * 4


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_lines_go_in_and_come_out(cluster, kcat, name, codec):
    cluster.topic(name, 3)
    lines = [f"{n}:row {n} é {'x' * n}" for n in range(300)]
    kcat("-P", "-t", name, "-K:", "-z", codec, given="\n".join(lines) + "\n")
    text = kcat("-C", "-t", name, "-e", "-q", "-K:")
    assert sorted(text.splitlines()) == sorted(lines)


def test_keys_headers_and_tombstones(cluster, kcat, name):
    cluster.topic(name)
    kcat("-P", "-t", name, "-K:", "-Z", "-H", "source=kcat", "-H", "empty=", given="k:v\ngone:\n")
    lines = kcat("-C", "-t", name, "-e", "-q", "-J").splitlines()
    value, tombstone = map(json.loads, lines)
    assert (value["key"], value["payload"], value["offset"]) == ("k", "v", 0)
    assert value["headers"] == ["source", "kcat", "empty", ""]
    assert (tombstone["key"], tombstone["payload"]) == ("gone", None)


def test_offsets_from_the_end_and_by_time(cluster, kcat, name):
    cluster.topic(name)
    kcat("-P", "-t", name, given="".join(f"{n}\n" for n in range(10)))
    assert kcat("-C", "-t", name, "-e", "-q", "-o", "-3") == "7\n8\n9\n"
    assert kcat("-C", "-t", name, "-e", "-q", "-o", "4", "-c", "2") == "4\n5\n"
    assert kcat("-C", "-t", name, "-e", "-q", "-o", "s@1") == "".join(f"{n}\n" for n in range(10))
    assert kcat("-Q", "-t", f"{name}:0:1").strip() == f"{name} [0] offset 0"
    assert kcat("-Q", "-t", f"{name}:0:-1").strip() == f"{name} [0] offset 10"


def test_a_group_goes_on_where_it_was(cluster, kcat, name):
    cluster.topic(name, 2)
    kcat("-P", "-t", name, given="a\nb\nc\n")
    settings = ["-X", "auto.offset.reset=earliest", "-e", "-q", "-G", name, name]
    assert sorted(kcat(*settings).split()) == ["a", "b", "c"]
    kcat("-P", "-t", name, given="d\n")
    assert kcat(*settings).split() == ["d"]


def test_transactions_and_unknown_topics_are_refused(kcat, name):
    assert "nknown topic" in kcat("-C", "-t", name, "-e", fails=True)
    error = kcat("-P", "-t", name, "-X", "transactional.id=t", given="x\n", fails=True)
    assert "transactions are not supported by the local cloud" in error
