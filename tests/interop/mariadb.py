"""A MariaDB of its own: Debian's mariadb-server with TLS, in a temporary folder, on a free port."""

import getpass
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import tempfile

from cloud import until

SEARCHED = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb-admin", "mariadb", "openssl")


def missing():
    """The programs that are needed and not there."""
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]


def program(name):
    return shutil.which(name, path=SEARCHED)


class MariaDb:
    """Serves the database `pinterest_data` to the user `emulator`, who must use TLS, and logs every statement."""

    def __init__(self):
        # Its path goes into a socket's name, which may be no longer than 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mariadb.", dir="/tmp"))
        self.password = f"{secrets.token_hex(12)}-p@ss"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None

    def url(self, password):
        return f"mysql://emulator:{password}@127.0.0.1:{self.port}/pinterest_data?ssl-mode=REQUIRED"

    def __enter__(self):
        try:
            self._install()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _install(self):
        certificate = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        files = ["-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"]
        subprocess.run([program("openssl"), *certificate, *files], check=True, capture_output=True)
        how = ["--auth-root-authentication-method=normal", "--skip-test-db", f"--user={getpass.getuser()}"]
        install = [program("mariadb-install-db"), "--no-defaults", f"--datadir={self.folder}/data", *how]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (self.folder / "init.sql").write_text(
            "CREATE DATABASE pinterest_data CHARACTER SET utf8mb4;\n"
            f"CREATE USER 'emulator'@'127.0.0.1' IDENTIFIED BY '{self.password}' REQUIRE SSL;\n"
            "GRANT ALL ON *.* TO 'emulator'@'127.0.0.1';\n"
        )

    def _start(self):
        options = {
            "user": getpass.getuser(),
            "datadir": self.folder / "data",
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "init-file": self.folder / "init.sql",
            "ssl-cert": self.folder / "cert.pem",
            "ssl-key": self.folder / "key.pem",
            "general-log": 1,
            "general-log-file": self.folder / "statements.log",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        with open(self.folder / "server.log", "wb") as log:
            self.process = subprocess.Popen([program("mariadbd"), "--no-defaults", *words], stdout=log, stderr=log)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError((self.folder / "server.log").read_text(errors="replace"))
            ping = [program("mariadb-admin"), "--no-defaults", f"--socket={self.folder}/socket", "--user=root", "ping"]
            return subprocess.run(ping, capture_output=True, check=False).returncode == 0

        until(answers, "MariaDB answers", 60)

    def execute(self, sql):
        """As root."""
        client = [
            program("mariadb"),
            "--no-defaults",
            f"--socket={self.folder}/socket",
            "--user=root",
            "pinterest_data",
        ]
        text = sql.encode()
        done = subprocess.run(
            [*client, "--default-character-set=utf8mb4"], input=text, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()

    def read_only(self):
        """How many connections made themselves read-only, and all that these asked for."""
        statements, readers = [], set()
        log = (self.folder / "statements.log").read_text(encoding="utf-8", errors="replace")
        for line in log.splitlines():
            # `time id Command<TAB>argument`; the time is left out where it is that of the line before.
            found = re.match(r"^(?:\S+ +\S+)?\s+(\d+) (Query|Prepare|Execute)\t(.*)", line)
            if found:
                statements.append((found[1], found[3]))
                if "TRANSACTION READ ONLY" in found[3]:
                    readers.add(found[1])
        return len(readers), [text for connection, text in statements if connection in readers]
