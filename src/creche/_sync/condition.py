"""`Condition`: tasks that hold a lock wait for a change of what it guards.

Owns the queue of waiting tasks. The lock may be shared; the lock itself keeps its holder.

    wait():   holding --> waiting (lock released) --notified or cancelled--> taking the lock again
                                                                             --> holding

Its rules, beside those of the package:
* `wait` holds the lock whenever it returns or raises, so taking it again cannot be cancelled.
* A notification is a grant: a task that got one returns from `wait`, even if it is cancelled
  before it has the lock again. So none is lost.
"""

# pyright: reportPrivateUsage=false
# A condition takes its lock for a task that waits: no user of a lock can.

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .. import _labels
from .._kernel import current_task
from .._kernel.wait_queue import WaitQueue
from .._tasks.info import TaskInfo
from .._wait_description import WaitDescription
from .lock import Lock, LockStatistics
from .operation import Operation
from .operations import WaitingForNews

if TYPE_CHECKING:
    from .._kernel.contract import FirmWaiter, Task


T = TypeVar("T")


class ConditionStatistics(NamedTuple):
    """How many tasks wait for a notification, and the state of the lock."""

    tasks_waiting: int
    lock_statistics: LockStatistics


class Condition:
    """A lock, and a queue of tasks that wait until a holder of it notifies them.

    :param lock: the lock to use; a new one if None
    :param name: what `repr` and reports of deadlocks call it, and a new lock
    """

    __slots__ = ("__weakref__", "_lock", "_name", "_queue")

    _name: str | _labels.MadeAt
    """Only set if there is something to keep."""

    def __init__(self, lock: Lock | None = None, *, name: str | None = None) -> None:
        self._lock = Lock(name=name) if lock is None else lock
        self._queue: WaitQueue[Task] = WaitQueue()
        if name is not None or _labels.noting:
            self._name = _labels.label(name)

    async def acquire(self) -> None:
        """Wait until the lock is free, and take it. A checkpoint.

        :raises RuntimeError: the current task holds the lock already
        """
        await self._lock.acquire()

    def acquire_nowait(self) -> None:
        """Take the lock without waiting.

        :raises WouldBlock: another task holds the lock
        :raises RuntimeError: the current task holds the lock already
        """
        self._lock.acquire_nowait()

    def release(self) -> None:
        """Release the lock.

        :raises RuntimeError: the current task does not hold the lock
        """
        self._lock.release()

    __aenter__ = acquire

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._lock.release()

    def locked(self) -> bool:
        """Return True if a task holds the lock."""
        return self._lock.locked()

    async def wait(self) -> None:
        """Release the lock, wait for a notification, and take the lock again. A checkpoint.

        The current task holds the lock again when this returns or raises.

        :raises RuntimeError: the current task does not hold the lock
        """
        task = current_task()
        self._check_held(task)
        await task.checkpoint_if_cancelled()  # Before the lock changes hands.
        self._lock.release()
        turn: FirmWaiter | None = None
        try:
            turn = await self._queue.wait(task, task)
        finally:
            await self._lock._reacquire(task, turn)

    def waiting(self) -> Operation[None]:
        """Return waiting for a notification as an operation for `creche.flow.select`.

        Its value is None. The current task has to hold the lock. It is released if `select` has to wait, and
        held again when `select` returns or raises, whichever operation was done.
        """
        return WaitingForNews(self)

    async def wait_for(self, predicate: Callable[[], T]) -> T:
        """Wait until `predicate()` is true, asking now and after each notification.

        A checkpoint if it has to wait.

        :return: what the predicate returned
        :raises RuntimeError: the current task does not hold the lock
        """
        while not (result := predicate()):
            await self.wait()
        return result

    def notify(self, n: int = 1) -> None:
        """Wake the first `n` tasks that wait. They return when they have the lock again.

        :raises RuntimeError: the current task does not hold the lock
        """
        self._check_held(current_task())
        while n > 0 and (first := self._queue.pop()) is not None:
            waiter, task = first
            # Its place among those that wait for the lock is taken now, so that the order of
            # notification holds on a loop that shuffles the tasks it wakes.
            waiter.set_result(self._lock._queue_up(task))
            n -= 1

    def notify_all(self) -> None:
        """Wake all tasks that wait. They return one by one, each when it has the lock again.

        :raises RuntimeError: the current task does not hold the lock
        """
        self.notify(len(self._queue))

    def statistics(self) -> ConditionStatistics:
        """Return how many tasks wait for a notification, and the state of the lock."""
        return ConditionStatistics(len(self._queue), self._lock.statistics())

    def _check_held(self, task: Task) -> None:
        """Raise RuntimeError unless `task` holds the lock. For the operation."""
        if not self._lock._held_by(task):
            raise _not_held()

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        if inner is not None:  # The task waits in the lock: at first, or to take it again.
            return inner._replace(what=("the lock of ", self))
        return WaitDescription(("a notify of ", self), "notify()")

    def __repr__(self) -> str:
        return f"<{_labels.shown(self)} {len(self._queue)} waiting, with {self._lock!r}>"


def _not_held() -> RuntimeError:
    return RuntimeError(
        "The current task is not holding the underlying lock: "
        "wait and notify inside 'async with condition'"
    )
