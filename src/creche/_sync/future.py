"""`Future`: a value that will be set later, and the tasks that wait for it.

Owns the outcome. The `Event` inside it owns the waiting tasks. Knows no loop: a future can be
made outside any loop, and finished there while no task waits.

    pending --return_value = ...--> finished      awaiting returns the value
            --exception = ...-----> failed        awaiting raises FutureFailed from the exception
            --cancel()------------> cancelled     awaiting raises FutureCancelled

Setting an outcome twice is an error (FutureAlreadyFinished, FutureCancelled); `cancel` leaves alone
what has an outcome. Awaiting again gives the same outcome; what is raised is a new exception each
time, so that tracebacks do not grow.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import Any, Generic, TypeVar

from .. import _labels
from .._exceptions import (
    FutureAlreadyFinished,
    FutureCancelled,
    FutureFailed,
    FutureNotFinished,
)
from .._tasks.info import TaskInfo
from .._wait_description import WaitDescription
from . import Event
from .operation import Operation
from .operations import WaitingForFuture

T = TypeVar("T")


class Future(Generic[T]):
    """A value that is set once, by any task, and that any number of tasks can await.

    :param name: what `repr` and reports of deadlocks call it
    """

    __slots__ = ("__weakref__", "_done", "_exception", "_name", "_status", "_value")

    class Status(Enum):
        """Whether a future has an outcome, and which kind."""

        PENDING = 1
        FINISHED = 2
        CANCELLED = 3
        FAILED = 4

    _value: T

    def __init__(self, *, name: str | None = None) -> None:
        self._name: str | _labels.MadeAt | None = _labels.label(name) if _labels.noting else name
        self._status = Future.Status.PENDING
        self._exception: BaseException | None = None
        self._done = Event()

    @property
    def return_value(self) -> T:
        """The value. Setting it finishes the future, and wakes every task that awaits it.

        :raises FutureNotFinished: (on reading) it has no outcome yet
        :raises FutureFailed: (on reading) it failed; the `__cause__` is the exception
        :raises FutureCancelled: it was cancelled
        :raises FutureAlreadyFinished: (on setting) it has an outcome
        """
        if self._status is Future.Status.FINISHED:
            return self._value
        raise self._no_value() from self._exception

    @return_value.setter
    def return_value(self, value: T) -> None:
        self._check_pending()
        self._value = value
        self._finish(Future.Status.FINISHED)

    @property
    def exception(self) -> BaseException | None:
        """The exception, None if there is a value instead. Setting it fails the future.

        :raises FutureNotFinished: (on reading) it has no outcome yet
        :raises FutureCancelled: it was cancelled
        :raises FutureAlreadyFinished: (on setting) it has an outcome
        :raises TypeError: (on setting) not an exception
        """
        if self._status is Future.Status.PENDING or self._status is Future.Status.CANCELLED:
            raise self._no_value()
        return self._exception

    @exception.setter
    def exception(self, exception: BaseException) -> None:
        _check_exception(exception)
        self._check_pending()
        self._exception = exception
        self._finish(Future.Status.FAILED)

    @property
    def status(self) -> Future.Status:
        """Whether the future has an outcome, and which kind."""
        return self._status

    def cancel(self) -> None:
        """Cancel the future: awaiting it raises FutureCancelled. Does nothing if it has ended."""
        if self._status is Future.Status.PENDING:
            self._finish(Future.Status.CANCELLED)

    async def wait(self) -> None:
        """Wait until there is an outcome, of whatever kind. A checkpoint."""
        await self._done.wait()

    def waiting(self) -> Operation[T]:
        """Return waiting for the value as an operation for `creche.flow.select`.

        If there will be none, it is done by raising what awaiting the future raises.
        """
        return WaitingForFuture(self)

    def __await__(self) -> Generator[Any, Any, T]:
        """Wait for the outcome; return the value. A checkpoint.

        :raises FutureFailed: it failed; the `__cause__` is the exception
        :raises FutureCancelled: it was cancelled
        """
        yield from self._done.wait().__await__()
        return self.return_value

    def _finish(self, status: Status) -> None:
        self._done.set()  # First: in another thread this raises, and nothing has changed.
        self._status = status

    def _check_pending(self) -> None:
        if self._status is Future.Status.CANCELLED:
            raise self._no_value()
        if self._status is not Future.Status.PENDING:
            raise FutureAlreadyFinished(
                f"the future has already finished: {self!r} can be given an outcome only once"
            )

    def _no_value(self) -> Exception:
        if self._status is Future.Status.PENDING:
            return FutureNotFinished(f"the future has not finished yet: await {self!r} first")
        if self._status is Future.Status.CANCELLED:
            return FutureCancelled("the future was cancelled")
        return FutureFailed("the future raised an exception")

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return WaitDescription((self,), "an outcome")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._status.name.lower()} name={_labels.given(self)!r}>"


def _check_exception(exception: object) -> None:
    if not isinstance(exception, BaseException):
        raise TypeError(f"a future's exception must be an exception instance, not {exception!r}")
