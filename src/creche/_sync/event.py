"""`Event`: a flag that is raised once, and the tasks that wait for it.

Owns the flag and its waiters. Does not know what the event means.

    clear --set()--> set        for good: make a new Event for the next time

Its rule: `wait` holds nothing but itself, the task and one waiter while it blocks. Programs have
one blocked task for each connection, and `benchmarks/` weighs them.
"""

from __future__ import annotations

from typing import NamedTuple

from .. import _labels
from .._kernel import current_task
from .._kernel.wait_queue import WaitQueue
from .._tasks.info import TaskInfo
from .._wait_description import WaitDescription
from .operation import Operation
from .operations import WaitingForEvent


class EventStatistics(NamedTuple):
    """How many tasks wait in `Event.wait`."""

    tasks_waiting: int


class Event:
    """A flag that tasks can wait for. Once set it stays set.

    :param name: what `repr` and reports of deadlocks call it
    """

    __slots__ = ("__weakref__", "_name", "_queue", "_set")

    _name: str | _labels.MadeAt
    """Only set if there is something to keep."""

    def __init__(self, *, name: str | None = None) -> None:
        self._set = False
        self._queue: WaitQueue[None] = WaitQueue()
        if name is not None or _labels.noting:
            self._name = _labels.label(name)

    def set(self) -> None:
        """Set the flag, and wake every task that waits for it. Setting it twice does nothing."""
        if self._set:
            return
        for waiter, _ in self._queue:
            waiter.set_result(None)
        self._set = True  # not before: in another thread the first wake-up raises
        self._queue.clear()

    def is_set(self) -> bool:
        """Return True if the flag is set."""
        return self._set

    async def wait(self) -> None:
        """Wait until the flag is set; return soon if it is. A checkpoint."""
        task = current_task()
        if self._set:
            if task.credit > 0:  # Inlined: `event` in benchmarks.
                task.credit -= 1
            else:
                await task.ready_checkpoint()
            return
        # As `WaitQueue.wait`. Inlined: `memory-tracemalloc` in benchmarks.
        waiter = task.make_waiter()
        self._queue.add(waiter, None)
        try:
            await task.park(waiter)
        except BaseException as exc:
            if not task.granted(waiter, exc):
                self._queue.discard(waiter)
                raise

    def waiting(self) -> Operation[None]:
        """Return waiting for the flag as an operation for `creche.flow.select`. Its value is None."""
        return WaitingForEvent(self)

    def statistics(self) -> EventStatistics:
        """Return how many tasks wait now."""
        return EventStatistics(len(self._queue))

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return inner or WaitDescription((self,), "set()")

    def __repr__(self) -> str:
        state = "set" if self._set else f"clear, {len(self._queue)} waiting"
        return f"<{_labels.shown(self)} {state}>"
