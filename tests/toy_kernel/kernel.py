"""`ToyKernel`: one loop with its tasks, scopes, descriptors and its end."""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from math import inf
from typing import Any

from creche import RunFinishedError
from creche._kernel.cleanup import Cleanups
from creche._kernel.contract import BUDGET
from creche._kernel.exits import Exits
from creche._kernel.inspection import TaskRecord, note_loop
from creche._kernel.scope import Scope
from creche._kernel.simulation import Simulation

from .here import set_here, task_here
from .loop import Loop
from .nursery import Nursery
from .probe import TestProbe
from .readiness import READ, WRITE, Readiness, Watch
from .scopes import Cancelled, absorb, canceller
from .tasks import Task


@dataclass
class Name:
    """The contract's `Label`, of a task that is in no group."""

    name: str
    coro: Any
    _key: Any = None
    _origin: object = None


class ToyKernel:
    """The contract's `Kernel`."""

    name = "toy"
    cancelled_class = Cancelled
    simulation: Simulation | None = None
    budget = BUDGET
    cleanups = Cleanups()

    def __init__(self) -> None:
        self.loop = Loop()
        self.token: Any = self
        self.run_vars: dict[Any, Any] = {}
        self.alive: dict[Task, None] = {}
        self.current: Task | None = None
        self.test_probe = TestProbe(self.loop)
        self._readiness = Readiness(self.loop)
        self._exits = Exits()
        self._generators = weakref.WeakSet[AsyncGenerator[Any, Any]]()
        self._signal_listeners = 0
        self.loop_name = self.name
        self.thread_id = threading.get_ident()
        note_loop(self)

    def now(self) -> float:
        return time.monotonic()

    async def sleep_until(self, deadline: float) -> None:
        task = self._running()
        if deadline <= self.now():
            await task.checkpoint()
            return
        waiter = task.make_waiter()
        timer = self.loop.call_at(deadline, waiter.grant_if_waiting)
        try:
            await task.wait(waiter)
        finally:
            timer.cancel()

    def _running(self) -> Task:
        task = task_here()
        assert task is not None, "awaited in a task"
        return task

    # Scopes

    def enter_scope(self, scope: Scope, task: object) -> None:
        scope._native = None
        if scope._clock_runs and scope._deadline <= self.now():
            scope._entered_late()
        self._arm(scope)

    def leave_scope(
        self, scope: Scope, task: object, exc: BaseException | None
    ) -> BaseException | None:
        self._disarm(scope)
        if not scope._cancelled or (not scope._shield and canceller(scope._parent) is not None):
            return exc
        return absorb(scope, exc)

    def update_scope(self, scope: Scope) -> None:
        self._disarm(scope)
        self._arm(scope)
        for task in self.alive:
            task.strike()

    def cancel(self, scope: Scope) -> None:
        scope._cancelled = True
        self.update_scope(scope)

    def _arm(self, scope: Scope) -> None:
        if not scope._cancelled and scope._deadline <= self.now():
            scope._cancelled = True
            scope._reason = scope._reason or scope._expiry()
        elif not scope._cancelled and scope._deadline != inf:
            scope._native = self.loop.call_at(scope._deadline, lambda: self.update_scope(scope))

    def _disarm(self, scope: Scope) -> None:
        if scope._native is not None:
            scope._native.cancel()
            scope._native = None

    def open_nursery(self, scope: Scope, task: Any) -> Nursery:
        self.enter_scope(scope, task)
        return Nursery(self, scope, task)

    # Descriptors

    def watch(self, sock: Any) -> Watch:
        return Watch(self, self._readiness, sock)

    async def wait_readable(self, obj: Any) -> None:
        await self._readiness.wait(obj, READ)

    async def wait_writable(self, obj: Any) -> None:
        await self._readiness.wait(obj, WRITE)

    def notify_closing(self, obj: Any) -> None:
        self._readiness.close(obj)

    # Tasks

    def tasks(self) -> Iterable[TaskRecord]:
        return [task.info() for task in self.alive]

    def record(self, native: Any) -> TaskRecord:
        record: TaskRecord = native.info()
        return record

    def task_of(self, native: Any) -> Task | None:
        return native if isinstance(native, Task) else None

    def is_blocked(self, native: Any) -> bool:
        return native.parked is not None and not native.parked.done()

    def running(self) -> Any:
        return self.current

    def kind_of(self, native: Any) -> str:
        return "main" if next(iter(self.alive), None) is native else "detached"

    def waiter_of(self, native: Any) -> Any:
        return None

    def is_owned(self, record: TaskRecord) -> bool:
        return True

    def label_of(self, native: Any) -> Any:
        return native.label

    def coroutine_of(self, native: Any) -> Any:
        return native.coro

    def deadline_of(self, native: Any) -> float:
        deadline: float = native.effective_deadline()
        return deadline

    def has_pending_cancellation(self, native: Any) -> bool:
        return native is not None and not native.ended() and canceller(native.scope) is not None

    async def wait_all_tasks_blocked(self) -> None:
        task = self._running()
        waiter = task.make_waiter()
        self.loop.when_idle(waiter.grant_if_waiting)
        await task.wait(waiter)

    def spawn_detached(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        Task(self, coro, Name(name, coro))

    # From outside, and the end

    def call_soon_threadsafe(self, func: Callable[..., object], *args: Any) -> None:
        context = copy_context()
        try:
            self.loop.call_soon_threadsafe(lambda: context.run(func, *args))
        except RuntimeError:
            raise RunFinishedError from None

    def wake_on_signals(self) -> Callable[[], None]:
        self._signal_listeners += 1
        if self._signal_listeners == 1:
            signal.set_wakeup_fd(self.loop.waker.fileno(), warn_on_full_buffer=False)
        return self._stop_waking

    def _stop_waking(self) -> None:
        self._signal_listeners -= 1
        if not self._signal_listeners:
            found = signal.set_wakeup_fd(-1)
            if found not in (-1, self.loop.waker.fileno()):  # Somebody has set another meanwhile.
                signal.set_wakeup_fd(found, warn_on_full_buffer=False)

    async def run_native(
        self, func: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...], grace: float
    ) -> Any:
        raise RuntimeError("run_native() runs asyncio code, and this is the toy's loop")

    def at_exit(self, callback: Callable[[], object], /) -> None:
        self._exits.add(callback)

    def ended(self) -> bool:
        return self._exits.over

    # For `runner.py`

    @contextmanager
    def here(self) -> Generator[None]:
        """Be the kernel of this thread, in a block."""
        outer = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(self._generators.add, self._abandoned)
        set_here(self)
        try:
            yield
        finally:
            set_here(None)
            sys.set_asyncgen_hooks(*outer)

    def _abandoned(self, generator: AsyncGenerator[Any, Any]) -> None:
        """An async generator was collected before its end."""
        if not self.loop.closed:
            self.call_soon_threadsafe(self.spawn_detached, self._finish(generator), "aclose")

    async def _finish(self, generator: AsyncGenerator[Any, Any]) -> None:
        try:
            await generator.aclose()
        except Exception as exc:
            self.loop.report(exc)

    def run_until(self, over: Callable[[], bool], main: Task) -> None:
        """Run the loop. What a signal raises outside of tasks goes on in the main one."""
        while not over():
            try:
                self.loop.turn()
            except BaseException as exc:
                if main.ended():
                    raise
                main.interrupt(exc)

    def close(self) -> None:
        """End all that is left, then the loop."""
        with self.here():
            while self.alive or self.loop.busy():
                for task in list(self.alive):
                    task.cancel(None)
                self.loop.turn()
            for generator in list(self._generators):
                closing = Task(self, self._finish(generator), Name("aclose", generator))
                while not closing.ended():
                    self.loop.turn()
            self._exits.run()
        self.loop.close()
        self.run_vars.clear()
