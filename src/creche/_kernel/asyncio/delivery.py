"""`Delivery`: brings a cancellation home to one task, of its scopes or a native one that must wait.

asyncio's `Task.cancel()` fires once. So each cancelled task has a `Delivery`, which looks where the
task is and acts at most once for each await of the task:

    the task ...                      what happens
    ------------------------------    -----------------------------------------------------------
    waits on a pending future         cancel() it, and look again when that future is done
    is about to step, or in a step    look again after that step
    gave way (a bare yield)           cancel() it, and look again after its step
    waits shielded                    nothing; `deliver` is called at the end of that wait
    reaches a wait of Creche's own    `interrupt` raises at once; nothing to deliver
    is done, or out of the scope      stop

`deliver` begins that, from anywhere; `look` goes on with it, from the loop, where no task is running.
`defer` keeps a native cancel that met a grant or a shield for the next checkpoint; `settle` takes back
what was asked of the task, on leaving the outermost cancelled scope. What scopes do is in `scopes.py`.

"Look again" rides on the awaited future's own done-callbacks: ours runs right after the task's.
If the future never finishes, nothing runs, so a cancel that cannot land costs no CPU. A task that
swallows cancellation again and again is struck less and less often (`_PATIENCE`, `_LONGEST`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Generator
from pathlib import PurePath
from types import FrameType
from typing import TYPE_CHECKING, Any

from .probe import note
from .reach import canceller, message
from .state import TaskState, grant, native_cancel

if TYPE_CHECKING:
    from ..scope import Scope

_log = logging.getLogger("creche")

_OURS = str(PurePath(__file__).parents[2])
_PATIENCE = 10
"""Cancellations in a row that a task may swallow before we slow down."""
_SHORTEST, _LONGEST = 0.001, 1.0
"""Seconds between two strikes at a task that refuses: doubled from the first to the second."""


class Delivery:
    """Brings cancellations home to one task. Made at its first cancellation."""

    __slots__ = (
        "_level", "_timer", "deferred", "delivered", "loop", "own", "pending", "refusals", "task",
    )  # fmt: skip

    def __init__(self, task: TaskState) -> None:
        self.task = task
        self.loop = task.kernel.loop
        self.delivered = 0
        """Times we called cancel() on the task and have not settled yet."""
        self.refusals = 0
        """Cancellations in a row that the task met without leaving the scope."""
        self.pending = False
        """Whether a look is on its way already."""
        self.deferred: tuple[tuple[Any, ...], bool] | None = None
        """A native cancel to raise at the next checkpoint; whether `cancelling()` counts it."""
        self.own: Scope | None = None
        """The scope that `cancel_child` put around the whole task."""
        self._level = 0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, task: TaskState) -> Delivery:
        delivery: Delivery | None = task.delivery
        if delivery is None:
            delivery = task.delivery = cls(task)
        return delivery

    @property
    def stubborn(self) -> bool:
        """Whether the task has swallowed more cancellations than we are patient with."""
        return self.refusals > _PATIENCE

    def deliver(self, sweep: list[Delivery] | None = None) -> None:
        """Act now if the task waits, or have a look as soon as its step is over.

        What has to be looked at after the steps that are due goes into `sweep`, if there is one.
        """
        task = self.task
        task.credit = 0
        native = task.native
        if self.pending or task.shield_depth or native is None or native.done():
            return
        waiter = getattr(native, "_fut_waiter", None)
        scope = canceller(task.scope)
        if waiter is None or waiter.done() or scope is None:
            # Without a waiter the task may be on the stack this moment: an eager task runs inside
            # the step of another. A look from the loop finds nobody there.
            self._look_after(None, sweep)
        else:
            self._strike(native, waiter, scope, sweep)

    def defer(self, args: tuple[Any, ...], *, counted: bool) -> None:
        """Keep a native cancel for the next checkpoint."""
        self.deferred = (args, counted)
        native = self.task.native
        self._level = native.cancelling() - self.delivered if native is not None else 0
        self.task.credit = 0
        if not self.pending and not self.task.shield_depth:
            self._look_after(None)

    def take_deferred(self) -> tuple[tuple[Any, ...], bool] | None:
        """Return the deferred native cancel, unless somebody has uncancelled it since."""
        deferred, self.deferred = self.deferred, None
        native = self.task.native
        if deferred is None or native is None:
            return None
        if deferred[1] and native.cancelling() - self.delivered < self._level:
            return None
        return deferred

    def settle(self) -> None:
        """The task is out of every cancelled scope: take back what we asked of it."""
        self.refusals = 0
        native = self.task.native
        if native is not None:
            for _ in range(self.delivered):
                native.uncancel()
        self.delivered = 0

    def look(self, _: object = None) -> None:
        """See where the task went. Called by the loop, so no task is running."""
        self.pending = False
        task = self.task
        native = task.native
        if native is None or native.done() or task.shield_depth:
            return
        scope = canceller(task.scope)
        if scope is None and self.deferred is None:
            self.refusals = 0
            return
        task.credit = 0
        waiter = getattr(native, "_fut_waiter", None)
        if (waiter is None and not task.begun()) or (waiter is not None and waiter.done()):
            self._look_after(None)
        elif self.deferred is not None:
            self._strike_natively(native)
            self._look_after(waiter)
        else:
            assert scope is not None
            self._strike(native, waiter, scope)

    def count_strike(self, waiter: Any) -> None:
        """Take over from `spread`, which has struck; `waiter` is what the task still waits on."""
        self.delivered += 1
        self.refusals += 1
        if waiter is not None:
            self._look_after(waiter)
        elif not self.pending:
            self.look()

    def linger(self) -> Generator[Any, Any, None]:
        """Hold a task that swallows every cancellation for a while, so that others get on."""
        self._warn(running=True)
        pause: asyncio.Future[None] = self.loop.create_future()
        self.loop.call_later(self._delay(), grant, pause)
        self.task.shield_depth += 1
        try:
            yield from pause
        finally:
            self.task.shield_depth -= 1

    def _look_after(self, waiter: Any, sweep: list[Delivery] | None = None) -> None:
        """Look again when `waiter` is done, or after the task's step if it waits on nothing."""
        self.pending = True
        if waiter is not None and not waiter.done():
            waiter.add_done_callback(self.look)
        elif sweep is None:
            self.loop.call_soon(self.look)
        else:
            sweep.append(self)

    def _strike(
        self,
        native: asyncio.Task[Any],
        waiter: Any,
        scope: Scope,
        sweep: list[Delivery] | None = None,
    ) -> None:
        self.refusals += 1
        if self.refusals <= _PATIENCE:
            self.delivered += 1
            native_cancel(native, message(scope))
            self._look_after(waiter, sweep)
            return
        self._look_after(waiter)
        if self._timer is None:
            self._warn()
            self._timer = self.loop.call_later(self._delay(), self._strike_late, waiter)

    def _strike_late(self, waiter: Any) -> None:
        self._timer = None
        native = self.task.native
        scope = canceller(self.task.scope)
        if native is None or native.done() or scope is None or self.task.shield_depth:
            return
        if getattr(native, "_fut_waiter", None) is waiter and not (waiter and waiter.done()):
            self.delivered += 1
            native_cancel(native, message(scope))

    def _strike_natively(self, native: asyncio.Task[Any]) -> None:
        deferred = self.take_deferred()
        if deferred is not None:
            args, counted = deferred
            native_cancel(native, *args)
            if counted:
                native.uncancel()

    def _delay(self) -> float:
        return min(_SHORTEST * 2.0 ** min(self.refusals - _PATIENCE - 1, 30), _LONGEST)

    def _warn(self, *, running: bool = False) -> None:
        if self.refusals == _PATIENCE + 1:
            _log.warning(
                "task %r swallowed %d cancellations in a row and is still inside the cancelled "
                "scope, at %s: let the cancellation exception out, or shield the clean-up",
                self.task.info().name,
                _PATIENCE,
                _users_line() if running else _whereabouts(self.task.native),
            )


def interrupt(task: TaskState, waiter: asyncio.Future[Any] | None) -> Generator[Any, Any, None]:
    """Raise in the running task if it is cancelled. `waiter` is what it was about to wait on."""
    if task.shield_depth or (waiter is not None and waiter.done()):
        return
    delivery: Delivery | None = task.delivery
    deferred = delivery.take_deferred() if delivery is not None else None
    scope = canceller(task.scope)
    if deferred is None and scope is None:
        return
    if waiter is not None:
        waiter.cancel()
    note(task)
    if deferred is not None:
        yield from _raise_natively(task, *deferred)
    assert scope is not None, "asked above"
    delivery = Delivery.of(task)
    delivery.refusals += 1
    if delivery.stubborn:
        yield from delivery.linger()
    raise asyncio.CancelledError(message(scope))


def _raise_natively(
    task: TaskState, args: tuple[Any, ...], counted: bool
) -> Generator[Any, Any, None]:
    if not counted and task.native is not None:
        native_cancel(task.native, *args)
        yield  # asyncio throws here.
    raise asyncio.CancelledError(*args)


def _users_line() -> str:
    """Say where the running task is: the innermost frame that is not Creche's own."""
    # No public function gives frames.
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return (
        f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "an unknown place"
    )


def _whereabouts(native: asyncio.Task[Any] | None) -> str:
    """Say where a suspended task waits: the innermost Python frame of its coroutines."""
    coro: Any = native.get_coro() if native is not None else None
    place = "an unknown place"
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
        if frame is not None:
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
    return place
