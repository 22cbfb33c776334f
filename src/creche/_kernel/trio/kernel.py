"""`TrioKernel`: one Trio run, with the rooms of this package put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Any

import trio
import trio.testing

from ..._exceptions import RunFinishedError
from ..contract import TaskRecord
from ..exits import Exits
from ..scope import Scope
from . import introspection, private, readiness, scopes
from .nest import Nest


class TrioKernel:
    """What Creche knows of one Trio run. `tasks.kernel_of_run` makes it; the run keeps it."""

    name = "trio"
    cancelled_class = trio.Cancelled

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self.token: Any = self._token
        self.run_vars: dict[Any, Any] = {}
        self._exits = Exits()
        self.now: Callable[[], float] = trio.current_time

    def tasks(self) -> Iterable[TaskRecord]:
        return introspection.tasks()

    def has_pending_cancellation(self, native: Any) -> bool:
        return native is not None and private.is_cancelled(native)

    async def wait_all_tasks_blocked(self) -> None:
        await trio.testing.wait_all_tasks_blocked()

    async def sleep_until(self, deadline: float) -> None:
        if deadline == inf:
            await trio.sleep_forever()
        else:
            await trio.sleep_until(deadline)

    # The tasks are of this kernel, and the contract cannot say so: `Any`.

    def enter_scope(self, scope: Scope, task: Any) -> None:
        scopes.enter(scope, task)

    def leave_scope(
        self, scope: Scope, task: Any, exc: BaseException | None
    ) -> BaseException | None:
        return scopes.leave(scope, task, exc)

    def cancel_scope(self, scope: Scope) -> None:
        scope.native.cancel(scope.reason)

    def rearm_scope(self, scope: Scope) -> None:
        scopes.rearm(scope)

    def scope_cancel_called(self, scope: Scope) -> bool:
        called: bool = scope.native.cancel_called
        return called

    def open_nest(self, scope: Scope, task: Any) -> Nest:
        return Nest(self, scope, task)

    def watch(self, sock: Any) -> readiness.Watch:
        return readiness.Watch(sock)

    async def wait_readable(self, obj: Any) -> None:
        await readiness.wait(trio.lowlevel.wait_readable, obj, "reading from")

    async def wait_writable(self, obj: Any) -> None:
        await readiness.wait(trio.lowlevel.wait_writable, obj, "writing to")

    def notify_closing(self, obj: Any) -> None:
        trio.lowlevel.notify_closing(obj)

    def call_soon_threadsafe(self, func: Callable[..., object], *args: Any) -> None:
        try:
            self._token.run_sync_soon(func, *args)
        except trio.RunFinishedError:
            raise RunFinishedError from None

    def at_exit(self, callback: Callable[[], object]) -> None:
        self._exits.add(callback)

    def ended(self) -> bool:
        return self._exits.over
