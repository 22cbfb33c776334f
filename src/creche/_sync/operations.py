"""The operations of locks, events and the like, for `creche.flow.select`: a class for each.

Own nothing but a reference to their primitive, and reach into it as its other methods do. How an
operation is offered, committed and withdrawn: see `operation.py`.
"""

# An operation is a part of its primitive, in a file of its own.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .._kernel import current_task
from .holders import broken
from .operation import Operation, Waiter

if TYPE_CHECKING:
    from .condition import Condition
    from .event import Event
    from .future import Future
    from .limiter import CapacityLimiter
    from .lock import Lock
    from .semaphore import Semaphore

T = TypeVar("T")


class _Of:
    """The reference to the primitive."""

    __slots__ = ("_subject",)

    _subject: Any

    def __init__(self, subject: Any) -> None:
        self._subject = subject

    @property
    def subject(self) -> object:
        return self._subject

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._subject!r}>"


class AcquiringLock(_Of, Operation[None]):
    """Taking a lock."""

    __slots__ = ()

    _subject: Lock

    def is_ready(self) -> bool:
        owner = self._subject._owner
        return owner is None or owner is current_task() or owner.ended()  # the others are errors

    def commit(self) -> None:
        lock = self._subject
        if lock._owner is not None and lock._owner.ended():
            raise broken(lock, lock._owner)
        lock.acquire_nowait()

    def join(self, waiter: Waiter, /) -> None:
        lock = self._subject
        assert lock._owner is not None, "not ready"
        lock._queue_behind(lock._owner).add(waiter, current_task())

    def leave(self, waiter: Waiter, /) -> None:
        if self._subject._queue is not None:
            self._subject._queue.discard(waiter)


class AcquiringSemaphore(_Of, Operation[None]):
    """Taking 1 from a semaphore."""

    __slots__ = ()

    _subject: Semaphore

    def is_ready(self) -> bool:
        return self._subject._value > 0

    def commit(self) -> None:
        self._subject.acquire_nowait()

    def join(self, waiter: Waiter, /) -> None:
        self._subject._queue.add(waiter, None)

    def leave(self, waiter: Waiter, /) -> None:
        self._subject._queue.discard(waiter)


class AcquiringToken(_Of, Operation[None]):
    """Borrowing a token for the task that selects."""

    __slots__ = ()

    _subject: CapacityLimiter

    def is_ready(self) -> bool:
        limiter = self._subject
        return len(limiter._borrowers) < limiter._total or current_task() in limiter._borrowers

    def commit(self) -> None:
        self._subject.acquire_nowait()

    def join(self, waiter: Waiter, /) -> None:
        task = current_task()
        self._subject._queue.add(waiter, (task, task))

    def leave(self, waiter: Waiter, /) -> None:
        self._subject._queue.discard(waiter)


class WaitingForEvent(_Of, Operation[None]):
    """Waiting for an event."""

    __slots__ = ()

    _subject: Event

    def is_ready(self) -> bool:
        return self._subject._set

    def commit(self) -> None:
        pass

    def join(self, waiter: Waiter, /) -> None:
        self._subject._queue.add(waiter, None)

    def leave(self, waiter: Waiter, /) -> None:
        self._subject._queue.discard(waiter)


class WaitingForFuture(_Of, Operation[T]):
    """Waiting for the value of a future. Commits by raising if there will be none."""

    __slots__ = ()

    _subject: Future[T]

    def is_ready(self) -> bool:
        return self._subject._done.is_set()

    def commit(self) -> T:
        return self._subject.return_value

    def join(self, waiter: Waiter, /) -> None:
        self._subject._done._queue.add(waiter, None)

    def leave(self, waiter: Waiter, /) -> None:
        self._subject._done._queue.discard(waiter)

    def granted(self, value: Any, /) -> T:
        return self._subject.return_value


class WaitingForNews(_Of, Operation[None]):
    """Waiting for a notification, without the lock, which is held again when `select` ends."""

    __slots__ = ()

    _subject: Condition

    settles = True

    def is_ready(self) -> bool:
        self._subject._check_held(current_task())
        return False

    def commit(self) -> None:
        raise AssertionError("never ready: a notification comes after the wait has begun")

    def join(self, waiter: Waiter, /) -> None:
        condition = self._subject
        condition._queue.add(waiter, current_task())
        condition._lock.release()

    def leave(self, waiter: Waiter, /) -> None:
        self._subject._queue.discard(waiter)

    def granted(self, value: Any, /) -> None:
        pass

    async def settle(self, value: Any, /) -> None:
        await self._subject._lock._reacquire(current_task(), value)
