"""What tests of clean-ups share: a log of what tasks did, and a program's run in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from creche import current_time, get_cancelled_exc_class, sleep, sleep_forever, testing


class Log:
    """What tasks have cleaned up, or had no time for, and when."""

    def __init__(self) -> None:
        self.done: list[tuple[str, float]] = []
        self.cut: list[tuple[str, float]] = []

    async def clean(self, name: str, seconds: float) -> None:
        try:
            await sleep(seconds)
        except get_cancelled_exc_class():
            self.cut.append((name, current_time()))
            raise
        self.done.append((name, current_time()))

    async def work(self, name: str, seconds: float) -> None:
        try:
            await sleep_forever()
        finally:
            await self.clean(name, seconds)


Program = Callable[[Log], Awaitable[Any]]


def run(program: Program, backend: str) -> Log:
    """Run a program in virtual time, beginning at 0; return what its tasks did."""
    log = Log()
    testing.run(program, log, backend=backend)
    return log
