"""`Operation`: one thing that `creche.flow.select` may do, and how it is done without waiting.

Owns the protocol between `select` and a primitive. Knows no event loop, and no primitive.

    offered --is_ready--> committed              by commit, at once
            --join--> waiting --granted-------> committed      by the waker
                              --leave---------> withdrawn      another was committed, or a cancel

Rules
-----
* `is_ready` and `commit` wait for nothing, and `is_ready` changes nothing. `commit` is called in the same
  step as an `is_ready` that was true.
* A waiter stands in the queues of several primitives at a time. The first that calls its `set_result`
  or `set_exception` commits its operation; from then on it is `done()` everywhere. So a primitive
  takes a waiter out of its queue before it grants, passes over one that is done, and hands over what it
  grants in the same step: a grant is never taken back.
* `leave` is called once for each `join`, when the waiter is done. It forgets the waiter, if it is still
  there.
* An operation holds nothing of a single wait, so one may be offered again and again, and by several
  tasks at the same time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import Any, Final, Generic, Protocol, TypeVar

from .._tasks.info import TaskInfo
from .._wait_description import WaitDescription

T_co = TypeVar("T_co", covariant=True)

NOT_READY: Final[Any] = object()
"""What `Operation.attempt` returns if it has done nothing."""


class Waiter(Protocol):
    """The place of one waiting task in the queue of a primitive."""

    def done(self) -> bool:
        """Tell whether the task has got something, here or elsewhere, or was cancelled."""
        ...

    def result(self) -> Any:
        """Return what the task has got."""
        ...

    def set_result(self, value: Any, /) -> None:
        """Commit the operation; only on a waiter that is not done."""
        ...

    def set_exception(self, exc: BaseException, /) -> None:
        """Fail the operation; only on a waiter that is not done."""
        ...


class Operation(ABC, Generic[T_co]):
    """One thing that `select` may do, such as `stream.receiving()`.

    Classes of your own implement the four abstract methods, by the rules told there.
    `creche.testing.contracts.check_operation` checks them.
    """

    __slots__ = ()

    deadline: float = inf
    """A time at which the operation gets ready by itself, `inf` for never."""
    settles: bool = False
    """Whether `settle` has to be awaited after each `join`."""

    @property
    def subject(self) -> object:
        """What the operation is one of, for reports: a stream, a lock."""
        return self

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether `commit` can be called now, be it to raise. Changes nothing."""

    @abstractmethod
    def commit(self) -> T_co:
        """Do the operation, and return its value. Only called if `is_ready()` has just said so."""

    def attempt(self) -> T_co:
        """Do the operation if it is ready, and return its value, else NOT_READY.

        `is_ready` and `commit` in one; to be overridden where one call less is worth it.
        """
        return self.commit() if self.is_ready() else NOT_READY

    @abstractmethod
    def join(self, waiter: Waiter, /) -> None:
        """Queue a waiter, for the primitive to grant as soon as the operation can be done."""

    @abstractmethod
    def leave(self, waiter: Waiter, /) -> None:
        """Forget a waiter, which is done by now."""

    def granted(self, value: Any, /) -> T_co:
        """Return the value of an operation that was granted with `value`, or raise."""
        result: T_co = value
        return result

    def failed(self, exc: BaseException, /) -> T_co:
        """Return the value of an operation that has failed; the rule is to raise `exc`."""
        raise exc

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        """Describe a select's wait for this operation, as the subject would a wait of its own."""
        describe: Any = getattr(self.subject, "_describe_wait", None)
        if self.subject is self or describe is None:
            return WaitDescription((self,))
        described: WaitDescription | None = describe(task, None)
        return described

    async def settle(self, value: Any, /) -> None:
        """Restore what `join` has given up, before `select` returns or raises. Called shielded.

        :param value: what the operation was granted with, None if it was not
        """
