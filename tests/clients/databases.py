"""Starts PostgreSQL and Redis as processes of their own, in folders of their own, and ends them.

Owns: finding the programs, which `scripts/environments.py clients` installs where it can; the command lines,
which trade all durability for speed; waiting until a server answers. Clients reach both through UNIX
sockets, so no port can be taken. PostgreSQL refuses to run as root, so root starts it as `nobody`. A
server that is not installed, or does not start, fails the test that asks for it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SECONDS = 60.0  # to start, and to end
DEBIANS = Path("/usr/lib/postgresql")
USER = "creche"


class Missing(Exception):
    """A program that is not installed, with what to install."""


def find(program: str, package: str) -> str:
    """Return the path of a program: on PATH, or where Debian puts those of PostgreSQL."""
    versions = sorted(DEBIANS.glob(f"*/bin/{program}"), key=lambda path: path.parts[4])
    found = shutil.which(program) or (str(versions[-1]) if versions else None)
    if found is None:
        raise Missing(f"{program} was not found: install it (Debian's package is {package})")
    return found


@contextmanager
def postgres() -> Iterator[str]:
    """Keep a PostgreSQL; gives the folder of its socket. Database and user are `USER`, port 5432."""
    initdb, server = (find(program, "postgresql") for program in ("initdb", "postgres"))
    with folder("pg") as home:
        data = home / "data"
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
        subprocess.run(
            [initdb, "-D", data, "-U", USER, "-A", "trust", "-N", "-E", "UTF8"],
            check=True, capture_output=True, env=environment, cwd=home, user=unprivileged(),
        )  # fmt: skip
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(home),
            "max_connections": "100",
            "shared_buffers": "16MB",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        with running([server, "-D", str(data), *options], home, environment) as log:
            wait_for(home / ".s.PGSQL.5432", b"\0\0\0\x08\x04\xd2\x16\x2f", b"N", log)
            createdb = find("createdb", "postgresql-client")
            again_until_it_works([createdb, "-h", str(home), "-U", USER, USER], log)
            yield str(home)


@contextmanager
def redis() -> Iterator[str]:
    """Keep a Redis; gives the path of its socket."""
    server = find("redis-server", "redis-server")
    with folder("redis") as home:
        path = home / "socket"
        options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
        with running([server, *options], home, dict(os.environ)) as log:
            wait_for(path, b"PING\r\n", b"+PONG", log)
            yield str(path)


def unprivileged() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """Keep an empty folder that an unprivileged server may use, at a path short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix=f"creche-{name}-", dir="/tmp"))
    user = unprivileged()
    try:
        if user is not None:
            os.chown(path, user, -1)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running(command: Sequence[str], home: Path, environment: dict[str, str]) -> Iterator[Path]:
    """Keep a server; gives the file that it writes its words to."""
    log = home / "log"
    with log.open("wb") as words:
        server = subprocess.Popen(
            command, cwd=home, env=environment, user=unprivileged(), stdin=subprocess.DEVNULL,
            stdout=words, stderr=words, start_new_session=True,
        )  # fmt: skip
    try:
        yield log
    finally:
        server.send_signal(signal.SIGINT)  # To PostgreSQL: do not wait until the clients go.
        try:
            server.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            raise AssertionError(f"{command[0]} did not end: {words_in(log)}") from None


def wait_for(path: Path, question: bytes, answer: bytes, log: Path) -> None:
    """Wait until a server answers a question as it should."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(SECONDS)
                sock.connect(str(path))
                sock.sendall(question)
                if sock.recv(100).startswith(answer):
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"no answer at {path}: {words_in(log)}")


def again_until_it_works(command: Sequence[str], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        if time.monotonic() > deadline:
            raise AssertionError(f"{command[0]}: {done.stderr} {words_in(log)}")
        time.sleep(0.05)


def words_in(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
