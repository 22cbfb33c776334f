"""`Nursery`: where the children of one task group live, on asyncio.

    open -> closing (the host waits for the last child) -> closed

A child is a `Task` whose chain of scopes begins with the nursery's scope. During `start()` it begins
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
from .cancellation import deliver, interrupt, spread
from .delivery import Delivery
from .reach import canceller
from .tasks import Task, task_here

if TYPE_CHECKING:
    from .kernel import AsyncioKernel
    from .tasks import ForeignTask


class Nursery:
    """The children of one group."""

    __slots__ = ("_cancelled", "_idle", "_stopped", "host", "kernel", "scope", "starting")

    def __init__(self, kernel: AsyncioKernel, scope: Scope, host: Task | ForeignTask) -> None:
        self.kernel = kernel
        self.scope = scope
        self.host = host
        self.starting = 0
        self._idle: asyncio.Future[Any] | None = None
        self._cancelled: BaseException | None = None
        self._stopped: BaseException | None = None
        scope.tasks = {}

    def spawn(self, coro: Coroutine[Any, Any, None], label: Label, context: Context | None) -> None:
        kernel = self.kernel
        task = label.key = Task(coro, loop=kernel.loop, context=context)
        scope = self.scope
        task.kernel = kernel
        task.label = label
        task.nursery = self
        task.scope = scope
        task.shield_depth = 0
        task.delivery = None
        task.credit = BUDGET
        scope.tasks[task] = None
        if scope.cancelled or (scope.parent is not None and canceller(scope) is not None):
            deliver(task)

    def retire(self, task: Task, cancelled: BaseException | None) -> None:
        tasks = self.scope.tasks
        if task.nursery is self:
            if cancelled is not None and canceller(self.scope) is not None:
                # A scope did it, no native cancel. As in Trio, the group is then cancelled as well.
                self._cancelled = self._cancelled or cancelled
                self.kernel.cancel(self.scope)
            tasks.pop(task, None)
        else:
            self.starting -= 1
            task.nursery.ended(task)
        # Nothing of the task leads to its handle now, so the frames of its exception can die.
        task.label.key = None
        task.label = task.delivery = None
        idle = self._idle
        if idle is not None and not tasks and not self.starting and not idle.done():
            idle.set_result(None)

    @coroutine
    def start(
        self, coro: Coroutine[Any, Any, None], label: Label, move: Starting
    ) -> Generator[Any, Any, None]:
        caller = task_here()
        assert caller is not None, "start() is awaited in a task"
        room = Antechamber(self, caller.scope)
        task = room.admit(coro, label)
        move.move = room.leave
        self.starting += 1
        try:
            if caller.credit < 1:
                yield from interrupt(caller, room.waiter)
            yield from room.waiter
        except asyncio.CancelledError as exc:
            if caller.granted(room.waiter, exc):
                return
            if task.nursery is room and not room.empty:
                room.given_up = True
                self.cancel_child(task, "the caller of start() was cancelled")
                waiter = room.waiter = caller.make_firm_waiter()
                # A generator, whatever `types.coroutine` makes of its type.
                yield from waiter.wait()  # pyright: ignore[reportGeneralTypeIssues]
            raise
        finally:
            move.move = None

    def adopt(self, task: Task, scope: Scope | None) -> None:
        """Take in a child that lived in `scope` until now."""
        ours = self.scope
        ours.tasks[task] = None
        if task.scope is scope:
            task.scope = ours
        else:
            hang(task, ours)
        if ours.cancelled or (ours.parent is not None and canceller(ours) is not None):
            spread_from(task)

    def cancel_child(self, task: Task, reason: str | None) -> None:
        if task.done():
            return
        delivery = Delivery.of(task)
        own = delivery.own
        if own is None:
            own = delivery.own = Scope()
            own.host = task
            own.base = task.cancelling() - delivery.delivered
            hang(task, own)
        if not own.cancelled:
            own.cancelled = True
            own.reason = reason
            spread(own)

    def cancelled(self) -> bool:
        return canceller(self.scope) is not None

    def children(self) -> list[Any]:
        return list(self.scope.tasks)

    @coroutine
    def close(self, cancelled: BaseException | None) -> Generator[Any, Any, BaseException | None]:
        host, scope = self.host, self.scope
        try:
            if scope.tasks or self.starting:
                yield from self._wait()
            if cancelled is None:
                cancelled = self._stopped or self._cancelled
            unlink(scope, host)
            return self.kernel.leave_scope(scope, host, cancelled)
        finally:
            self._cancelled = self._stopped = None
            del cancelled

    def _wait(self) -> Generator[Any, Any, None]:
        """Wait until no child is left.

        A cancelled scope does not interrupt this: the children are in it as well, and it is over
        when they are. So nothing is raised where nobody was interrupted.
        """
        host = self.host
        host.shield_depth += 1
        try:
            while self.scope.tasks or self.starting:
                idle = self._idle = asyncio.Future(loop=self.kernel.loop)
                try:
                    yield from idle
                except asyncio.CancelledError as exc:  # Native, for the host is shield_depth.
                    self._stopped = self._stopped or exc
                    self.kernel.cancel(self.scope)
        finally:
            self._idle = None
            host.shield_depth -= 1
            if host.credit < 1:
                host.shield_ended()


def hang(task: Task, scope: Scope | None) -> None:
    """Make `scope` what the task's own chain of scopes hangs on; or its first own link."""
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


def spread_from(task: Task) -> None:
    """Deliver to a child that came into a cancelled scope, and to all that is inside it."""
    if task.scope is not None and task.scope.host is task:
        link = task.scope
        while link.parent is not None and link.parent.host is task:
            link = link.parent
        spread(link)
    elif canceller(task.scope) is not None:
        deliver(task)


class Antechamber:
    """Where a child lives until it is started: in the scope of the caller of `start()`."""

    __slots__ = ("_nursery", "_scope", "_task", "empty", "given_up", "waiter")

    def __init__(self, nursery: Nursery, scope: Scope | None) -> None:
        self._nursery = nursery
        self._scope = scope
        self.empty = self.given_up = False
        self.waiter: asyncio.Future[Any] = asyncio.Future(loop=nursery.kernel.loop)

    @property
    def host(self) -> Task | ForeignTask:
        return self._nursery.host

    def admit(self, coro: Coroutine[Any, Any, None], label: Label) -> Task:
        kernel = self._nursery.kernel
        scope = self._scope
        task = self._task = label.key = Task(coro, loop=kernel.loop)
        task.kernel = kernel
        task.label = label
        task.nursery = self
        task.scope = scope
        task.shield_depth = 0
        task.delivery = None
        task.credit = BUDGET
        if scope is not None:
            if scope.tasks is None:
                scope.tasks = {}
            scope.tasks[task] = None
            if scope.cancelled or (scope.parent is not None and canceller(scope) is not None):
                deliver(task)
        return task

    def leave(self) -> bool:
        """Move into the nursery: what the child's `started()` does."""
        task, scope, nursery = self._task, self._scope, self._nursery
        if self.given_up or (
            scope is not None
            and (scope.cancelled or (scope.parent is not None and canceller(scope) is not None))
        ):
            return False  # The caller is cancelled, so the child is, and will hear of it.
        if scope is not nursery.scope:
            if scope is not None:
                scope.tasks.pop(task, None)
            nursery.adopt(task, scope)
        nursery.starting -= 1
        task.nursery = nursery
        if not self.waiter.done():
            self.waiter.set_result(None)
        return True

    def ended(self, task: Task) -> None:
        """The child has ended without having been started."""
        self.empty = True
        if self._scope is not None:
            self._scope.tasks.pop(task, None)
        if not self.waiter.done():
            self.waiter.set_result(None)
