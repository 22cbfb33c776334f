"""Descriptors: one reader and one writer of each, who wait for the loop's selector."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from creche import BusyResourceError, ClosedResourceError
from creche._kernel.descriptors import of_another_loop

from .here import task_here
from .loop import Loop
from .tasks import Waiter

if TYPE_CHECKING:
    from .kernel import ToyKernel

T = TypeVar("T")
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
ACTIONS = {READ: "reading from", WRITE: "writing to"}


class Readiness:
    """Who waits for which descriptor."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiters: dict[tuple[int, int], Waiter] = {}

    async def wait(self, obj: Any, event: int) -> None:
        task = task_here()
        assert task is not None, "awaited in a task"
        key = obj if isinstance(obj, int) else obj.fileno(), event
        if key in self._waiters:
            raise BusyResourceError(ACTIONS[event])
        await task.checkpoint_if_cancelled()
        waiter = self._waiters[key] = task.make_waiter()
        self._loop.watch(*key, partial(self._ready, key))
        try:
            await task.wait(waiter)
        finally:
            self._take(key, waiter)

    def _take(self, key: tuple[int, int], waiter: Waiter) -> None:
        if self._waiters.get(key) is waiter:
            del self._waiters[key]
            self._loop.unwatch(*key)

    def _ready(self, key: tuple[int, int]) -> None:
        waiter = self._waiters[key]
        self._take(key, waiter)
        waiter.grant_if_waiting()

    def close(self, obj: Any) -> None:
        """Wake whoever waits on `obj` with ClosedResourceError."""
        fd = obj if isinstance(obj, int) else obj.fileno()
        for event in (READ, WRITE):
            waiter = self._waiters.get((fd, event))
            if waiter is not None:
                self._take((fd, event), waiter)
                if not waiter.done():
                    waiter.set_exception(ClosedResourceError())


class Watch:
    """The contract's `Watch`."""

    def __init__(self, kernel: ToyKernel, readiness: Readiness, obj: Any) -> None:
        self._kernel = kernel
        self._readiness = readiness
        self._obj = obj
        self._closed = False

    async def when_readable(self, attempt: Callable[[], T], task: object = None, /) -> T:
        return await self._when(READ, attempt)

    async def when_writable(self, attempt: Callable[[], T], task: object = None, /) -> T:
        return await self._when(WRITE, attempt)

    async def _when(self, event: int, attempt: Callable[[], T]) -> T:
        task = task_here()
        if task is None or task.kernel is not self._kernel:
            raise of_another_loop(self._kernel)
        while True:
            await self._readiness.wait(self._obj, event)
            if self._closed:  # After the wake-up, and before this step.
                raise ClosedResourceError
            try:
                return attempt()
            except (BlockingIOError, InterruptedError):
                continue

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._readiness.close(self._obj)
