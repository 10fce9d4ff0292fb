#!/usr/bin/env python3
"""CPU time that the local cloud takes for a Kinesis call. Needs Python 3.11 on Linux and nothing else.

    pinfra --state /tmp/bench local start --no-limits
    eval "$(pinfra --state /tmp/bench local status --env)"
    python3 tests/interop/bench_kinesis.py --state /tmp/bench

The figure is what the server used (user + system, /proc/PID/stat), so a slow client does not change it. Requests are
signed before the clock starts and sent over kept-alive connections, so the client leaves the processor to the server.
Another server is measured by its endpoint in the environment and `--pid`.
"""

import argparse
import base64
import concurrent.futures
import datetime
import hashlib
import hmac
import itertools
import json
import os
import pathlib
import random
import socket
import sys
import time
import urllib.parse

POOL = 64  # signed requests that the clients take turns with
BATCH = 100
WARM_UP = 0.1  # of the calls, before the clock starts


class Endpoint:
    """Where requests go, and how they are signed."""

    def __init__(self):
        try:
            url = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
            self.access_key, self.secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
            self.region = os.environ.get("AWS_REGION", "us-east-1")
        except KeyError as missing:
            sys.exit(f'{missing} is not set: eval "$(pinfra local status --env)" sets it')
        self.address, self.host = (url.hostname, url.port or 80), url.netloc

    def request(self, operation, arguments):
        """The bytes of one signed request (Signature Version 4)."""
        body = json.dumps(arguments).encode()
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": self.host,
            "x-amz-date": now,
            "x-amz-target": f"Kinesis_20131202.{operation}",
        }
        signed = ";".join(headers)
        lines = [f"{name}:{value}" for name, value in headers.items()]
        canonical = "\n".join(["POST", "/", "", *lines, "", signed, hashlib.sha256(body).hexdigest()])
        scope = f"{now[:8]}/{self.region}/kinesis/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for word in [*scope.split("/"), text]:
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={signed}, Signature={key.hex()}"
        )
        headers["content-length"] = len(body)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{head}\r\n".encode() + body

    def call(self, operation, **arguments):
        with Connection(self) as connection:
            return json.loads(connection.send(self.request(operation, arguments)) or b"{}")


class Connection:
    """As little HTTP as a kept-alive connection needs."""

    def __init__(self, endpoint):
        self.address = endpoint.address
        self.open()

    def open(self):
        self.socket = socket.create_connection(self.address, timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, request):
        self.socket.sendall(request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self.receive()
        head = received[:end].lower()
        length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), None)
        if length is None:
            sys.exit(f"an answer without content-length:\n{head.decode()}")
        pieces, missing = [received[end + 4 :]], int(length.split(b":")[1]) - len(received) + end + 4
        while missing > 0:
            pieces.append(self.receive())
            missing -= len(pieces[-1])
        if not head.startswith(b"http/1.1 200"):
            sys.exit(f"{head.decode()}\n\n{b''.join(pieces).decode()}")
        if b"\r\nconnection: close" in head:  # not the local cloud, but some servers it is compared with
            self.socket.close()
            self.open()
        return b"".join(pieces)

    def receive(self):
        if piece := self.socket.recv(1 << 18):
            return piece
        sys.exit("the server closed the connection")


def cpu_seconds(pid):
    """User and system time of all threads; fields 14 and 15 of proc(5), after a name that may hold anything."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(pid, name, calls, records, work):
    before, started = cpu_seconds(pid), time.perf_counter()
    work()
    wall, cpu = time.perf_counter() - started, cpu_seconds(pid) - before
    print(
        f"{name:<18}{calls:>8} calls  {cpu / calls * 1e6:>9.1f} µs CPU a call"
        f"  {cpu / records * 1e6:>8.2f} µs CPU a record"
        f"  {cpu:>7.2f} s CPU  {wall:>7.2f} s wall  {records / wall:>9.0f} records/s"
    )


def send_all(endpoint, clients, requests, count):
    """`count` calls over `clients` connections, each taking the next request of the pool."""

    def client(number):
        share = count // clients + (number < count % clients)
        with Connection(endpoint) as connection:
            for request in itertools.islice(itertools.cycle(requests[number:] + requests[:number]), share):
                answer = connection.send(request)
                if b'"FailedRecordCount"' in answer and json.loads(answer)["FailedRecordCount"]:
                    sys.exit("records were throttled: start the local cloud with --no-limits")

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for _ in pool.map(client, range(clients)):
            pass


def read_all(endpoint, stream, shards):
    """Reads every shard to its end, and gives the numbers of calls and records."""
    calls = records = 0
    with Connection(endpoint) as connection:
        for shard in shards:
            iterator = endpoint.call(
                "GetShardIterator", StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            behind = 1
            while behind:
                answer = json.loads(
                    connection.send(endpoint.request("GetRecords", {"ShardIterator": iterator, "Limit": 1000}))
                )
                iterator, behind = answer["NextShardIterator"], answer["MillisBehindLatest"]
                calls += 1
                records += len(answer["Records"])
    return calls, records


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--state", type=pathlib.Path, help="the state folder of the local cloud")
    server.add_argument("--pid", type=int, help="the process that serves")
    parser.add_argument("--puts", type=int, default=20_000, help="PutRecord calls")
    parser.add_argument("--batches", type=int, default=2_000, help=f"PutRecords calls of {BATCH} records")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--bytes", type=int, default=200, help="data of a record")
    arguments = parser.parse_args()

    pid = arguments.pid or json.loads((arguments.state / "local" / "server.json").read_text())["pid"]
    endpoint, stream = Endpoint(), f"bench-{os.getpid()}"
    endpoint.call("CreateStream", StreamName=stream, ShardCount=arguments.shards)
    deadline = time.monotonic() + 30
    while (described := endpoint.call("DescribeStream", StreamName=stream)["StreamDescription"])[
        "StreamStatus"
    ] != "ACTIVE":
        if time.monotonic() > deadline:
            sys.exit(f"{stream} is still {described['StreamStatus']}")
        time.sleep(0.05)

    chance = random.Random(1)
    record = lambda: {  # noqa: E731
        "PartitionKey": f"{chance.getrandbits(64):016x}",
        "Data": base64.b64encode(chance.randbytes(arguments.bytes)).decode(),
    }
    puts = [endpoint.request("PutRecord", {"StreamName": stream, **record()}) for _ in range(POOL)]
    batches = [
        endpoint.request("PutRecords", {"StreamName": stream, "Records": [record() for _ in range(BATCH)]})
        for _ in range(POOL)
    ]
    for name, requests, count, each in [
        ("PutRecord", puts, arguments.puts, 1),
        (f"PutRecords({BATCH})", batches, arguments.batches, BATCH),
    ]:
        send_all(endpoint, arguments.clients, requests, int(count * WARM_UP))
        measure(pid, name, count, count * each, lambda: send_all(endpoint, arguments.clients, requests, count))  # noqa: B023

    shards = [shard["ShardId"] for shard in described["Shards"]]
    calls, records = read_all(endpoint, stream, shards)
    measure(pid, "GetRecords(1000)", calls, records, lambda: read_all(endpoint, stream, shards))
    endpoint.call("DeleteStream", StreamName=stream)


if __name__ == "__main__":
    main()
