"""Context managers that say what happens to them.

`Journal.lines` has every opening and closing, with the name of the task that did it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from creche import (
    CancelScope,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    get_current_task,
    sleep_forever,
)
from creche.lowlevel import checkpoint


class Broken(Exception):
    pass


class Journal:
    """What has been opened and closed, in this order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tasks: dict[str, int] = {}
        self.open: set[str] = set()
        self.breaks: dict[str, Event] = {}

    @asynccontextmanager
    async def plain(
        self,
        name: str,
        *,
        opening: BaseException | None = None,
        closing: BaseException | None = None,
        close: Callable[[], Any] | None = None,
    ) -> AsyncIterator[str]:
        """Give `name`; raise what is to be raised as it opens or closes."""
        self.tasks[name] = get_current_task().id
        await checkpoint()
        if opening is not None:
            raise opening
        self.lines.append(f"open {name}")
        self.open.add(name)
        try:
            yield name
        finally:
            self.open.discard(name)
            if close is not None:
                await close()
            assert get_current_task().id == self.tasks[name], "closed in another task"
            self.lines.append(f"close {name}")
            if closing is not None:
                raise closing

    @asynccontextmanager
    async def with_tasks(self, name: str) -> AsyncIterator[str]:
        """Give `name`, with a scope and a task group around it, as a client session has."""
        broken = self.breaks[name] = Event()

        async def read() -> None:
            await broken.wait()
            raise Broken(name)

        with CancelScope():
            async with create_task_group() as group:
                group.start_soon(read)
                async with self.plain(name):
                    yield name
                group.cancel()

    @asynccontextmanager
    async def slow(self, name: str) -> AsyncIterator[str]:
        """Open for ever, and tell of the end."""
        self.lines.append(f"opening {name}")
        try:
            await sleep_forever()
            yield name
        except get_cancelled_exc_class():
            self.lines.append(f"unwinding {name}")
            with CancelScope(shield=True):
                await checkpoint()
            self.lines.append(f"unwound {name}")
            raise
