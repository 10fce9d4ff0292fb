"""A local cloud of its own: started, killed and started again by the program that users run; and clients of it."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import time

import boto3
from botocore.config import Config


def until(condition, what, seconds=30):
    """Polls `condition` until it gives something true, which is returned."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(0.02)


def make_client(environment, service, **config):
    """A client of boto3 that is told the endpoint and the keys; keys may be given, the rest goes to its Config."""
    # Attempts are left at the default of boto3: per-shard limits answer like AWS, and programs retry.
    keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    arguments = {key: config.pop(key) for key in keys if key in config}
    return boto3.client(
        service,
        **{
            "endpoint_url": environment["AWS_ENDPOINT_URL"],
            "region_name": environment["AWS_DEFAULT_REGION"],
            "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
            **arguments,
        },
        config=Config(connect_timeout=5, read_timeout=30, max_pool_connections=32, **config),
    )


class Cloud:
    """`pinfra local` with its state in `folder`. `environment` is what `local status --env` exports."""

    def __init__(self, program, folder, *options):
        self.program, self.folder, self.options = program, pathlib.Path(folder), options
        self.process, self.environment = None, {}

    @property
    def endpoint(self):
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def pid(self):
        """The process that serves, as it says itself."""
        return json.loads((self.folder / "local" / "server.json").read_text())["pid"]

    def start(self):
        """Starts the server and waits until it answers. After a first start it takes the port that it had."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "server.log", "ab") as log:
            command = [self.program, "--state", self.folder, "local", "start", "--foreground", *self.options]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.environment = until(self._status, "the local cloud is up")
        return self

    def _status(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the local cloud left with {self.process.returncode}:\n{self.log()}")
        command = [self.program, "--state", self.folder, "local", "status", "--env"]
        status = subprocess.run(command, capture_output=True, text=True, check=False)
        exports = [shlex.split(line) for line in status.stdout.splitlines() if line.startswith("export ")]
        environment = dict(word.split("=", 1) for _export, word in exports)
        return environment if status.returncode == 0 and "AWS_ENDPOINT_URL" in environment else None

    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")

    def kill(self):
        """kill -9, as the power failing looks to the process: nothing is flushed, nobody is told."""
        assert self.pid == self.process.pid, "`--foreground` serves in the process that was started"
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the local cloud did not stop within 20 s of SIGTERM") from None
