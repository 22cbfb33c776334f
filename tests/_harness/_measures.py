"""Small instruments for tests: processor time, the leaves of a group, a future that will not go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import coroutine
from typing import Any


@dataclass(slots=True)
class Measured:
    """Seconds spent in a block: by the clock on the wall, and by this process on a processor."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def cpu_time() -> Iterator[Measured]:
    """Measure a block; the figures are there once it is left."""
    measured = Measured()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield measured
    finally:
        measured.wall = time.perf_counter() - wall
        measured.cpu = time.process_time() - cpu


def leaves(exc: BaseException) -> list[BaseException]:
    """Return the exceptions in a group that are not groups themselves, in order."""
    if isinstance(exc, BaseExceptionGroup):
        return [leaf for part in exc.exceptions for leaf in leaves(part)]
    return [exc]


class Laggard(asyncio.Future[None]):
    """A future that refuses to be cancelled."""

    def cancel(self, msg: object = None) -> bool:
        return False


@coroutine
def counting(coro: Any, suspended: Callable[[], object]) -> Generator[Any, Any, Any]:
    """Await a coroutine, and tell of each time that it suspends."""
    resume, value = coro.send, None
    while True:
        try:
            wanted = resume(value)
        except StopIteration as stop:
            return stop.value
        suspended()
        try:
            value = yield wanted
            resume = coro.send
        except BaseException as exc:
            resume, value = coro.throw, exc
