"""The running task on Trio: parking, checkpoints, and the state that the kernel keeps for it.

Trio tasks have no room for us, so the state is found by the task's identity, and made when a task
first uses Creche. Trio tells nobody when a task is cancelled, so `credit` stays 0 and every
operation goes through `give_way`, which asks Trio and keeps the budget itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

import outcome
import trio

from ..._exceptions import RunFinishedError
from ..contract import BUDGET, TaskRecord
from .introspection import record

if TYPE_CHECKING:
    from ..contract import Probe
    from ..scope import Scope
    from .kernel import TrioKernel

_reschedule = trio.lowlevel.reschedule
_park = trio.lowlevel.wait_task_rescheduled
_native_task = trio.lowlevel.current_task


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
        return await _park(self._abort)

    async def wait_firmly(self) -> Any:
        if self._outcome is not None:
            return self._outcome.unwrap()
        self._parked = True
        return await _park(self._hold_back)

    def _finish(self, result: outcome.Outcome[Any]) -> None:
        if self._done:
            raise RuntimeError(f"{self!r} is done already: ask done() before waking a task")
        self._done = True
        if self._parked:
            self._parked = False
            _reschedule(self._native, result)
        else:
            self._outcome = result

    def _abort(self, raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        self._done = True
        self._parked = False
        self.raise_cancel = raise_cancel
        return trio.lowlevel.Abort.SUCCEEDED

    def _hold_back(self, raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        self.raise_cancel = raise_cancel
        return trio.lowlevel.Abort.FAILED  # Trio raises at the next checkpoint instead.


class Task:
    """The kernel's state for one Trio task: the contract's `Task`."""

    __slots__ = ("__weakref__", "budget", "_native", "credit", "kernel", "scope", "stack")

    def __init__(self, native: trio.lowlevel.Task, kernel: TrioKernel) -> None:
        key = id(native)
        self._native = weakref.ref(native, lambda _: _states.pop(key, None))
        self.budget = BUDGET
        """Checkpoints that need not wait until others get their turn: what `credit` is elsewhere."""
        self.kernel = kernel
        self.scope: Scope | None = None
        self.credit = 0
        self.stack: list[Scope] = []
        """Scopes whose Trio scope is entered, innermost last; more than the chain has after a
        scope was left in the wrong place."""

    @property
    def native(self) -> trio.lowlevel.Task | None:
        return self._native()

    def make_waiter(self) -> Waiter:
        native = self._native()
        assert native is not None, "a task that parks is alive"
        return Waiter(native)

    # The waiters that come back are those made above, and the contract cannot say so: `Any`.

    def park(self, waiter: Any, /) -> Awaitable[Any]:
        self.budget = BUDGET
        waiting: Awaitable[Any] = waiter.wait()
        return waiting

    def granted(self, waiter: Any, exc: BaseException, /) -> bool:
        return False  # Trio cancels no task that it has rescheduled.

    def make_firm_waiter(self, heard: Callable[[], object] | None = None, /) -> Waiter:
        return self.make_waiter()  # Trio cancels by scopes only.

    async def park_shielded(self, waiter: Any, /) -> Any:
        return await waiter.wait_firmly()

    def check_parked(self, waiter: Any, /) -> None:
        if waiter.raise_cancel is not None:
            waiter.raise_cancel()

    async def give_way(self) -> None:
        self.budget -= 1
        if self.budget >= 0:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            self.budget = BUDGET
            await trio.lowlevel.checkpoint()

    async def checkpoint(self) -> None:
        self.budget = BUDGET
        await trio.lowlevel.checkpoint()

    async def checkpoint_if_cancelled(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()

    async def cancel_shielded_checkpoint(self) -> None:
        await trio.lowlevel.cancel_shielded_checkpoint()

    def in_cancelled_scope(self) -> bool:
        return trio.current_effective_deadline() == -inf

    def effective_deadline(self) -> float:
        return trio.current_effective_deadline()

    def use_up(self) -> None:
        self.budget = 0

    def probe(self) -> Probe:
        from .probe import Probe as TrioProbe

        return TrioProbe(self)

    def info(self) -> TaskRecord:
        native = self._native()
        if native is None:
            return TaskRecord(id(self), None, "a task that has ended", None, None)
        return record(native)


_states: dict[int, Task] = {}
_kernel: trio.lowlevel.RunVar[TrioKernel] = trio.lowlevel.RunVar("creche")


def kernel_of_run() -> TrioKernel:
    """Return the kernel of the Trio run in this thread; made when first asked for."""
    try:
        return _kernel.get()
    except LookupError:
        from .kernel import TrioKernel

        kernel = TrioKernel()
        _kernel.set(kernel)
        return kernel


def kernel_here() -> TrioKernel | None:
    """Return the kernel of the Trio run in this thread, None if there is none."""
    return kernel_of_run() if trio.lowlevel.in_trio_run() else None


def kernel_of_token(token: trio.lowlevel.TrioToken) -> TrioKernel:
    """Return the kernel of a Trio run by its token; the run itself is asked, if it is elsewhere."""
    if trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token:
        return kernel_of_run()
    try:
        return trio.from_thread.run_sync(kernel_of_run, trio_token=token)
    except trio.RunFinishedError:
        raise RunFinishedError from None


def known_task() -> Task | None:
    """Return the state of the running Trio task, None if it never used Creche."""
    return _states.get(id(_native_task()))


def task_here() -> Task | None:
    """Return the Trio task that runs in this thread, None if there is none."""
    try:
        native = _native_task()
    except RuntimeError:
        return None
    state = _states.get(id(native))
    if state is None:
        state = _states[id(native)] = Task(native, kernel_of_run())
    return state
