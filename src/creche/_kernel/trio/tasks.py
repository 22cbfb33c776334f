"""The running task on Trio: parking, checkpoints, and the state that the kernel keeps for it.

Trio tasks have no slot for our state, so it is found by the task's identity, and made when a task
first uses Creche. Trio gives no notice when a task is cancelled, so `credit` stays 0 and every
operation goes through `ready_checkpoint`, which asks Trio and keeps the budget itself.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import outcome
import trio

from ..inspection import TaskRecord
from ..waking import from_another_thread
from .introspection import RunKernel, record
from .private import is_cancelled, is_reached
from .reasons import explain

if TYPE_CHECKING:
    from ..scope import Scope
    from .probe import Probe

_reschedule = trio.lowlevel.reschedule
_park = trio.lowlevel.wait_task_rescheduled
_checkpoint = trio.lowlevel.checkpoint
_checkpoint_if_cancelled = trio.lowlevel.checkpoint_if_cancelled
native_task = trio.lowlevel.current_task


class Waiter:
    """The wake-up of one parked Trio task: waiting -> granted | failed | cancelled."""

    __slots__ = ("_done", "_native", "_outcome", "_parked", "raise_cancel")

    def __init__(self, native: trio.lowlevel.Task) -> None:
        self._native = native
        self._parked = False
        self._done = False
        self._outcome: outcome.Outcome[Any] | None = None
        self.raise_cancel: Callable[[], NoReturn] | None = None
        """Raises the cancellation that Trio has brought to this wait."""

    def done(self) -> bool:
        return self._done

    def result(self) -> Any:
        assert self._outcome is not None, "kept only for a waiter that was granted before its park"
        return self._outcome.unwrap()

    def set_result(self, value: Any, /) -> None:
        self._finish(outcome.Value(value))

    def set_exception(self, exc: BaseException, /) -> None:
        self._finish(outcome.Error(exc))

    async def wait(self) -> Any:
        if self._outcome is not None:
            return self._outcome.unwrap()
        self._parked = True
        try:
            return await _park(self._abort)
        except trio.Cancelled as exc:
            explain(exc, known_task())
            raise

    def _finish(self, result: outcome.Outcome[Any]) -> None:
        if self._done:
            raise RuntimeError(f"{self!r} is already done: check done() before waking a task")
        if self._parked:
            try:
                _reschedule(self._native, result)
            except RuntimeError:  # first of all, so that nothing has changed
                raise from_another_thread() from None
            self._parked = False
        else:
            self._outcome = result
        self._done = True

    def _abort(self, raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        self._done = True
        self._parked = False
        self.raise_cancel = raise_cancel
        return trio.lowlevel.Abort.SUCCEEDED


class _AtEnd:
    """Hears from Trio that a task has ended, as a parking lot that the task breaks then."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback

    def break_lot(self, _task: trio.lowlevel.Task | None = None) -> None:
        self._callback()


class FirmWaiter(Waiter):
    """A waiter that Trio's cancellation does not end."""

    __slots__ = ()

    def _abort(self, raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        self.raise_cancel = raise_cancel
        return trio.lowlevel.Abort.FAILED  # Trio raises at the next checkpoint instead.


class Task:
    """The kernel's state for one Trio task: the contract's `Task`."""

    __slots__ = (
        "__weakref__", "_name", "_native", "budget", "credit", "kernel", "probe", "scope", "stack",
    )  # fmt: skip

    def __init__(self, native: trio.lowlevel.Task, kernel: RunKernel) -> None:
        key = id(native)
        self._native = weakref.ref(native, lambda _: states.pop(key, None))
        self._name = native.name
        self.budget = kernel.budget
        """Checkpoints that need not wait until others get their turn: what `credit` is elsewhere."""
        self.kernel = kernel
        self.scope: Scope | None = None
        self.credit = 0
        self.probe: Probe | None = None
        self.stack: list[Scope] = []
        """Scopes whose Trio scope is entered, innermost last; more than the chain has after a
        scope was left in the wrong place."""

    @property
    def native(self) -> trio.lowlevel.Task | None:
        return self._native()

    def enclosing_scope(self) -> Scope | None:
        native = self._native()
        nursery = None if native is None else native.parent_nursery
        while nursery is not None:
            scope = group_scopes.get(nursery)
            if scope is not None:
                return scope
            # A nursery that is not ours, such as Trio's own for a child that starts.
            parent = nursery.parent_task
            state = states.get(id(parent))
            if state is not None and state.scope is not None:
                return state.scope
            nursery = parent.parent_nursery
        return None

    def make_waiter(self) -> Waiter:
        native = self._native()
        assert native is not None, "a task that parks is alive"
        return Waiter(native)

    # The waiters that come back are those made above, and the contract cannot say so: `Any`.

    def wait(self, waiter: Any, /) -> Awaitable[Any]:
        self.budget = self.kernel.budget
        waiting: Awaitable[Any] = waiter.wait()
        return waiting

    park = wait

    def granted(self, waiter: Any, exc: BaseException, /) -> bool:
        return False  # Trio cancels no task that it has rescheduled.

    def make_firm_waiter(self, heard: Callable[[], object] | None = None, /) -> FirmWaiter:
        native = self._native()  # Trio cancels by scopes only, so `heard` is never called.
        assert native is not None, "a task that waits is alive"
        return FirmWaiter(native)

    def check_parked(self, waiter: Any, /) -> None:
        if waiter.raise_cancel is not None:
            try:
                waiter.raise_cancel()
            except trio.Cancelled as exc:
                explain(exc, self)
                raise

    def ready_checkpoint(self, cost: int = 1, /) -> Awaitable[None]:
        if self.probe is not None:
            self.probe.note()
        if self.budget > 0:
            self.budget -= cost
            return _checkpoint_if_cancelled()
        self.budget = self.kernel.budget
        return _checkpoint()

    def spend(self, cost: int, /) -> None:
        self.budget -= cost

    async def checkpoint(self) -> None:
        self.budget = self.kernel.budget
        try:
            await _checkpoint()
        except trio.Cancelled as exc:
            explain(exc, self)
            raise

    async def checkpoint_if_cancelled(self) -> None:
        try:
            await _checkpoint_if_cancelled()
        except trio.Cancelled as exc:
            explain(exc, self)
            raise

    async def cancel_shielded_checkpoint(self) -> None:
        await trio.lowlevel.cancel_shielded_checkpoint()

    def in_cancelled_scope(self) -> bool:
        scope = self.scope
        if scope is not None and scope._floats:
            return is_reached(scope._native)
        native = self._native()
        return native is not None and is_cancelled(native)

    def ended(self) -> bool:
        native = self._native()
        return native is None or getattr(native.coro, "cr_frame", native) is None

    def at_end(self, callback: Callable[[], object], /) -> None:
        native = self._native()
        if native is None or self.ended():
            callback()
        else:
            breaker: Any = _AtEnd(callback)  # All that Trio asks of it is that it can be broken.
            trio.lowlevel.add_parking_lot_breaker(native, breaker)

    def effective_deadline(self) -> float:
        return trio.current_effective_deadline()

    def info(self) -> TaskRecord:
        native = self._native()
        if native is None:
            return TaskRecord(id(self), None, self._name, None, None)
        return record(native, self.kernel.labels)


group_scopes: dict[trio.Nursery, Scope] = {}
"""The scope of the group whose children live in a nursery of Trio's, while it is open."""

states: dict[int, Task] = {}


def state_of(native: trio.lowlevel.Task) -> Task | None:
    """Return the state of a Trio task, None if it never used Creche."""
    return states.get(id(native))


def known_task() -> Task | None:
    """Return the state of the running Trio task, None if it never used Creche."""
    return states.get(id(native_task()))


def new_state(kernel: RunKernel) -> Task:
    """Begin to keep the state of the running Trio task, which never used Creche."""
    native = native_task()
    state = states[id(native)] = Task(native, kernel)
    return state
