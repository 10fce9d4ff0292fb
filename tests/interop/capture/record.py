"""Records what real AWS clients put on the wire, as fixtures for the wire layer of the local cloud.

    python record.py boto3 cli                 # writes crates/local/tests/data/captured/<service>.<client>.json
    python record.py rust --program PATH       # PATH: the binary built from ./rust

A small HTTP server keeps every request byte for byte and gives the least answer its protocol allows. The calls are
listed in `cases.py` (boto3, AWS CLI) and `rust/src/main.rs` (AWS SDK for Rust), each with what it means: the
arguments of the call, never something read back from the request. The format is described beside the fixtures.
"""

import argparse
import base64
import contextlib
import datetime
import json
import os
import pathlib
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading

import awscli
import boto3
import botocore.config
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

import cases

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
HOST, PORT = "127.0.0.1", 45990
FIXTURES = pathlib.Path(__file__).resolve().parents[3] / "crates/local/tests/data/captured"


class Recorder(socketserver.ThreadingTCPServer):
    """Keeps requests in the order in which they were complete."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__((HOST, PORT), Connection)
        self.requests = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self):
        taken, self.requests = self.requests, []
        return taken


class Connection(socketserver.StreamRequestHandler):
    """Reads HTTP/1.1 by hand: libraries fold, reorder or decode what the wire layer has to cope with."""

    def handle(self):
        with contextlib.suppress(ConnectionResetError):
            self.serve()

    def serve(self):
        while line := self.rfile.readline():
            method, target, _version = line.decode("latin-1").rstrip("\r\n").split(" ")
            headers = []
            while (line := self.rfile.readline().decode("latin-1").rstrip("\r\n")) != "":
                name, _, value = line.partition(":")
                headers.append([name, value.strip(" \t")])
            lower = {name.lower(): value for name, value in headers}
            if lower.get("expect", "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.read_body(lower)
            self.server.requests.append(
                {
                    "method": method,
                    "target": target,
                    "headers": headers,
                    "body_base64": base64.b64encode(body).decode(),
                }
            )
            content_type, answer = least_answer(lower)
            self.wfile.write(
                b'HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nETag: "0"\r\nx-amz-crc32: 0\r\n'
                b"smithy-protocol: rpc-v2-cbor\r\n\r\n%s"
                % (content_type.encode(), len(answer), answer if method != "HEAD" else b"")
            )

    def read_body(self, headers):
        """The body after the framing of HTTP itself; `aws-chunked` is a content coding and stays as it came."""
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", "0")))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() != b"\r\n":
            pass
        return body


def least_answer(headers):
    content_type = headers.get("content-type", "")
    if content_type.startswith("application/cbor"):
        return "application/cbor", b"\xbf\xff"
    if content_type.startswith("application/x-www-form-urlencoded"):
        return "text/xml", b"<Response><Result/></Response>"
    if "json" in content_type or "apigateway" in headers.get("authorization", ""):
        return content_type or "application/json", b"{}"
    return "application/xml", b""


def plain(value):
    """Arguments of a call as JSON: blobs in base64, timestamps in epoch seconds."""
    match value:
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case bytes():
            return base64.b64encode(value).decode()
        case datetime.datetime():
            seconds = value.timestamp()
            return int(seconds) if seconds == int(seconds) else seconds
        case _:
            return value


def entry(recorder, operation, client, expect):
    requests = recorder.take()
    if len(requests) != 1:
        sys.exit(f"{client} {operation}: {len(requests)} requests instead of one")
    return {"operation": operation, "client": client, "request": requests[0], "expect": plain(expect)}


def write(service, client, entries):
    path = FIXTURES / f"{service}.{client}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    print(f"{path.name}: {len(entries)} requests")


def record_boto3(recorder):
    name = f"boto3 {boto3.__version__}"
    for service, calls in cases.BOTO3.items():
        entries = []
        for call in calls:
            client = boto3.client(
                service,
                endpoint_url=f"http://{HOST}:{PORT}",
                region_name=REGION,
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
                aws_session_token=call.session_token,
                config=botocore.config.Config(retries={"total_max_attempts": 1}, **call.config),
            )
            method = xform_name(call.operation)
            if call.presigned:
                parameters = dict(call.arguments)
                body = parameters.pop("Body", None)
                verb = "GET" if body is None else "PUT"
                url = client.generate_presigned_url(method, Params=parameters, ExpiresIn=3600, HttpMethod=verb)
                send_raw(verb, url, body)
            else:
                # The least answer is not always enough for the client; the request is what counts.
                with contextlib.suppress(ClientError, ResponseParserError, KeyError):
                    getattr(client, method)(**call.arguments)
            entries.append(entry(recorder, call.operation, name, call.expect))
        write(service, "boto3", entries)


def send_raw(method, url, body):
    """A presigned URL is used by programs that know nothing of AWS, so nothing is added or normalised here."""
    target = url.split(f"{HOST}:{PORT}", 1)[1]
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    with socket.create_connection((HOST, PORT)) as connection:
        head = f"{method} {target} HTTP/1.1\r\nHost: {HOST}:{PORT}\r\n{length}\r\n"
        connection.sendall(head.encode() + (body or b""))
        connection.recv(65536)


def record_cli(recorder):
    name = f"aws-cli {awscli.__version__}"
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_ENDPOINT_URL": f"http://{HOST}:{PORT}",
        }
        for file, content in cases.FILES.items():
            pathlib.Path(home, file).write_bytes(content)
        aws = pathlib.Path(sys.executable).parent / "aws"
        for service, calls in cases.CLI.items():
            entries = []
            for call in calls:
                done = subprocess.run(
                    [sys.executable, aws, *call.words], cwd=home, env=environment, capture_output=True, check=False
                )
                if not recorder.requests:
                    sys.exit(f"{call.words}: nothing sent: {done.stderr.decode()}")
                entries.append(entry(recorder, call.operation, name, call.expect))
            write(service, "cli", entries)


def record_rust(recorder, program):
    """The program makes one request a call and prints one line a call, so both come in the same order."""
    environment = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://{HOST}:{PORT}",
    }
    done = subprocess.run([program], env=environment, stdout=subprocess.PIPE, check=True)
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    requests = recorder.take()
    if len(calls) != len(requests):
        sys.exit(f"{len(calls)} calls but {len(requests)} requests")
    services = {}
    for call, request in zip(calls, requests, strict=True):
        services.setdefault(call["service"], []).append(
            {
                "operation": call["operation"],
                "client": call["client"],
                "request": request,
                "expect": call["expect"],
            }
        )
    for service, entries in services.items():
        write(service, "rust", entries)


def main():
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="+", choices=["boto3", "cli", "rust"])
    parser.add_argument("--program", type=pathlib.Path, help="the binary built from ./rust")
    arguments = parser.parse_args()
    recorder = Recorder()
    if "boto3" in arguments.clients:
        record_boto3(recorder)
    if "cli" in arguments.clients:
        record_cli(recorder)
    if "rust" in arguments.clients:
        record_rust(recorder, arguments.program)


if __name__ == "__main__":
    main()
