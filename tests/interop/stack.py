"""A whole pipeline of its own: `pinfra up` of a stack file, with its state in a folder."""

import json
import os
import pathlib
import shlex
import subprocess

from cloud import until

TABLES = ("pin", "geo", "user")
KEYS = {"pin": "index", "geo": "ind", "user": "ind"}


def document(name, emulator, auth="key"):
    """A stack of the three tables with their built-in cleaning, its events posted by `emulator`."""
    return {
        "name": name,
        "tables": {table: {"key": key} for table, key in KEYS.items()},
        "streams": {},
        "api": {"auth": auth},
        "lake": {},
        "client": {},
        "workers": {"emulator": emulator, "cleaner": {"streaming": True}},
    }


class Stack:
    """`pinfra up` of `document`, and `pinfra down`. `secrets` are variables that the stack file names."""

    def __init__(self, program, folder, document, **secrets):
        self.program, self.folder, self.name, self.secrets = program, pathlib.Path(folder), document["name"], secrets
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "stack.yaml"
        self.file.write_text(json.dumps(document))  # YAML has JSON in it

    def run(self, *words):
        """What the command printed."""
        done = subprocess.run(
            self._command(*words), env=self._environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (
            f"pinfra {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def _command(self, *words):
        return [self.program, "--state", self.folder / "state", *words]

    def _environment(self):
        return {**os.environ, **self.secrets}

    def __enter__(self):
        try:
            self.run("up", self.file)
        except AssertionError:
            # What was made goes, and the failure of `up` is what is told.
            subprocess.run(self._command("down", "--yes"), env=self._environment(), capture_output=True, check=False)
            raise
        return self

    def __exit__(self, *_):
        self.run("down", "--yes")

    def output(self, name):
        return self.run("outputs", "--show", name).strip()

    def environment(self):
        """What a shell would have after `eval "$(pinfra local status --env)"`."""
        lines = self.run("local", "status", "--env").splitlines()
        words = [shlex.split(line)[1] for line in lines if line.startswith("export ")]
        return dict(word.split("=", 1) for word in words)

    def query(self, *words):
        """The rows that `pinfra query` answers."""
        return json.loads(self.run("query", *words, "--format", "json"))

    def status(self):
        """The last that `status --json` says, whether the stack is healthy or not."""
        done = subprocess.run(
            self._command("status", "--json"), env=self._environment(), capture_output=True, text=True, check=False
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        found = [event for event in events if event["event"] == "status"]
        assert found, f"status: {done.returncode}\n{done.stdout}{done.stderr}"
        return found[-1]

    def counts(self, path="stream"):
        """By table, the events at each hop of a path: `stream` or `batch`."""
        return {event["table"]: event["counts"] for event in self.status()["events"] if event["path"] == path}

    def settle(self, seconds=120, path="stream"):
        """Waits until the emulator is done and every event is accounted for on a path; gives the counts."""

        def settled():
            status = self.status()
            done = all(
                worker["state"]["report"]["doing"].startswith("done")
                for worker in status["workers"]
                if worker["name"] == "emulator"
            )
            events = [event for event in status["events"] if event["path"] == path]
            if done and all(event["verdict"] == "reconciles" for event in events):
                return {event["table"]: event["counts"] for event in events}
            return None

        return until(settled, "every event is accounted for", seconds)
