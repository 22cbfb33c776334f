"""Cancellation on asyncio: level-triggered, and never polled.

The rule is Trio's: while a scope is cancelled, every await of an unshielded task inside it that
would block raises again, until the task has left the scope. What a scope reaches is asked in
`reach.py`; each task that was cancelled has a `Delivery` (`delivery.py`), which brings it home. This
room has the verbs: of scopes that are cancelled, entered and left, and of the running task.

Counts: `delivered` is how often we called `cancel()` on the task; the outermost cancelled scope
settles them with as many `uncancel()`. What `cancelling()` says beyond that is native: somebody
else wants the task gone, and a scope must not swallow that (`Scope.base`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .delivery import Delivery
from .probe import note, refill
from .reach import absorb, canceller, members, message

if TYPE_CHECKING:
    from ..scope import Scope
    from .tasks import Verbs as AnyTask

_native_cancel = asyncio.Task[Any].cancel


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
        if task.delivery is None and task is not host and not task.shield_depth:
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


def interrupt(task: AnyTask, waiter: asyncio.Future[Any] | None) -> Generator[Any, Any, None]:
    """Raise in the running task if it is cancelled. `waiter` is what it was about to wait on."""
    delivery = task.delivery
    if waiter is not None and waiter.done():
        return
    if task.shield_depth:
        return
    if delivery is not None and delivery.deferred is not None:
        deferred = delivery.take_deferred()
        if deferred is not None:
            if waiter is not None:
                waiter.cancel()
            note(task)
            yield from _raise_native(task, *deferred)
    scope = canceller(task.scope)
    if scope is None:
        return
    if waiter is not None:
        waiter.cancel()
    note(task)
    delivery = Delivery.of(task)
    delivery.refusals += 1
    if delivery.stubborn:
        yield from delivery.linger()
    raise asyncio.CancelledError(message(scope))


def _raise_native(task: AnyTask, args: tuple[Any, ...], counted: bool) -> Generator[Any, Any, None]:
    if not counted and task.native is not None:
        _native_cancel(task.native, *args)
        yield  # asyncio throws here.
    raise asyncio.CancelledError(*args)


def enter(scope: Scope, task: AnyTask) -> None:
    """Note the native cancels of before, and deliver if the scope was cancelled before entry."""
    delivery = task.delivery
    scope.base = task.cancelling() - (delivery.delivered if delivery is not None else 0)
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
    delivery = task.delivery
    delivered = delivery.delivered if delivery is not None else 0
    native = task.cancelling() - delivered > scope.base
    if delivery is not None:
        if outside is None:
            delivery.settle()
        if native and exc is not None:
            delivery.deferred = None  # It is on its way, in `exc`.
    if outside is None and not native and (delivery is None or delivery.deferred is None):
        refill(task)
    return exc if native else absorb(scope, exc)
