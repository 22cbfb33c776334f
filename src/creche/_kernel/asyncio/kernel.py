"""`AsyncioKernel`: one asyncio loop, made of the parts in this package."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from math import inf
from typing import TYPE_CHECKING, Any

from ..._exceptions import RunFinishedError
from ..cleanup import Cleanups
from ..contract import BUDGET
from ..exits import Exits
from ..inspection import TaskRecord, note_loop
from ..scope import Scope
from . import introspection, native_call, scopes
from .checked import in_own_thread, waiters_of
from .cut_off import cut_offs_of
from .factory import factories_of
from .nursery import Nursery
from .probe import TestProbe
from .readiness import Readiness, Watch
from .signal_wakeup import SignalWakeup
from .state import current_native
from .tasks import Task, new_task, running_task, task_of
from .threadsafe_calls import ThreadsafeCalls
from .timers import Timers

if TYPE_CHECKING:
    from ..simulation import Simulation
    from .tasks import ForeignTask


class AsyncioKernel:
    """What Creche knows of one loop. `here.kernel_of` makes it; the loop keeps it."""

    name = "asyncio"
    cancelled_class = asyncio.CancelledError
    simulation: Simulation | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.budget = BUDGET
        self.cleanups = Cleanups()
        self.cut_offs = cut_offs_of(loop)
        # As they are: a call in between would cost each scope (`empty-scope` in benchmarks).
        self.enter_scope = scopes.enter
        self.leave_scope = scopes.leave
        self.update_scope = in_own_thread(loop, scopes.update)
        self.make_future = waiters_of(loop)
        self.factories = factories_of(loop)
        self.token: Any = loop
        self.run_vars: dict[Any, Any] = {}
        self.exits = Exits()
        self._threadsafe_calls = ThreadsafeCalls(loop, self.exits)
        self.test_probe = TestProbe(self._threadsafe_calls)
        self._detached: set[Task] = set()
        self.timers = Timers(loop, scopes.expire)
        self._readiness: Readiness | None = None
        self._signal_wakeup: SignalWakeup | None = None
        self._watchers: set[Any] = set()
        # The stock loops read this very clock; a loop of its own time is asked each time.
        stock = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
        self.now: Callable[[], float] = time.monotonic if stock else loop.time
        self.thread_id = threading.get_ident()
        note_loop(self)

    def tasks(self) -> Iterable[TaskRecord]:
        return introspection.tasks(self.loop)

    def record(self, native: Any) -> TaskRecord:
        return introspection.record(native)

    def task_of(self, native: Any) -> Task | ForeignTask | None:
        return task_of(native)

    def is_blocked(self, native: Any) -> bool:
        return introspection.is_blocked(native)

    def deadline_of(self, native: Any) -> float:
        state = task_of(native)
        return inf if state is None else state.effective_deadline()

    @property
    def loop_name(self) -> str:
        module = type(self.loop).__module__.partition(".")[0]
        return module if module in ("uvloop", "winloop") else self.name

    def running(self) -> Any:
        return current_native(self.loop)

    def kind_of(self, native: Any) -> str:
        if native in self._detached:
            return "detached"
        return "main" if isinstance(native, Task) else "native"

    def waiter_of(self, native: Any) -> Any:
        return getattr(native, "_fut_waiter", None)

    def is_owned(self, record: TaskRecord) -> bool:
        return introspection.is_owned(record)

    def label_of(self, native: Any) -> Any:
        if type(native) is Task:
            return native.label
        return getattr(task_of(native), "label", None)

    def coroutine_of(self, native: Any) -> Any:
        # CPython 3.12.1 crashes when a finished eager task is asked for its coroutine.
        return None if native.done() else native.get_coro()

    def has_pending_cancellation(self, native: Any) -> bool:
        return introspection.has_pending_cancellation(native)

    async def wait_all_tasks_blocked(self) -> None:
        if self.simulation is not None:
            await self.simulation.settle(running_task(self))
        else:
            await introspection.wait_all_tasks_blocked(self.loop, self._watchers)

    async def sleep_until(self, deadline: float) -> None:
        task = running_task(self)
        if deadline == inf:
            await task.park(task.make_waiter())  # Nobody else has it: it is never granted.
        elif deadline <= self.now():
            await task.checkpoint()
        else:
            waiter = task.make_waiter()
            entry = self.timers.add(deadline, waiter)
            try:
                await task.park(waiter)  # As `wait`, a frame less for each sleeper.
            except BaseException as exc:
                if not task.granted(waiter, exc):
                    self.timers.drop(entry)
                    raise

    # The task is of this kernel, and the contract cannot say so: `Any`.
    def open_nursery(self, scope: Scope, task: Any) -> Nursery:
        scopes.enter(scope, task)
        nursery: Nursery = Nursery()
        nursery.open(self, scope, task)
        return nursery

    @property
    def readiness(self) -> Readiness:
        if self._readiness is None:
            self._check_inside("a socket")
            self._readiness = Readiness(self)
        return self._readiness

    def watch(self, sock: Any) -> Watch:
        return Watch(self.readiness, sock)

    async def wait_readable(self, obj: Any) -> None:
        self._check_inside("creche.wait_readable()")
        await self.readiness.wait(obj, writing=False)

    async def wait_writable(self, obj: Any) -> None:
        self._check_inside("creche.wait_writable()")
        await self.readiness.wait(obj, writing=True)

    def _check_inside(self, call: str) -> None:
        if self.simulation is not None:
            raise self.simulation.escape(call)

    def notify_closing(self, obj: Any) -> None:
        if self._readiness is not None:
            self._readiness.notify_closing(obj)

    def call_soon_threadsafe(self, func: Callable[..., object], *args: Any) -> None:
        try:
            self._threadsafe_calls.add(func, args)
        except RuntimeError:
            if self.loop.is_closed():
                raise RunFinishedError from None
            raise

    def wake_on_signals(self) -> Callable[[], None]:
        if self._signal_wakeup is None:
            self._signal_wakeup = SignalWakeup(self.readiness)
        self._signal_wakeup.open()
        return self._signal_wakeup.close

    def spawn_detached(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        detached = new_task(self, coro, None)
        detached.set_name(name)
        self._detached.add(detached)  # The loop knows its tasks by weak references only.
        detached.add_done_callback(self._detached.discard)

    async def run_native(
        self, func: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...], grace: float
    ) -> Any:
        return await native_call.run_native(self, func, args, grace)

    def at_exit(self, callback: Callable[[], object]) -> None:
        self.exits.add(callback)

    def ended(self) -> bool:
        return self.exits.over or self.loop.is_closed()

    def close(self) -> None:
        """Release what belongs to the loop, which is about to end."""
        self.exits.run()
        self._threadsafe_calls.close()
        self.timers.close()
        if self._readiness is not None:
            self._readiness.close()
        self.run_vars.clear()
