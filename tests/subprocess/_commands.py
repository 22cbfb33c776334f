"""Programs to run, and what is left of them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psutil

import creche

FOREVER = ["sleep", "1000"]


def python(code: str) -> list[str]:
    """The command that runs a piece of Python, quickly."""
    return [sys.executable, "-I", "-S", "-c", code]


others: set[int] = set()
"""Children that earlier tests have left, such as the tracker of `multiprocessing`: noted before each test."""


def children() -> list[int]:
    """The children of this process that nobody has reaped, also the dead ones.

    Without those from before.
    """
    return sorted(child.pid for child in psutil.Process().children() if child.pid not in others)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another process, and tells nobody."""
    with creche.fail_after(10):
        while not condition():
            await creche.sleep(0.002)


async def stuck_writer() -> creche.abc.Process:
    """A process that waits for somebody to read what it writes."""
    process = await creche.open_process(["yes"])
    await until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
    return process
