"""`Nursery`: where the children of one task group live.

A child begins its chain of scopes with the nursery's scope. One of `start()` begins it with the
caller's, as its `Home` is a `PendingStart`, until `started()` moves it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from creche._kernel.contract import ChildLabel, Starting
from creche._kernel.scope import Scope, cut, unlink
from creche._kernel.waking import OtherLoop

from .here import kernel_here, task_here
from .scopes import Cancelled, canceller, hang
from .tasks import FirmWaiter, Task, Waiter

if TYPE_CHECKING:
    from .kernel import ToyKernel

Run = Coroutine[Any, Any, None]


class Home(Protocol):
    """Where a child is."""

    host: Task

    def left(self, task: Task, cancelled: BaseException | None) -> None: ...


class Nursery:
    """The children of one group."""

    def __init__(self, kernel: ToyKernel, scope: Scope, host: Task) -> None:
        self.kernel = kernel
        self.scope = scope
        self.host = host
        self.tasks: dict[Task, None] = {}
        self.starting = 0
        self._idle: FirmWaiter | None = None
        self._cancelled: BaseException | None = None

    def spawn(self, coro: Run, label: ChildLabel, context: Context | None) -> None:
        if kernel_here() is not self.kernel:
            coro.close()
            raise OtherLoop
        task = label._key = Task(
            self.kernel, coro, label, scope=self.scope, home=self, context=context
        )
        self.tasks[task] = None

    async def start(self, coro: Run, label: ChildLabel, move: Starting) -> None:
        caller = task_here()
        assert caller is not None, "start() is awaited in a task"
        pending = PendingStart(self, caller, coro, label)
        move._move = pending.move
        try:
            await caller.wait(pending.waiter)
        except Cancelled:
            if pending.task.home is pending:
                pending.given_up = True
                self.cancel_child(pending.task, "the caller of start() was cancelled")
                pending.waiter = firm = caller.make_firm_waiter()
                await firm.wait()
            raise
        finally:
            move._move = None

    def retire(self, key: Task, cancelled: BaseException | None) -> None:
        if key.home is not None:
            key.home.left(key, cancelled)
        if key.label is not None:
            key.label._key = None
        self.look()

    def left(self, task: Task, cancelled: BaseException | None) -> None:
        del self.tasks[task]
        if cancelled is not None:
            # As in Trio: a cancellation that comes from around the group cancels the group as well.
            self._cancelled = self._cancelled or cancelled
            self.kernel.cancel(self.scope)

    def look(self) -> None:
        """Let the host go on if nobody is left."""
        if self._idle is not None and not self.tasks and not self.starting:
            self._idle.grant_if_waiting()

    def cancel_child(self, key: Task, reason: str | None) -> None:
        key.cancel(reason)

    def cancelled(self) -> bool:
        return canceller(self.scope) is not None

    def put_off(self, task: Any, cancelled: BaseException | None) -> None:
        pass  # This loop cancels by scopes alone.

    def children(self) -> list[Any]:
        return list(self.tasks)

    async def close(
        self, cancelled: BaseException | None, *, give_way: bool = True
    ) -> BaseException | None:
        if cancelled is not None and not self.scope._cancelled:
            self.scope._cancelled = True
            self.kernel.update_scope(self.scope)
        try:
            if give_way and not self.tasks and not self.starting:
                await self.host.cancel_shielded_checkpoint()
            while self.tasks or self.starting:
                self._idle = self.host.make_firm_waiter()
                await self._idle.wait()
            unlink(self.scope, self.host)
            return self.kernel.leave_scope(self.scope, self.host, cancelled or self._cancelled)
        finally:
            self._cancelled = None
            del cancelled

    async def abandon(self, task: Any) -> BaseException | None:
        scope = self.scope
        if scope._host is not None:
            cut(scope, self.host)
        self.host = scope._host = task
        scope._entered = True
        scope._parent, task.scope = task.scope, scope
        self.kernel.cancel(scope)
        return await self.close(None, give_way=False)


class PendingStart:
    """A child that `start()` waits for: in the caller's scope until it moves, or ends."""

    def __init__(self, nursery: Nursery, caller: Task, coro: Run, label: ChildLabel) -> None:
        self._nursery = nursery
        self._scope = caller.scope
        self.host = caller
        self.given_up = False
        self.waiter: Waiter = caller.make_waiter()
        nursery.starting += 1
        self.task = label._key = Task(nursery.kernel, coro, label, scope=self._scope, home=self)

    def move(self) -> bool:
        if self.given_up or canceller(self._scope) is not None:
            return False
        task, nursery = self.task, self._nursery
        nursery.tasks[task] = None
        task.home = nursery
        hang(task, nursery.scope)
        self._over()
        return True

    def left(self, task: Task, cancelled: BaseException | None) -> None:
        self._over()

    def _over(self) -> None:
        self._nursery.starting -= 1
        self.waiter.grant_if_waiting()
