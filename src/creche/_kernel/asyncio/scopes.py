"""Scopes on asyncio: entered, left, cancelled and changed. Level-triggered, and never polled.

The rule is Trio's: while a scope is cancelled, every await of an unshielded task inside it that
would block raises again, until the task has left the scope. What a scope reaches is asked in
`reach.py`; `delivery.py` brings a cancellation home to each task.

    enter --> [update | expire --> spread] --> leave

    enter     note the native cancels of before; arm the deadline; deliver if cancelled already
    update    `cancel()`, `deadline` or `shield` has changed: arm anew, and spread
    spread    deliver to each task that the scope's cancellation reaches
    leave     take back what was asked of the task if it is out of every cancelled scope

Counts: `Delivery.delivered` is how often we called `cancel()` on the task; the outermost cancelled
scope takes that back with as many `uncancel()`. What `cancelling()` says beyond that, and beyond what
it said on entry (`ScopeState.base`), is native: somebody else wants the task gone, and a scope must
not swallow that.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any

from .delivery import Delivery
from .probe import refill
from .reach import canceller, members, message
from .state import ScopeState, TaskState, native_cancel, state_of

if TYPE_CHECKING:
    from ..scope import Scope


# The tasks are of this kernel, and the contract cannot say so: `Any`.


def enter(scope: Scope, task: Any) -> None:
    """Carry out the kernel's `enter_scope`."""
    deadline = scope._deadline
    if deadline != inf and not scope._cancelled:
        kernel = task.kernel
        if deadline <= kernel.now():
            scope._cancelled = True
            scope._reason = scope._reason or scope._expiry()
        else:
            scope._native = kernel.timers.add(deadline, scope)
    base = task.cancelling()
    if task.delivery is not None:
        base -= task.delivery.delivered
    if base:
        state_of(scope).base = base
    if scope._cancelled:
        Delivery.of(task).deliver()


def leave(scope: Scope, task: Any, exc: BaseException | None) -> BaseException | None:
    """Carry out the kernel's `leave_scope`."""
    base = 0
    state = scope._native
    if state is not None:
        timer = state
        if type(state) is not list:
            base, timer = state.base, state.timer
        if timer is not None:
            task.kernel.timers.drop(timer)
        scope._native = None
    if scope._cancelled or scope._shield:
        return _settle(scope, task, exc, base)
    return exc


def _settle(
    scope: Scope, task: TaskState, exc: BaseException | None, base: int
) -> BaseException | None:
    """Settle the counts, and return what of `exc` is not this scope's cancellation."""
    outside = canceller(scope._parent)
    if outside is not None:
        if not scope._shield:
            return exc
        Delivery.of(task).deliver()  # Out of the shield: the outer cancellation goes on.
    if not scope._cancelled:
        return exc
    delivery = task.delivery
    delivered = delivery.delivered if delivery is not None else 0
    native = task.cancelling() - delivered > base
    if delivery is not None:
        if outside is None:
            delivery.settle()
        if native and exc is not None:
            delivery.deferred = None  # It is on its way, in `exc`.
    if outside is None and not native and (delivery is None or delivery.deferred is None):
        refill(task)
    return exc if native else _absorb(scope, exc)


def _absorb(scope: Scope, exc: BaseException | None) -> BaseException | None:
    """Take the cancellations out of `exc`, and note in the scope that there were some."""
    if isinstance(exc, asyncio.CancelledError):
        scope._caught = True
        return None
    if isinstance(exc, BaseExceptionGroup):
        caught, rest = exc.split(asyncio.CancelledError)
        if caught is not None:
            scope._caught = True
            return rest
    return exc


def cancel(scope: Scope) -> None:
    """Cancel an entered scope that may be cancelled already."""
    if not scope._cancelled:
        scope._cancelled = True
        spread(scope)


def expire(scope: Scope) -> None:
    """The deadline of a scope has come, and its entry is out of the timers."""
    _forget_timer(scope)
    if scope._host is not None:
        scope._reason = scope._reason or scope._expiry()
        cancel(scope)


def update(scope: Scope) -> None:
    """Carry out the kernel's `update_scope`."""
    host: Any = scope._host
    timers = host.kernel.timers
    timer = _forget_timer(scope)
    if timer is not None:
        timers.drop(timer)
    if not scope._cancelled and scope._deadline != inf:
        if scope._deadline <= host.kernel.now():
            expire(scope)
            return
        entry = timers.add(scope._deadline, scope)
        if scope._native is None:
            scope._native = entry
        else:
            scope._native.timer = entry
    if scope._cancelled or not scope._shield:
        spread(scope)


def _forget_timer(scope: Scope) -> list[Any] | None:
    state = scope._native
    if isinstance(state, ScopeState):
        entry, state.timer = state.timer, None
        return entry
    scope._native = None
    return state  # type: ignore[no-any-return]  # an entry


def spread(scope: Scope) -> None:
    """Deliver to every task in `scope` that is now cancelled."""
    struck: list[TaskState] = []
    looks: list[Delivery] = []
    host: Any = scope._host
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
                native_cancel(native, text)
                if waiter.done():
                    struck.append(task)
                else:
                    Delivery.of(task).count_strike(waiter)
                continue
        Delivery.of(task).deliver(looks)
    if struck or looks:
        # They have their steps ahead of this call: one look for all instead of one for each.
        first = struck[0] if struck else looks[0].task
        first.kernel.loop.call_soon(_look_at_all, struck, looks)


def _look_at_all(struck: list[TaskState], looks: list[Delivery]) -> None:
    for task in struck:
        native = task.native
        if native is not None and not native.done():
            Delivery.of(task).count_strike(None)
    for delivery in looks:
        delivery.look()
