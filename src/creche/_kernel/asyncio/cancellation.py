"""Cancellation on asyncio: level-triggered, and never polled.

The rule is Trio's: while a scope is cancelled, every await of an unshielded task inside it that
would block raises again, until the task has left the scope. asyncio's `Task.cancel()` fires once.
So each cancelled task has a `Delivery`, which looks where the task is and acts at most once for
each await of the task:

    the task ...                      what happens
    ------------------------------    -----------------------------------------------------------
    waits on a pending future         cancel() it, and look again when that future is done
    is about to step                  look again after its step
    gave way (a bare yield)           cancel() it, and look again after its step
    reaches a wait of Creche's own    `interrupt` raises at once; nothing to deliver
    is done, or out of the scope      stop

`look again` rides on the awaited future's own done-callbacks: ours runs right after the task's.
If the future never finishes, nothing runs, so a cancel that cannot land costs no CPU. A task that
swallows cancellation again and again is struck less and less often (`_PATIENCE`, `_LONGEST`).

Counts: `delivered` is how often we called `cancel()` on the task; the outermost cancelled scope
settles them with as many `uncancel()`. What `cancelling()` says beyond that is native: somebody
else wants the task gone, and a scope must not swallow that (`Scope.base`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Generator, Iterator
from pathlib import PurePath
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..contract import BUDGET

if TYPE_CHECKING:
    from ..scope import Scope
    from .tasks import Verbs as AnyTask

_log = logging.getLogger("creche")
_native_cancel = asyncio.Task[Any].cancel

_OURS = str(PurePath(__file__).parents[2])
_PATIENCE = 10
"""Cancellations in a row that a task may swallow before we slow down."""
_SHORTEST, _LONGEST = 0.001, 1.0
"""Seconds between two strikes at a task that refuses: doubled from the first to the second."""


def canceller(scope: Scope | None) -> Scope | None:
    """Return the cancelled scope that reaches down to `scope`, None if a shield is before it."""
    while scope is not None:
        if scope.cancelled:
            return scope
        if scope.shield_:
            return None
        scope = scope.parent
    return None


def members(scope: Scope) -> Iterator[AnyTask]:
    """Yield every task inside an entered scope: its host, the children of groups in it, theirs."""
    pending: list[tuple[Any, Scope | None]] = [(scope.host, scope.parent)]
    while pending:
        task, outside = pending.pop()
        yield task
        inner = task.scope
        while inner is not None and inner is not outside:
            if inner.tasks:
                pending.extend((child, inner) for child in inner.tasks)
            inner = inner.parent


def spread(scope: Scope) -> None:
    """Deliver to every task in `scope` that is now cancelled."""
    struck: list[AnyTask] = []
    looks: list[Delivery] = []
    host: Any = scope.host
    source, text = None, ""
    for task in list(members(scope)):
        by = canceller(task.scope)
        if by is None:
            continue
        task.credit = 0
        if task.trouble is None and task is not host and not task.masked:
            native = task.native
            waiter = getattr(native, "_fut_waiter", None)
            if native is not None and waiter is not None and not waiter.done():
                # The first cancel of a child that waits, which will most likely be its last one:
                # no `Delivery` is made unless the child is still there afterwards.
                if by is not source:
                    source, text = by, message(by)
                _native_cancel(native, text)
                if waiter.done():
                    struck.append(task)
                else:
                    Delivery.of(task).note_strike(waiter)
                continue
        Delivery.of(task).ensure(looks)
    if struck or looks:
        # They have their steps ahead of this call: one look for all instead of one for each.
        first = struck[0] if struck else looks[0].task
        first.kernel.loop.call_soon(_look_at_all, struck, looks)


def _look_at_all(struck: list[AnyTask], looks: list[Delivery]) -> None:
    for task in struck:
        native = task.native
        if native is not None and not native.done():
            Delivery.of(task).note_strike(None)
    for delivery in looks:
        delivery.look()


def deliver(task: AnyTask) -> None:
    """Make sure that a task which is cancelled now will hear of it."""
    task.credit = 0
    Delivery.of(task).ensure()


def message(scope: Scope) -> str:
    text = f"Cancelled via cancel scope {id(scope):x}"
    return f"{text}; reason: {scope.reason}" if scope.reason else text


def interrupt(task: AnyTask, waiter: asyncio.Future[Any] | None) -> Generator[Any, Any, None]:
    """Raise in the running task if it is cancelled. `waiter` is what it was about to wait on."""
    delivery = task.trouble
    if waiter is not None and waiter.done():
        return
    if task.masked:
        return
    if delivery is not None and delivery.deferred is not None:
        deferred = delivery.take_deferred()
        if deferred is not None:
            if waiter is not None:
                waiter.cancel()
            yield from _raise_native(task, *deferred)
    scope = canceller(task.scope)
    if scope is None:
        return
    if waiter is not None:
        waiter.cancel()
    delivery = Delivery.of(task)
    delivery.refusals += 1
    if delivery.refusals > _PATIENCE:
        yield from delivery.linger()
    raise asyncio.CancelledError(message(scope))


def _raise_native(task: AnyTask, args: tuple[Any, ...], counted: bool) -> Generator[Any, Any, None]:
    if not counted and task.native is not None:
        _native_cancel(task.native, *args)
        yield  # asyncio throws here.
    raise asyncio.CancelledError(*args)


class Delivery:
    """Brings cancellations home to one task. Made at its first cancellation."""

    __slots__ = (
        "_level", "_timer", "deferred", "delivered", "loop", "own", "pending", "refusals", "task",
    )  # fmt: skip

    def __init__(self, task: AnyTask) -> None:
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
    def of(cls, task: AnyTask) -> Delivery:
        trouble = task.trouble
        if trouble is None:
            trouble = task.trouble = cls(task)
        return trouble

    def ensure(self, sweep: list[Delivery] | None = None) -> None:
        """Act now if the task waits, or have a look as soon as its step is over.

        What has to be looked at after the steps that are due goes into `sweep`, if there is one.
        """
        if self.pending or self.task.masked:
            return
        native = self.task.native
        if native is None or native.done():
            return
        waiter = getattr(native, "_fut_waiter", None)
        scope = canceller(self.task.scope)
        if waiter is None or waiter.done() or scope is None:
            # Without a waiter the task may be on the stack this moment: an eager task runs inside
            # the step of another. A look from the loop finds nobody there.
            self._look_soon(sweep)
        else:
            self._strike(native, waiter, scope, sweep)

    def resume(self) -> None:
        """Take up again what waited for the end of a shielded wait."""
        if self.deferred is not None or canceller(self.task.scope) is not None:
            self.task.credit = 0
            self.ensure()

    def defer(self, args: tuple[Any, ...], *, counted: bool) -> None:
        """Keep a native cancel for the next checkpoint."""
        self.deferred = (args, counted)
        native = self.task.native
        self._level = native.cancelling() - self.delivered if native is not None else 0
        self.task.credit = 0
        if not self.pending and not self.task.masked:
            self._look_soon()

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
        if native is None or native.done() or task.masked:
            return
        scope = canceller(task.scope)
        if scope is None and self.deferred is None:
            self.refusals = 0
            return
        task.credit = 0
        waiter = getattr(native, "_fut_waiter", None)
        if (waiter is None and not task.begun()) or (waiter is not None and waiter.done()):
            self._look_soon()
        elif self.deferred is not None:
            self._strike_natively(native, waiter)
        else:
            assert scope is not None
            self._strike(native, waiter, scope)

    def note_strike(self, waiter: Any) -> None:
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
        self.loop.call_later(self._delay(), _grant, pause)
        self.task.masked += 1
        try:
            yield from pause
        finally:
            self.task.masked -= 1

    def _look_soon(self, sweep: list[Delivery] | None = None) -> None:
        self.pending = True
        if sweep is None:
            self.loop.call_soon(self.look)
        else:
            sweep.append(self)

    def _look_after(self, waiter: Any, sweep: list[Delivery] | None = None) -> None:
        if waiter is None or waiter.done():
            self._look_soon(sweep)
        else:
            self.pending = True
            waiter.add_done_callback(self.look)

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
            _native_cancel(native, message(scope))
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
        if native is None or native.done() or scope is None or self.task.masked:
            return
        if getattr(native, "_fut_waiter", None) is waiter and not (waiter and waiter.done()):
            self.delivered += 1
            _native_cancel(native, message(scope))

    def _strike_natively(self, native: asyncio.Task[Any], waiter: Any) -> None:
        deferred = self.take_deferred()
        if deferred is not None:
            args, counted = deferred
            _native_cancel(native, *args)
            if counted:
                native.uncancel()
        self._look_after(waiter)

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


def _grant(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


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


def enter(scope: Scope, task: AnyTask) -> None:
    """Note the native cancels of before, and deliver if the scope was cancelled before entry."""
    trouble = task.trouble
    scope.base = task.cancelling() - (trouble.delivered if trouble is not None else 0)
    if scope.cancelled:
        deliver(task)


def leave(scope: Scope, task: AnyTask, exc: BaseException | None) -> BaseException | None:
    """Settle, and return what of `exc` is not this scope's cancellation."""
    outside = canceller(scope.parent)
    if outside is not None:
        if not scope.shield_:
            return exc
        deliver(task)  # Out of the shield: the outer cancellation goes on.
    if not scope.cancelled:
        return exc
    trouble = task.trouble
    delivered = trouble.delivered if trouble is not None else 0
    native = task.cancelling() - delivered > scope.base
    if trouble is not None:
        if outside is None:
            trouble.settle()
        if native and exc is not None:
            trouble.deferred = None  # It is on its way, in `exc`.
    if outside is None and not native and (trouble is None or trouble.deferred is None):
        task.credit = BUDGET
    return exc if native else absorb(scope, exc)


def absorb(scope: Scope, exc: BaseException | None) -> BaseException | None:
    """Take the cancellations out of `exc`, and note in the scope that there were some."""
    if isinstance(exc, asyncio.CancelledError):
        scope.caught = True
        return None
    if isinstance(exc, BaseExceptionGroup):
        caught, rest = exc.split(asyncio.CancelledError)
        if caught is not None:
            scope.caught = True
            return rest
    return exc
