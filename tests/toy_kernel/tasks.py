"""The running task: how it waits, its checkpoints, and what they tell a probe.

A task of this kernel is the loop's own task too. It suspends in one place, `_suspend`, and only its
waiter or the loop takes it out of there. So a cancellation has one thing to do: end the wait that a task
is in, if that has not been granted. Everything else asks for itself: `credit` is always 0.

    ready --step--> running --_suspend--> parked --granted | failed | cancelled--> ready     or ended
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from math import inf
from types import coroutine
from typing import TYPE_CHECKING, Any

from creche._kernel.contract import Label
from creche._kernel.inspection import TaskRecord
from creche._kernel.scope import Scope

from .scopes import Cancelled, canceller, hang

if TYPE_CHECKING:
    from .kernel import ToyKernel
    from .nursery import Home
    from .probe import Probe


class Waiter:
    """The wake-up of one parked task."""

    firm = False

    def __init__(self, task: Task) -> None:
        self._task = task
        self._state = "waiting"
        self._outcome: Any = None

    def done(self) -> bool:
        return self._state != "waiting"

    def result(self) -> Any:
        outcome = self._outcome
        if self._state == "granted":
            return outcome
        self._outcome = None  # Its traceback will lead to who holds this.
        try:
            raise Cancelled(outcome) if self._state == "cancelled" else outcome
        finally:
            del outcome

    def set_result(self, value: Any, /) -> None:
        self._finish("granted", value)

    def set_exception(self, exc: BaseException, /) -> None:
        self._finish("failed", exc)

    def grant_if_waiting(self) -> None:
        if not self.done():
            self.set_result(None)

    def cancel(self, reason: str | None) -> None:
        if not self.done():
            self._finish("cancelled", reason)

    @property
    def cancelled(self) -> bool:
        return self._state == "cancelled"

    def _finish(self, state: str, outcome: Any) -> None:
        if self.done():
            raise RuntimeError(f"the waiter is {self._state} already: ask done() first")
        self._state = state
        self._outcome = outcome
        if self._task.parked is self:
            self._task.parked = None
            self._task.wake()


class FirmWaiter(Waiter):
    """A waiter that no cancellation ends."""

    firm = True

    async def wait(self) -> Any:
        return await self._task.block(self)


@coroutine
def _suspend() -> Generator[str, None, None]:
    yield "suspended"


class Task:
    """One task, for the loop and for the contract."""

    def __init__(
        self,
        kernel: ToyKernel,
        coro: Coroutine[Any, Any, Any],
        label: Label,
        *,
        scope: Scope | None = None,
        home: Home | None = None,
        context: Context | None = None,
    ) -> None:
        self.kernel = kernel
        self.coro = coro
        self.label: Label | None = label
        self.name = label.name
        self.scope = scope
        self.home = home
        self.own: Scope | None = None
        """The scope around all of it, once it was cancelled by itself."""
        self.credit = 0
        self.budget = kernel.budget
        self.parked: Waiter | None = None
        self.injected: BaseException | None = None
        """What a signal handler raised, to come out where the task is."""
        self.probes: list[Probe] = []
        self.outcome: tuple[Any, BaseException | None] | None = None
        """What it returned or raised, None before."""
        self._at_end: list[Callable[[], object]] = []
        self._context = copy_context() if context is None else context
        kernel.alive[self] = None
        self.wake()

    # For the loop

    def wake(self) -> None:
        self.kernel.loop.call_soon(self._step)

    def _step(self) -> None:
        kernel = self.kernel
        kernel.current = self
        try:
            trap = self._context.run(self.coro.send, None)
        except StopIteration as done:
            self._end(done.value, None)
        except BaseException as exc:
            self._end(None, exc)
        else:
            if trap != "suspended":
                self.injected = RuntimeError(f"{trap!r} is nothing that this loop can wait for")
                self.wake()
        finally:
            kernel.current = None

    def _end(self, value: Any, exc: BaseException | None) -> None:
        # Only a main task is asked. The frames of the exception lead to a child's task.
        self.outcome = value, exc if self.home is None else None
        self.label = self.home = None
        del self.kernel.alive[self]
        while self._at_end:
            self._at_end.pop()()

    def ended(self) -> bool:
        return self.outcome is not None

    def at_end(self, callback: Callable[[], object]) -> None:
        self._at_end.append(callback)

    def result(self) -> Any:
        assert self.outcome is not None, "asked once it has ended"
        value, exc = self.outcome
        try:
            if exc is not None:
                raise exc
            return value
        finally:
            del exc, self

    def interrupt(self, exc: BaseException) -> None:
        """Raise `exc` in the task, where it waits or at its next step."""
        self.injected = exc
        if self.parked is not None:
            waiter, self.parked = self.parked, None
            waiter.cancel(None)
            self.wake()

    def cancel(self, reason: str | None) -> None:
        """Cancel all of the task."""
        if self.ended():
            return
        if self.own is None:
            self.own = Scope()
            self.own._host = self
            hang(self, self.own)
        self.own._reason = self.own._reason or reason
        self.kernel.cancel(self.own)

    def strike(self) -> None:
        """End the wait that the task is in, if it is cancelled and that can be."""
        if self.parked is not None and not self.parked.firm:
            by = canceller(self.scope)
            if by is not None:
                self.parked.cancel(by._reason)

    async def _suspended(self) -> None:
        await _suspend()
        exc, self.injected = self.injected, None
        try:
            if exc is not None:
                raise exc
        finally:
            del exc

    # The contract's `Task`. The waiters that come back are those made here: `Any`.

    def enclosing_scope(self) -> None:
        return None  # the chain has it

    def make_waiter(self) -> Waiter:
        return Waiter(self)

    def make_firm_waiter(self, heard: Callable[[], object] | None = None, /) -> FirmWaiter:
        return FirmWaiter(self)  # There are no cancellations around all scopes.

    async def wait(self, waiter: Any, /) -> Any:
        by = canceller(self.scope)
        if by is not None:
            waiter.cancel(by._reason)
        self.note(asked=True)
        return await self.block(waiter)

    def park(self, waiter: Any, /) -> Awaitable[Any]:
        return self.wait(waiter)

    def granted(self, waiter: Any, exc: BaseException, /) -> bool:
        return False  # A grant that comes first is what `wait` returns.

    async def block(self, waiter: Waiter) -> Any:
        """Wait on, whatever is cancelled, until the waiter is done."""
        self.budget = self.kernel.budget
        if not waiter.done():
            self.parked = waiter
            self.note(scheduled=True)
            await self._suspended()
        return waiter.result()

    def check_parked(self, waiter: Any, /) -> None:
        by = canceller(self.scope)
        if waiter.cancelled or (waiter.firm and not waiter.done() and by is not None):
            raise Cancelled(by._reason if by is not None else None)

    async def ready_checkpoint(self, cost: int = 1, /) -> None:
        self.note(asked=True, scheduled=True)
        self.raise_if_cancelled()
        if self.budget > 0:
            self.budget -= cost
        else:
            await self.checkpoint()

    def spend(self, cost: int, /) -> None:
        self.budget -= cost

    async def checkpoint(self) -> None:
        self.note(asked=True)
        self.raise_if_cancelled()
        await self.cancel_shielded_checkpoint()
        self.raise_if_cancelled()

    async def checkpoint_if_cancelled(self) -> None:
        self.note(asked=True)
        self.raise_if_cancelled()

    async def cancel_shielded_checkpoint(self) -> None:
        self.note(scheduled=True)
        self.budget = self.kernel.budget
        self.wake()
        await self._suspended()

    def raise_if_cancelled(self) -> None:
        by = canceller(self.scope)
        if by is not None:
            self.note(scheduled=True)  # Raising counts as a whole checkpoint.
            raise Cancelled(by._reason)

    def note(self, *, asked: bool = False, scheduled: bool = False) -> None:
        for probe in self.probes:
            probe.asked = probe.asked or asked
            probe.scheduled = probe.scheduled or scheduled

    def in_cancelled_scope(self) -> bool:
        return canceller(self.scope) is not None

    def effective_deadline(self) -> float:
        deadline, scope = inf, self.scope
        while scope is not None:
            if scope._cancelled:
                return -inf
            deadline = min(deadline, scope._deadline)
            if scope._shield:
                break
            scope = scope._parent
        return deadline

    def info(self) -> TaskRecord:
        host = None if self.home is None else self.home.host
        label = None if host is None else self.label
        coro = self.coro if self.label is None else self.label.coro
        return TaskRecord(
            id(self), None if host is None else id(host), self.name, coro, self, label
        )
