"""`Nursery`: where the children of one task group live, on Trio: a nursery of Trio's.

    open -> closing (the host waits in the nursery's own exit) -> closed

Of what children raise the nursery sees cancellations only; errors are the group's.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from math import inf
from typing import TYPE_CHECKING, Any

import trio

from .. import cleanup
from ..contract import ChildLabel, Starting
from ..scope import Scope, cut, unlink
from ..waking import OtherLoop, from_another_thread
from . import cleaning, private
from .scopes import record_outcome, unwind
from .tasks import FirmWaiter, group_scopes, known_task

if TYPE_CHECKING:
    from .introspection import RunKernel
    from .tasks import Task

Run = Coroutine[Any, Any, None]

_current_token = trio.lowlevel.current_trio_token


class Nursery:
    """The children of one group."""

    __slots__ = ("_found", "_left", "_manager", "_nursery", "_scopes", "host", "kernel", "scope")

    def __init__(self, kernel: RunKernel, scope: Scope, host: Task) -> None:
        self.kernel = kernel
        self.scope = scope
        self.host = host
        self._manager = trio.open_nursery()
        self._nursery: trio.Nursery = _open(self._manager)
        self._found: dict[Run, trio.lowlevel.Task] = {}
        self._scopes: dict[Run, trio.CancelScope] | None = None
        self._left: FirmWaiter | None = None
        """Granted when a child retires, while `abandon` waits for them."""
        native = scope._native = self._nursery.cancel_scope
        if scope._deadline != inf:  # Trio takes its time over each of the two, also for nothing.
            native.deadline = scope._deadline
        if scope._shield:
            native.shield = True
        if scope._cancelled:
            native.cancel(scope._reason)
        host.stack.append(scope)
        if cleanup.used:
            cleaning.watch(scope, kernel)
        group_scopes[self._nursery] = scope

    def spawn(self, coro: Run, label: ChildLabel, context: Context | None) -> None:
        kernel = self.kernel
        try:
            here = _current_token() is kernel.token
        except RuntimeError:  # no run of Trio in this thread
            here = False
        if not here:
            coro.close()
            raise OtherLoop
        label._key = coro
        if context is None:
            self._nursery.start_soon(_itself, coro, name=label.name)
        else:
            start: Callable[..., None] = self._nursery.start_soon
            context.run(start, _itself, coro, name=label.name)
            task = self._find(coro)
            if task is not None:
                task.context = context  # Trio made a copy: the child's changes are to be seen.
        kernel.labels[coro] = label

    def retire(self, key: Run, cancelled: BaseException | None) -> None:
        self.kernel.labels.pop(key, None)
        me = known_task()
        if me is not None and me.stack:
            unwind(me, None, ends=True)
        if cleanup.used and me is not None:
            cleaning.forget(me)
        try:
            if self._left is not None:
                # What it raised would cancel the task that opened the nursery.
                if not self._left.done():
                    self._left.set_result(None)
            elif cancelled is not None:
                if trio.lowlevel.current_task().parent_nursery is self._nursery:
                    self._note_cancelled()
                raise cancelled  # Trio's nursery knows what to do with it.
        finally:
            del cancelled

    async def start(self, coro: Run, label: ChildLabel, move: Starting) -> None:
        label._key = coro

        def begin(*, task_status: trio.TaskStatus[None]) -> Run:
            move._move = _mover(self._nursery, coro, task_status)
            self.kernel.labels[coro] = label
            return coro

        try:
            await self._nursery.start(begin, name=label.name)
        except RuntimeError:
            # "child exited without calling task_status.started()": the group says it better.
            pass
        except trio.Cancelled as exc:
            if cleanup.used:
                self._raises_here(exc)
            raise
        finally:
            move._move = None
            body: Any = coro
            if body.cr_frame is not None and not body.cr_suspended:
                coro.close()
                self.kernel.labels.pop(coro, None)

    def _note_cancelled(self) -> None:
        """The scope is about to be cancelled by what has ended in it: clean-ups may end sooner."""
        if not self.kernel.watches_steps:
            return
        if not self.scope._cancelled and self.scope._host is not None:
            self.scope._cancelled = True
            cleanup.changed(self.scope)

    def _raises_here(self, rest: BaseException) -> None:
        """Begin a clean-up that Trio's own wait for tasks has interrupted: no step began with it."""
        if self.kernel.watches_steps and _holds_cancellation(rest):
            cleaning.begin(trio.lowlevel.current_task(), self.kernel)

    def cancel_child(self, key: Run, reason: str | None) -> None:
        task = self._find(key)
        if task is None:
            return
        if threading.get_ident() != self.kernel.thread_id:
            raise from_another_thread()
        if self._scopes is None:
            self._scopes = {}
        scope = self._scopes.get(key)
        if scope is None:
            scope = self._scopes[key] = private.put_scope_around(task, self._nursery)
            if cleanup.used:
                cleaning.hang_around(task, scope, self.kernel)
        scope.cancel(reason)

    def cancelled(self) -> bool:
        return private.is_cancelled(self._nursery)

    def put_off(self, task: Any, cancelled: BaseException | None) -> None:
        pass  # Trio cancels by scopes alone.

    def children(self) -> list[Any]:
        return sorted(self._nursery.child_tasks, key=private.order_of)

    async def close(
        self, cancelled: BaseException | None, *, give_way: bool = True
    ) -> BaseException | None:
        scope = self.scope
        rest: BaseException | None = None
        if cancelled is not None:
            self._note_cancelled()
            self._nursery.cancel_scope.cancel()
        shield = cleaning.take(self.host) if cleanup.used else None
        unwind(self.host, scope)
        try:
            await _leave(self._manager, cancelled)
        except BaseException as exc:
            rest = exc
        self.host.stack.remove(scope)
        del group_scopes[self._nursery]
        unlink(scope, self.host)
        record_outcome(scope)
        unwind(self.host, None)
        if shield is not None:
            cleaning.put_back(shield, self.host, goes_on=not scope._shield)
        elif cleanup.used and rest is not None:
            self._raises_here(rest)
        try:
            return None if rest is None else _cancellation(rest)
        finally:
            del rest, cancelled

    # The task is of this kernel, and the contract cannot say so: `Any`.
    async def abandon(self, task: Any) -> BaseException | None:
        scope, host, nursery = self.scope, self.host, self._nursery
        if scope._host is not None:
            cut(scope, host)
        scope._host, scope._cancelled = None, True
        try:
            while nursery.child_tasks:
                left: FirmWaiter = task.make_firm_waiter()
                self._left = left
                for child in nursery.child_tasks:
                    key: Any = child.coro
                    self.cancel_child(key, "its task group was left in the wrong place")
                await left.wait()
        finally:
            if scope in host.stack and not nursery.child_tasks:
                private.take_out(nursery)
                host.stack.remove(scope)
                del group_scopes[nursery]
        return None

    def _find(self, key: Run) -> trio.lowlevel.Task | None:
        """Return the Trio task of a child. Trio does not hand it out, so look once for all."""
        task = self._found.get(key)
        if task is None:
            self._found = {child.coro: child for child in self._nursery.child_tasks}
            task = self._found.get(key)
        return task


def _itself(coro: Run) -> Run:
    return coro


def _open(manager: Any) -> trio.Nursery:
    """Enter a nursery. Trio does that without suspending, so there is nothing to await."""
    entering = manager.__aenter__()
    try:
        entering.send(None)
    except StopIteration as done:
        nursery: trio.Nursery = done.value
        return nursery
    raise RuntimeError(f"Trio {trio.__version__} suspends on entering a nursery")


async def _leave(manager: Any, exc: BaseException | None) -> None:
    if exc is None:
        await manager.__aexit__(None, None, None)
    elif not await manager.__aexit__(type(exc), exc, exc.__traceback__):
        raise exc


def _holds_cancellation(exc: BaseException) -> bool:
    if isinstance(exc, BaseExceptionGroup):
        return exc.split(trio.Cancelled)[0] is not None
    return isinstance(exc, trio.Cancelled)


def _cancellation(exc: BaseException) -> BaseException:
    """Return the cancellation in what a nursery raised; raise anything else that is in it."""
    if isinstance(exc, BaseExceptionGroup):
        rest = exc.split(trio.Cancelled)[1]
        if rest is not None:
            raise rest
        return _cancellation(exc.exceptions[0])
    if not isinstance(exc, trio.Cancelled):
        raise exc
    return exc


def _mover(
    nursery: trio.Nursery, coro: Run, task_status: trio.TaskStatus[None]
) -> Callable[[], bool]:
    def move() -> bool:
        task_status.started()
        task = trio.lowlevel.current_task()
        if task.coro is coro:
            return task.parent_nursery is nursery
        # A task that helps the child.
        return any(child.coro is coro for child in nursery.child_tasks)

    return move
