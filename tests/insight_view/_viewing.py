"""Starts what the tests of the viewers need: a program to look at, and `creche web` beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

Context = AbstractContextManager[subprocess.Popen[str]]
HERE = Path(__file__).parent
CROWD = HERE.parent / "insight" / "crowd.py"


@contextmanager
def program(path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program that says `ready`, until the end of the block."""
    with subprocess.Popen(
        [sys.executable, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def service(name: str, backend: str = "asyncio") -> Context:
    return program(HERE / "service.py", name, backend)


def crowd(backend: str = "asyncio") -> Context:
    return program(CROWD, backend, "serve")


def tell(process: subprocess.Popen[str]) -> None:
    """Let a program go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


class Web(NamedTuple):
    """A running `creche web`."""

    process: subprocess.Popen[str]
    address: str

    @property
    def host(self) -> str:
        return self.address.split("/")[2]

    @property
    def token(self) -> str:
        return self.address.partition("#")[2]


@contextmanager
def web(target: object) -> Iterator[Web]:
    """Run `creche web` until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "creche", "web", str(target)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), address + process.stderr.read()
            yield Web(process, address)
        finally:
            process.terminate()
            process.wait()
