"""`Nest`: where the children of one task group live, on asyncio.

    open -> closing (the host waits for the last child) -> closed

A child is a `Task` whose chain of scopes begins with the nest's scope. During `start()` it begins
with the caller's scope instead (its antechamber), and moves when the child says that it is ready.
There are no done-callbacks: a child's last step calls `retire`, and the last one wakes the host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import TYPE_CHECKING, Any

from ..contract import BUDGET, Label, Starting
from ..scope import Scope, unlink
from .cancellation import Delivery, canceller, deliver, leave, spread
from .tasks import Task, task_here

if TYPE_CHECKING:
    from .kernel import AsyncioKernel
    from .tasks import ForeignTask


class Nest:
    """The children of one group."""

    __slots__ = ("_cancelled", "_idle", "_loop", "_starting", "_stopped", "host", "kernel", "scope")

    def __init__(self, kernel: AsyncioKernel, scope: Scope, host: Task | ForeignTask) -> None:
        self.kernel = kernel
        self.scope = scope
        self.host = host
        self._loop = kernel.loop
        self._cancelled: BaseException | None = None
        self._stopped: BaseException | None = None
        self._idle: asyncio.Future[Any] | None = None
        self._starting: dict[Task, _Antechamber] | None = None
        scope.tasks = set()

    def spawn(self, coro: Coroutine[Any, Any, None], label: Label, context: Context | None) -> None:
        task = Task(coro, loop=self._loop, context=context)
        task.kernel = self.kernel
        task.label = label
        label.key = task
        task.nest = self
        task.masked = 0
        task.trouble = None
        scope = task.scope = self.scope
        scope.tasks.add(task)
        if canceller(scope) is None:
            task.credit = BUDGET
        else:
            deliver(task)

    def retire(self, task: Task, cancelled: BaseException | None) -> None:
        if self._cancelled is None:
            self._cancelled = cancelled
        tasks = self.scope.tasks
        if self._starting and task in self._starting:
            self._starting.pop(task).ended(task)
        else:
            tasks.remove(task)
        # Nothing of the task leads to its handle now, so the frames of its exception can die.
        task.label.key = None
        task.label = task.trouble = None
        if self._idle is not None and not tasks and not self._starting:
            if not self._idle.done():
                self._idle.set_result(None)

    async def start(self, coro: Coroutine[Any, Any, None], label: Label, move: Starting) -> None:
        caller = task_here()
        assert caller is not None, "start() is awaited in a task"
        if self._starting is None:
            self._starting = {}
        room = _Antechamber(self, caller)
        task = room.admit(coro, label)
        self._starting[task] = room
        move.move = room.leave
        try:
            await caller.park(room.waiter)
        except asyncio.CancelledError as exc:
            if caller.granted(room.waiter, exc):
                return
            if task in self._starting:
                room.given_up = True
                self.cancel_child(task, "the caller of start() was cancelled")
                room.waiter = caller.make_waiter()
                await caller.park_shielded(room.waiter)
            raise
        finally:
            move.move = None

    def cancel_child(self, task: Task, reason: str | None) -> None:
        if task.done():
            return
        delivery = Delivery.of(task)
        own = delivery.own
        if own is None:
            own = delivery.own = Scope()
            own.host = task
            own.base = task.cancelling() - delivery.delivered
            _put_beneath(task, own)
        if not own.cancelled:
            own.cancelled = True
            own.reason = reason
            spread(own)

    async def close(self, cancelled: BaseException | None) -> BaseException | None:
        host, scope = self.host, self.scope
        try:
            if scope.tasks or self._starting:
                await self._wait()
            cancelled = cancelled or self._stopped
            if canceller(scope) is not None:  # Else somebody cancelled a child natively.
                cancelled = cancelled or self._cancelled
            unlink(scope, host)
            scope_timer(self.kernel, scope)
            return leave(scope, host, cancelled)
        finally:
            self._cancelled = self._stopped = None
            del cancelled

    @coroutine
    def _wait(self) -> Generator[Any, Any, None]:
        """Wait until no child is left.

        A cancelled scope does not interrupt this: the children are in it as well, and it is over
        when they are. So nothing is raised where nobody was interrupted.
        """
        host = self.host
        host.masked += 1
        try:
            while self.scope.tasks or self._starting:
                idle = self._idle = asyncio.Future(loop=self._loop)
                try:
                    yield from idle
                except asyncio.CancelledError as exc:  # Native, for the host is masked.
                    self._stopped = self._stopped or exc
                    self.kernel.cancel(self.scope)
        finally:
            self._idle = None
            host.unmask()


def scope_timer(kernel: AsyncioKernel, scope: Scope) -> None:
    """Drop the deadline of a scope that is left."""
    if scope.timer is not None:
        kernel.timers.drop(scope.timer)
        scope.timer = None


def _put_beneath(task: Task, scope: Scope | None) -> None:
    """Make `scope` the first link of the task's own chain, or the link that it hangs on."""
    first = None
    link = task.scope
    while link is not None and link.host is task:
        first, link = link, link.parent
    if scope is not None and scope.host is task:
        scope.parent = link
    if first is None:
        task.scope = scope
    else:
        first.parent = scope


class _Antechamber:
    """Where a child lives until it is started: in the scope of the caller of `start()`."""

    __slots__ = ("_nest", "_scope", "_task", "given_up", "waiter")

    def __init__(self, nest: Nest, caller: Task | ForeignTask) -> None:
        self._nest = nest
        self._scope = caller.scope
        self._task: Task | None = None
        self.waiter = caller.make_waiter()
        self.given_up = False

    def admit(self, coro: Coroutine[Any, Any, None], label: Label) -> Task:
        nest = self._nest
        task = self._task = Task(coro, loop=nest.kernel.loop)
        task.kernel = nest.kernel
        task.label = label
        label.key = task
        task.nest = nest
        task.masked = 0
        task.trouble = None
        task.credit = BUDGET
        scope = task.scope = self._scope
        if scope is not None:
            if scope.tasks is None:
                scope.tasks = set()
            scope.tasks.add(task)
            if canceller(scope) is not None:
                deliver(task)
        return task

    def leave(self) -> bool:
        """Move into the nest: what the child's `started()` does."""
        nest, task = self._nest, self._task
        assert task is not None and nest._starting is not None
        if self.given_up or canceller(self._scope) is not None:
            return False  # The caller is cancelled, so the child is, and will hear of it.
        del nest._starting[task]
        if self._scope is not None:
            self._scope.tasks.discard(task)
        _put_beneath(task, nest.scope)
        nest.scope.tasks.add(task)
        if canceller(task.scope) is not None:
            deliver(task)
        self._wake()
        return True

    def ended(self, task: Task) -> None:
        """The child has ended without having been started."""
        if self._scope is not None:
            self._scope.tasks.discard(task)
        self._wake()

    def _wake(self) -> None:
        if not self.waiter.done():
            self.waiter.set_result(None)
