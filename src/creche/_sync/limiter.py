"""`CapacityLimiter`: a number of tokens, each lent to a known borrower.

Owns the tokens, their borrowers, and the queue. A borrower is a task, or any hashable
object that a task borrows on behalf of; it can have one token of a limiter at a time.

    borrower: outside --acquire--> waiting --grant--> holding --release--> outside
                                      `--cancel--> outside

Its rules, beside those of the package:
* A token is lent only while fewer than `total_tokens` are, so a total that shrinks takes nothing
  back and lends nothing until enough were released.
* Two tasks may wait on behalf of one borrower; when the first of them is granted and still
  holds, the second fails like one that came later.
"""

from __future__ import annotations

from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from .. import _labels
from .._exceptions import WouldBlock
from .._kernel import current_task
from .._kernel.wait_queue import WaitQueue
from .._tasks.info import TaskInfo
from .._wait_description import WaitDescription
from .operation import Operation
from .operations import AcquiringToken

if TYPE_CHECKING:
    from .._kernel.contract import Task


class CapacityLimiterStatistics(NamedTuple):
    """The tokens of a limiter, its borrowers, and how many tasks wait."""

    borrowed_tokens: int
    total_tokens: float
    borrowers: tuple[object, ...]
    tasks_waiting: int


class CapacityLimiter:
    """A pool of tokens that tasks borrow, fair: first come, first served.

    :param total_tokens: how many tokens can be lent at a time, an int of 0 or more or `math.inf`
    :param name: what `repr` and reports of deadlocks call it
    :raises TypeError: `total_tokens` is neither an int nor `math.inf`
    :raises ValueError: `total_tokens` is negative
    """

    __slots__ = ("__weakref__", "_borrowers", "_name", "_queue", "_total")

    _name: str | _labels.MadeAt
    """Only set if there is something to keep."""

    def __init__(self, total_tokens: float, *, name: str | None = None) -> None:
        _check(total_tokens)
        self._total = total_tokens
        self._borrowers: dict[object, Task | None] = {}  # the task, if it is one of the kernel's
        self._queue: WaitQueue[tuple[object, Task | None]] = WaitQueue()
        if name is not None or _labels.noting:
            self._name = _labels.label(name)

    async def acquire(self) -> None:
        """Wait for a token, and borrow it for the current task. A checkpoint.

        :raises RuntimeError: the current task has a token of this limiter already
        """
        # As `acquire_on_behalf_of`, here once more: a call less in `async with`.
        task = current_task()
        borrowers = self._borrowers
        if task in borrowers:
            raise _holds_already(task)
        if task.credit > 0:  # Inlined: `limiter` in benchmarks.
            task.credit -= 1
        elif len(borrowers) < self._total:
            await task.ready_checkpoint()
        if len(borrowers) < self._total:
            borrowers[task] = task
        else:
            await self._queue.wait(task, (task, task))

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Wait for a token, and borrow it for `borrower`. A checkpoint.

        :param borrower: anything hashable
        :raises RuntimeError: the borrower has a token of this limiter already
        """
        task = current_task()
        if len(self._borrowers) < self._total:
            await task.ready_checkpoint()
        if borrower in self._borrowers:
            raise _holds_already(borrower)
        if len(self._borrowers) < self._total:
            self._borrowers[borrower] = None
        else:
            await self._queue.wait(task, (borrower, None))

    def acquire_nowait(self) -> None:
        """Borrow a token for the current task without waiting.

        :raises WouldBlock: no token is left
        :raises RuntimeError: the current task has a token of this limiter already
        """
        task = current_task()
        self._borrow_nowait(task, task)

    def acquire_on_behalf_of_nowait(self, borrower: object) -> None:
        """Borrow a token for `borrower` without waiting.

        :raises WouldBlock: no token is left
        :raises RuntimeError: the borrower has a token of this limiter already
        """
        self._borrow_nowait(borrower, None)

    def _borrow_nowait(self, borrower: object, kernel_task: Task | None) -> None:
        if borrower in self._borrowers:
            raise _holds_already(borrower)
        if len(self._borrowers) >= self._total:
            raise WouldBlock
        self._borrowers[borrower] = kernel_task

    def acquiring(self) -> Operation[None]:
        """Return borrowing a token as an operation for `creche.flow.select`. Its value is None.

        The token is borrowed for the task that selects.
        """
        return AcquiringToken(self)

    def release(self) -> None:
        """Give back the current task's token; the first that waits has it from now on.

        :raises RuntimeError: the current task has no token of this limiter
        """
        self.release_on_behalf_of(current_task())

    def release_on_behalf_of(self, borrower: object) -> None:
        """Give back the token of `borrower`; the first that waits has it from now on.

        :raises RuntimeError: the borrower has no token of this limiter
        """
        try:
            kernel_task = self._borrowers.pop(borrower)
        except KeyError:
            raise _holds_none(borrower) from None
        try:
            self._lend()
        except RuntimeError:  # in another thread
            self._borrowers[borrower] = kernel_task
            raise

    def _lend(self) -> None:
        """Hand out what is free to those who wait."""
        borrowers = self._borrowers
        while len(borrowers) < self._total and (first := self._queue.pop()) is not None:
            waiter, (borrower, kernel_task) = first
            try:
                if borrower in borrowers:
                    waiter.set_exception(_holds_already(borrower))
                else:
                    waiter.set_result(None)
                    borrowers[borrower] = kernel_task
            except RuntimeError:  # in another thread
                self._queue.put_back(first)
                raise

    __aenter__ = acquire

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.release_on_behalf_of(current_task())

    @property
    def total_tokens(self) -> float:
        """How many tokens can be lent at a time. Raising it lends to those who wait, at once."""
        return self._total

    @total_tokens.setter
    def total_tokens(self, value: float) -> None:
        _check(value)
        before, self._total = self._total, value
        try:
            self._lend()
        except RuntimeError:  # in another thread
            self._total = before
            raise

    @property
    def borrowed_tokens(self) -> int:
        """How many tokens are lent now."""
        return len(self._borrowers)

    @property
    def available_tokens(self) -> float:
        """How many tokens are left; negative after the total was set to less than are lent."""
        return self._total - len(self._borrowers)

    def statistics(self) -> CapacityLimiterStatistics:
        """Return the tokens, the borrowers (a task as the loop's own object) and the waiters."""
        borrowers = tuple(
            borrower if task is None else task.info().native
            for borrower, task in self._borrowers.items()
        )
        return CapacityLimiterStatistics(len(borrowers), self._total, borrowers, len(self._queue))

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        holders = [holder for holder in self._borrowers.values() if holder is not None]
        complete = len(holders) == len(self._borrowers)
        return inner or WaitDescription((self,), "release()", holders, complete=complete)

    def __repr__(self) -> str:
        lent, waiting = len(self._borrowers), len(self._queue)
        return f"<{_labels.shown(self)} {lent} of {self._total} lent, {waiting} waiting>"


def _check(total_tokens: float) -> None:
    if not isinstance(total_tokens, int) and total_tokens not in (inf, -inf):
        raise TypeError(f"total_tokens must be an int or math.inf, not {total_tokens!r}")
    if total_tokens < 0:
        raise ValueError(f"total_tokens must be >= 0, not {total_tokens}")


def _holds_already(borrower: object) -> RuntimeError:
    return RuntimeError(
        "this borrower is already holding one of this CapacityLimiter's tokens: "
        f"{borrower!r} has to release it first"
    )


def _holds_none(borrower: object) -> RuntimeError:
    return RuntimeError(
        "this borrower isn't holding any of this CapacityLimiter's tokens: "
        f"{borrower!r} has to acquire one before each release"
    )
