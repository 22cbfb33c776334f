"""Functions for worker processes and subinterpreters: a light module, for each worker imports it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import NoReturn


class Unpicklable(Exception):
    """Can be written, and then not be read."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class BadToRead:
    """Raises in whoever reads it."""

    def __reduce__(self) -> tuple[object, ...]:
        return refuse, ()


def refuse() -> NoReturn:
    raise LookupError("cannot be read")


def pid() -> int:
    return os.getpid()


def identity(value: object) -> object:
    return value


def length(data: bytes) -> int:
    return len(data)


def fail() -> NoReturn:
    raise ValueError("in the worker")


def fail_badly() -> NoReturn:
    raise Unpicklable(1, 2)


def leave() -> NoReturn:
    raise SystemExit(3)


def lambda_() -> object:
    return lambda: None


def bad_to_read() -> BadToRead:
    return BadToRead()


def chatter(count: int) -> str:
    for _ in range(count):
        print("x" * 1000)
        print("x" * 1000, file=sys.stderr)
        os.write(1, b"y" * 1000)
        os.write(2, b"y" * 1000)
    return "done"


def read_stdin() -> str:
    return sys.stdin.read()


def close_standard_streams() -> str:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
    return "closed"


def kill_myself(number: int = int(signal.SIGKILL)) -> NoReturn:
    os.kill(os.getpid(), number)
    time.sleep(60)
    raise AssertionError


def vanish(code: int) -> NoReturn:
    os._exit(code)


def note_and_sleep(path: str) -> None:
    """Write down who we are, and sleep for a long time."""
    with open(f"{path}.new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"{path}.new", path)
    time.sleep(60)


def fork_and_die(path: str) -> None:
    """Leave a child behind that holds all our descriptors, and be killed."""
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    with open(path, "w") as file:
        file.write(str(child))
    os.kill(os.getpid(), signal.SIGKILL)


def print_for_ever() -> None:
    while True:
        print("x" * 10_000)
        print("x" * 10_000, file=sys.stderr)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def thread_count() -> int:
    return threading.active_count()


def path() -> list[str]:
    return sys.path
