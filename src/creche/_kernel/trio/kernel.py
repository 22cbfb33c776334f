"""`TrioKernel`: one Trio run, made of the modules of this package."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from contextvars import copy_context
from math import inf
from typing import TYPE_CHECKING, Any

import trio

from ..._exceptions import RunFinishedError
from ..cleanup import Cleanups
from ..contract import BUDGET, Label
from ..exits import Exits
from ..inspection import TaskRecord, note_loop
from ..scope import Scope
from ..waking import from_another_thread
from . import cut_off, introspection, private, readiness, scopes
from .nursery import Nursery
from .probe import TestProbe
from .reasons import explain
from .tasks import Task, known_task, new_state, state_of

if TYPE_CHECKING:
    from ..simulation import Simulation


class TrioKernel:
    """What Creche knows of one Trio run. `here.kernel_of_run` makes it; the run keeps it."""

    name = "trio"
    cancelled_class = trio.Cancelled
    simulation: Simulation | None = None

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self.token: Any = self._token
        self.budget = BUDGET
        self.cleanups = Cleanups()
        self.watches_steps = False
        self.run_vars: dict[Any, Any] = {}
        self.test_probe = TestProbe()
        # The functions themselves: a frame less for each scope (`empty-scope` in benchmarks).
        self.enter_scope = scopes.enter
        self.leave_scope = scopes.leave
        self._exits = Exits()
        self.labels: dict[Coroutine[Any, Any, None], Label] = {}
        """The labels of the children of groups, by what each of them runs."""
        self._detached: set[trio.lowlevel.Task] = set()
        # The clock itself, not `trio.current_time`, which only answers in the thread of the run.
        self.now: Callable[[], float] = trio.lowlevel.current_clock().current_time
        # The states of tasks lead here: a strong reference would keep every run of the process.
        root = trio.lowlevel.current_root_task()
        self._find_root: Callable[[], trio.lowlevel.Task | None]
        self._find_root = weakref.ref(root) if root is not None else trio.lowlevel.current_root_task
        self.thread_id = threading.get_ident()
        note_loop(self)
        cut_off.watch(self)

    def tasks(self) -> Iterable[TaskRecord]:
        return introspection.tasks(self._find_root(), list(self._detached), self.labels)

    def record(self, native: Any) -> TaskRecord:
        return introspection.record(native, self.labels)

    def task_of(self, native: Any) -> Task | None:
        return state_of(native)

    def is_blocked(self, native: Any) -> bool:
        return private.is_blocked(native)

    def deadline_of(self, native: Any) -> float:
        return private.deadline_of(native)

    @property
    def loop_name(self) -> str:
        return self.name

    def running(self) -> Any:
        natives = (record.native for record in self.tasks())
        return next((native for native in natives if private.is_running(native)), None)

    def kind_of(self, native: Any) -> str:
        if native in self._detached:
            return "detached"
        return "main" if introspection.is_main(native, self._find_root()) else "native"

    def waiter_of(self, native: Any) -> Any:
        return None

    def is_owned(self, record: TaskRecord) -> bool:
        return True  # Each task of Trio is in a nursery.

    def label_of(self, native: Any) -> Any:
        return self.labels.get(native.coro)

    def coroutine_of(self, native: Any) -> Any:
        return native.coro

    def has_pending_cancellation(self, native: Any) -> bool:
        return native is not None and private.is_cancelled(native)

    async def wait_all_tasks_blocked(self) -> None:
        if self.simulation is not None:
            await self.simulation.settle(known_task() or new_state(self))
        else:
            # Not before it is asked for: it loads pytest, where that is installed.
            from trio.testing import wait_all_tasks_blocked

            await wait_all_tasks_blocked()

    async def sleep_until(self, deadline: float) -> None:
        try:
            if deadline == inf:
                await trio.sleep_forever()
            else:
                await trio.sleep_until(deadline)
        except trio.Cancelled as exc:
            explain(exc, known_task())
            raise

    def update_scope(self, scope: Scope) -> None:
        if threading.get_ident() != self.thread_id:
            raise from_another_thread()
        scopes.update(scope)

    def open_nursery(self, scope: Scope, task: Any) -> Nursery:
        return Nursery(self, scope, task)

    def watch(self, sock: Any) -> readiness.Watch:
        self._check_inside("a socket")
        return readiness.Watch(self, sock)

    async def wait_readable(self, obj: Any) -> None:
        self._check_inside("creche.wait_readable()")
        await readiness.wait(trio.lowlevel.wait_readable, obj, "reading from")

    async def wait_writable(self, obj: Any) -> None:
        self._check_inside("creche.wait_writable()")
        await readiness.wait(trio.lowlevel.wait_writable, obj, "writing to")

    def _check_inside(self, call: str) -> None:
        if self.simulation is not None:
            raise self.simulation.escape(call)

    def notify_closing(self, obj: Any) -> None:
        trio.lowlevel.notify_closing(obj)

    def call_soon_threadsafe(self, func: Callable[..., object], *args: Any) -> None:
        if self.simulation is not None:
            self.simulation.check_thread()
        try:
            run: Callable[..., object] = copy_context().run
            self._token.run_sync_soon(run, func, *args)
        except trio.RunFinishedError:
            raise RunFinishedError from None

    def wake_on_signals(self) -> Callable[[], None]:
        return _nothing  # Trio does, for all of a run in the main thread

    def spawn_detached(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        async def detached() -> None:
            try:
                await coro
            finally:
                self._detached.discard(task)

        task = trio.lowlevel.spawn_system_task(detached, name=name, context=copy_context())
        self._detached.add(task)

    async def run_native(
        self, func: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...], grace: float
    ) -> Any:
        raise RuntimeError(
            "run_native() runs asyncio code, and this is Trio's loop: run the program on asyncio"
        )

    def at_exit(self, callback: Callable[[], object]) -> None:
        self._exits.add(callback)

    def ended(self) -> bool:
        if not self._exits.over and not self._exits.armed:
            try:
                self._token.run_sync_soon(_nothing, idempotent=True)
            except (
                trio.RunFinishedError,
                OSError,
            ):  # OSError: a run that was abandoned, and collected
                return True
        return self._exits.over


def _nothing() -> None:
    """For Trio to call, to learn whether it is still there; and for code that has nothing to end."""
