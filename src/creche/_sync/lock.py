"""`Lock`: one task at a time, first come first served.

Owns the holder and the queue. The holder is a task of the kernel contract.

    free --acquire--> held --release--> free, or held by the first that waits

Its rules, beside those of the package: only the holder releases, and the holder cannot acquire
again. One that ends as the holder breaks the lock, as in Trio: `holders.py`. `Condition` is the only class
that uses `_owner`, through `_held_by`, `_queue_up` and `_reacquire`.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _labels
from .._exceptions import BrokenResourceError, WouldBlock
from .._kernel import current_task
from .._kernel.wait_queue import WaitQueue
from .._tasks.info import TaskInfo
from .._wait_description import WaitDescription
from .holders import broken, note
from .operation import Operation
from .operations import AcquiringLock

if TYPE_CHECKING:
    from .._kernel.contract import FirmWaiter, Task


class LockStatistics(NamedTuple):
    """Whether a lock is held, by which task, and how many wait for it."""

    locked: bool
    owner: TaskInfo | None
    tasks_waiting: int


class Lock:
    """A lock that one task holds at a time, fair: first come, first served.

    :param fast_acquire: never give way to other tasks in `acquire` when the lock is free. A task
        that does nothing else in a loop then starves all others.
    :param name: what `repr` and reports of deadlocks call it
    """

    __slots__ = ("__weakref__", "_fast", "_name", "_noted", "_owner", "_queue")

    _name: str | _labels.MadeAt
    """Only set if there is something to keep."""
    _noted: set[Any]
    """The tasks whose end this lock would hear of: see `holders.py`. Set with `_queue`."""

    def __init__(self, *, fast_acquire: bool = False, name: str | None = None) -> None:
        self._fast = fast_acquire
        self._owner: Task | None = None
        self._queue: WaitQueue[Task] | None = None
        """Made when a task first waits: `release` has nothing to ask before (`lock` in benchmarks)."""
        if name is not None or _labels.noting:
            self._name = _labels.label(name)

    def __init_subclass__(cls) -> None:
        """Have `async with` call what a subclass has in place of `acquire` and `release`: ours makes no call."""
        kind: Any = cls  # Type checkers see no reason to give a class other methods.
        if cls.acquire is not Lock.acquire and cls.__aenter__ is Lock.__aenter__:
            kind.__aenter__ = _enter
        if cls.release is not Lock.release and cls.__aexit__ is Lock.__aexit__:
            kind.__aexit__ = _leave

    async def acquire(self) -> None:
        """Wait until the lock is free, and take it. A checkpoint.

        :raises RuntimeError: the current task holds the lock already
        :raises BrokenResourceError: the task that holds the lock has ended, or does while this one
            waits
        """
        task = current_task()
        if task.credit > 0:  # Inlined: `lock` in benchmarks.
            task.credit -= 1
        elif self._owner is None:
            await (task.checkpoint_if_cancelled() if self._fast else task.ready_checkpoint())
        if self._owner is None:
            self._owner = task
            return
        if self._owner is task:
            raise _held_already(task)
        queue = self._queue
        if queue is None or self._owner not in self._noted:
            queue = self._queue_behind(self._owner)
        # As `WaitQueue.wait`. Inlined: `lock-hand-over` in benchmarks.
        waiter = task.make_waiter()
        queue.add(waiter, task)
        try:
            await task.park(waiter)
        except BaseException as exc:
            if not task.granted(waiter, exc):
                queue.discard(waiter)
                raise

    def acquire_nowait(self) -> None:
        """Take the lock without waiting.

        :raises WouldBlock: another task holds the lock
        :raises RuntimeError: the current task holds the lock already
        """
        task = current_task()
        if self._owner is None:
            self._owner = task
        elif self._owner is task:
            raise _held_already(task)
        else:
            raise WouldBlock

    def acquiring(self) -> Operation[None]:
        """Return taking the lock as an operation for `creche.flow.select`. Its value is None."""
        return AcquiringLock(self)

    def release(self) -> None:
        """Release the lock; the first task that waits for it holds it from now on.

        :raises RuntimeError: the current task does not hold the lock
        """
        if self._owner is not current_task():
            raise self._not_held()
        queue = self._queue
        if queue is None or (following := queue.pop()) is None:
            self._owner = None
            return
        waiter, self._owner = following
        waiter.set_result(None)
        if self._owner not in self._noted and queue:
            note(self, self._owner)

    # The same coroutine under both names: one call less in `async with`.
    __aenter__ = acquire

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._queue is None and self._owner is current_task():
            self._owner = None  # As `release`, without the call (`lock` in benchmarks).
        else:
            self.release()

    def locked(self) -> bool:
        """Return True if a task holds the lock."""
        return self._owner is not None

    def statistics(self) -> LockStatistics:
        """Return whether the lock is held, by which task, and how many wait for it."""
        from .._tasks.info import info_of

        owner = None if self._owner is None else info_of(self._owner.info())
        return LockStatistics(owner is not None, owner, len(self._queue or ()))

    async def _reacquire(self, task: Task, turn: FirmWaiter | None) -> None:
        """Take the lock whatever is cancelled, at a place in the queue if `turn`. For Condition."""
        await (turn or self._queue_up(task)).wait()

    def _held_by(self, task: Task) -> bool:
        """Tell whether `task` is the holder. For Condition."""
        return self._owner is task

    def _queue_up(self, task: Task) -> FirmWaiter:
        """Put `task` in the queue; it holds the lock when the waiter is granted. For Condition."""
        waiter = task.make_firm_waiter()
        if self._owner is None:
            self._owner = task
            waiter.set_result(None)
        else:
            try:
                self._queue_behind(self._owner).add(waiter, task)
            except BrokenResourceError as exc:
                waiter.set_exception(exc)
        return waiter

    def _queue_behind(self, owner: Task) -> WaitQueue[Task]:
        """Return the queue to wait in while `owner` holds the lock.

        :raises BrokenResourceError: the owner has ended
        """
        queue = self._queue
        if queue is None:
            queue = self._queue = WaitQueue()
            self._noted = set()
        if owner not in self._noted:
            if owner.ended():
                raise broken(self, owner)
            note(self, owner)
        return queue

    def _break(self) -> None:
        """Fail all who wait: the holder has ended, and will not release the lock."""
        assert self._owner is not None and self._queue is not None, "it has ended as the holder"
        while (following := self._queue.pop()) is not None:
            following[0].set_exception(broken(self, self._owner))

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        holders = () if self._owner is None else (self._owner,)
        return inner or WaitDescription((self,), "release()", holders)

    def _not_held(self) -> RuntimeError:
        holder = "no task" if self._owner is None else f"task {self._owner.info().name!r}"
        return RuntimeError(
            f"The current task is not holding this lock: {holder} does. "
            "Release a lock once, in the task that acquired it"
        )

    def __repr__(self) -> str:
        if self._owner is None:
            return f"<{_labels.shown(self)} free>"
        holder, waiting = self._owner.info().name, len(self._queue or ())
        return f"<{_labels.shown(self)} held by {holder!r}, {waiting} waiting>"


def _held_already(task: Task) -> RuntimeError:
    return RuntimeError(
        f"Attempted to acquire an already held Lock: task {task.info().name!r} holds it. "
        "Release it first; a Lock is not re-entrant"
    )


async def _enter(lock: Lock) -> None:
    await lock.acquire()


async def _leave(lock: Lock, *_: object) -> None:
    lock.release()
