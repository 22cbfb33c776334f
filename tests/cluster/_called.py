"""Functions that the tests call on workers. Imported there by name."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

variable: ContextVar[str] = ContextVar("variable", default="default")


def variable_here() -> str:
    return variable.get()


def pid() -> int:
    return os.getpid()


def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def note(path: str, word: str) -> None:
    """Add a line to a file, in one write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{word} {os.getpid()}\n".encode())
    os.close(descriptor)


def beat(path: str, number: int, seconds: float) -> int:
    """Note a start, and then that it still runs, every 2 ms."""
    note(path, f"start {number}")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.002)
        note(path, f"beat {number}")
    return number


def beat_and_give(path: str, seconds: float, size: int) -> bytes:
    """As `beat`, and then return so many bytes."""
    beat(path, 1, seconds)
    return bytes(size)


def heed(path: str) -> NoReturn:
    """Run until the caller is cancelled, and note that it was told."""
    from creche.from_thread import check_cancelled

    note(path, "running")
    try:
        while True:
            check_cancelled()
            time.sleep(0.001)
    finally:
        note(path, "told")


def ignore(path: str) -> None:
    """Run whatever SIGTERM says."""
    signal.signal(signal.SIGTERM, lambda *_: note(path, "terminated"))
    note(path, "running")
    while True:
        time.sleep(0.01)


def family(path: str) -> None:
    """Start a program that starts another one, and wait."""
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
    note(path, "parent")
    child = subprocess.Popen([sys.executable, "-c", code])
    Path(f"{path}.child").write_text(str(child.pid))
    note(path, "running")
    child.wait()


def leave_a_program_behind() -> int:
    return subprocess.Popen(["sleep", "60"]).pid


def in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def fail(text: str) -> NoReturn:
    raise KeyError(text)


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")  # It can be pickled, and then not be read.


def fail_oddly() -> NoReturn:
    raise Odd(1, 2)


def give_a_lock() -> Any:
    return threading.Lock()


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def turn(data: bytes) -> bytes:
    return data[::-1]


def speak(words: str) -> None:
    print(words)
    subprocess.run(["echo", "from a program"], check=True)
    logging.getLogger("of.the.call").warning("logged %s", words)
    print("no end of line", end="", file=sys.stderr)


async def deadline_here() -> float:
    import creche

    return creche.current_effective_deadline() - creche.current_time()


async def rest(path: str) -> None:
    import creche

    note(path, "running")
    try:
        await creche.sleep_forever()
    finally:
        note(path, "told")


def check_nobody() -> None:
    from creche.from_thread import check_cancelled

    check_cancelled()


def fail_or_nap(what: str) -> None:
    if what == "fail":
        time.sleep(0.1)
        raise KeyError(what)
    time.sleep(60)
