"""`Semaphore`: a limited number of tasks at a time; any task may release.

Owns the count and the queue. Does not know which task holds what.

    value > 0: nobody waits        value == 0: a release hands its place to the first that waits
"""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Self

from .. import _labels
from .._exceptions import WouldBlock
from .._kernel import current_task
from .._kernel.wait_queue import WaitQueue
from .._tasks.info import TaskInfo
from .._wait_description import WaitDescription
from .operation import Operation
from .operations import AcquiringSemaphore


class SemaphoreStatistics(NamedTuple):
    """How many tasks wait in `Semaphore.acquire`."""

    tasks_waiting: int


class Semaphore:
    """A counter that tasks take from and give back to, fair: first come, first served.

    :param initial_value: how many can be acquired before the first release, 0 or more
    :param max_value: a release that would lift the value above this is an error; None: no limit
    :param fast_acquire: never give way to other tasks in `acquire` when the value is above 0
    :param name: what `repr` and reports of deadlocks call it
    :raises TypeError: a value is not an integer
    :raises ValueError: `initial_value` is negative, or above `max_value`
    """

    __slots__ = ("__weakref__", "_fast", "_max", "_name", "_queue", "_value")

    _name: str | _labels.MadeAt
    """Only set if there is something to keep."""

    def __init__(
        self,
        initial_value: int,
        *,
        max_value: int | None = None,
        fast_acquire: bool = False,
        name: str | None = None,
    ) -> None:
        _check(initial_value, max_value)
        self._value = initial_value
        self._max = max_value
        self._fast = fast_acquire
        self._queue: WaitQueue[None] = WaitQueue()
        if name is not None or _labels.noting:
            self._name = _labels.label(name)

    async def __aenter__(self) -> Self:
        task = current_task()
        if task.credit > 0:  # Inlined: `semaphore` in benchmarks.
            task.credit -= 1
        elif self._value:
            await (task.checkpoint_if_cancelled() if self._fast else task.ready_checkpoint())
        if self._value:
            self._value -= 1
        else:
            await self._queue.wait(task, None)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.release()

    async def acquire(self) -> None:
        """Wait until the value is above 0, and take 1 from it. A checkpoint."""
        task = current_task()
        if self._value:
            await (task.checkpoint_if_cancelled() if self._fast else task.ready_checkpoint())
        if self._value:
            self._value -= 1
        else:
            await self._queue.wait(task, None)

    def acquire_nowait(self) -> None:
        """Take 1 from the value without waiting.

        :raises WouldBlock: the value is 0
        """
        if not self._value:
            raise WouldBlock
        self._value -= 1

    def acquiring(self) -> Operation[None]:
        """Return taking 1 as an operation for `creche.flow.select`. Its value is None."""
        return AcquiringSemaphore(self)

    def release(self) -> None:
        """Let the first task that waits go on, or add 1 to the value if none does.

        :raises ValueError: the value is at its maximum
        """
        if self._value == self._max:
            raise ValueError(
                f"semaphore released too many times: its value is {self._value}, "
                "the max_value. Release once for each acquire"
            )
        following = self._queue.pop()
        if following is None:
            self._value += 1
        else:
            try:
                following[0].set_result(None)
            except RuntimeError:  # in another thread
                self._queue.put_back(following)
                raise

    @property
    def value(self) -> int:
        """How many can be acquired now without waiting."""
        return self._value

    @property
    def max_value(self) -> int | None:
        """The limit of the value, None if there is none."""
        return self._max

    def statistics(self) -> SemaphoreStatistics:
        """Return how many tasks wait now."""
        return SemaphoreStatistics(len(self._queue))

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return inner or WaitDescription((self,), "release()")

    def __repr__(self) -> str:
        waiting = len(self._queue)
        return f"<{_labels.shown(self)} value={self._value}, {waiting} waiting>"


def _check(initial_value: object, max_value: object) -> None:
    if not isinstance(initial_value, int):
        raise TypeError(f"initial_value must be an integer, not {type(initial_value).__name__}")
    if initial_value < 0:
        raise ValueError(f"initial_value must be >= 0, not {initial_value}")
    if max_value is None:
        return
    if not isinstance(max_value, int):
        raise TypeError(f"max_value must be an integer or None, not {type(max_value).__name__}")
    if max_value < initial_value:
        raise ValueError(
            f"max_value must be equal to or higher than initial_value: "
            f"{max_value} is less than {initial_value}"
        )
