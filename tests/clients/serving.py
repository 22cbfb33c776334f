"""Starts HTTP servers as processes of their own, and sees to it that they end.

Owns: the command lines of uvicorn and hypercorn, waiting for the line in which a server tells its
port (the system chooses it), ending the process and whatever it has started. Knows nothing of the
applications. A server that says nothing for a while, or that does not end when asked to, fails
the test; what it has printed is in the message.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

APPS = Path(__file__).resolve().parent / "apps"
HOST = "127.0.0.1"
READY = re.compile(r"running on http://127\.0\.0\.1:(\d+)", re.IGNORECASE)
SECONDS = 120.0  # to start, and to end, on a busy machine

COMMANDS = {
    "uvicorn-asyncio": ("uvicorn", "--loop=asyncio", "--port=0", "--no-access-log"),
    "uvicorn-uvloop": ("uvicorn", "--loop=uvloop", "--port=0", "--no-access-log"),
    "hypercorn-asyncio": ("hypercorn", "--worker-class=asyncio", f"--bind={HOST}:0"),
    "hypercorn-uvloop": ("hypercorn", "--worker-class=uvloop", f"--bind={HOST}:0"),
    "hypercorn-trio": ("hypercorn", "--worker-class=trio", f"--bind={HOST}:0"),
}


@dataclass(frozen=True)
class Server:
    """A server that is ready: what it runs on, and where it is."""

    kind: str
    url: str

    @property
    def loop(self) -> str:
        return self.kind.partition("-")[2]


@contextmanager
def started(kind: str, app: str, *flags: str) -> Iterator[tuple[subprocess.Popen[str], Output]]:
    """Start a server process, and end it if it has not ended: for tests that end it themselves."""
    with started_command([sys.executable, "-m", *COMMANDS[kind], *flags, app]) as started:
        yield started


@contextmanager
def started_command(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], Output]]:
    process = subprocess.Popen(
        command,
        cwd=APPS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a group of its own, for hypercorn starts workers
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    output = Output(process)
    try:
        yield process, output
    finally:
        if process.poll() is None:
            end(process, output)


@contextmanager
def serving(kind: str, app: str) -> Iterator[Server]:
    """Keep a server process: ``app`` is a module of the applications and a name in it."""
    with started(kind, app) as (_, output):
        yield Server(kind, f"http://{HOST}:{output.port()}")
    assert "Traceback" not in output.text, output.text


class Output:
    """What a server prints, read by a thread so that the server never waits for a reader."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.stream = process.stdout
        self.lines: list[str] = []
        self.ports: SimpleQueue[str | None] = SimpleQueue()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        for line in self.stream:
            self.lines.append(line)
            if found := READY.search(line):
                self.ports.put(found[1])
        self.ports.put(None)

    def port(self) -> str:
        try:
            port = self.ports.get(timeout=SECONDS)
        except Empty:
            port = None
        if port is None:
            raise AssertionError(f"the server did not come up:\n{self.text}")
        return port

    def finish(self) -> None:
        self.thread.join(SECONDS)
        assert not self.thread.is_alive(), "a process of the server outlived it"
        self.stream.close()

    @property
    def text(self) -> str:
        return "".join(self.lines)


def end(process: subprocess.Popen[str], output: Output) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise AssertionError(f"the server did not end:\n{output.text}") from None
    output.finish()
