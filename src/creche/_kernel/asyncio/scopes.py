"""Scopes on asyncio: entered, left, cancelled and changed. Level-triggered, and never polled.

The rule is Trio's: while a scope is cancelled, every await of an unshielded task inside it that
would block raises again, until the task has left the scope. `reach.py` knows what a
scope reaches; `delivery.py` delivers a cancellation to each task.

    enter --> [update | expire --> spread] --> leave

    enter     note earlier native cancels; arm the deadline; deliver if cancelled already
    update    `cancel()`, `deadline` or `shield` has changed: arm anew, and spread
    spread    deliver to each task that is cancelled now and was not, or take back from those that
              a shield is around now
    leave     take our requests back if the task is out of every cancelled scope

Counts: `Delivery.delivered` is how often we called `cancel()` on the task; the outermost cancelled
scope, and a shield inside it, take that back with as many `uncancel()`. What `cancelling()` counts
beyond that, and beyond what is older than the scope (`ScopeState.base`), is native: other code wants the
task to end, and a scope must not swallow that. A native cancel that was requested before the entry and not
thrown yet is not older; `uncancel()` takes back the youngest, so it can only lower a base.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING, Any

from .. import cleanup
from . import cleaning
from .delivery import STRUCK, Delivery, settle, take_back
from .probe import refill
from .reach import carry, message
from .state import ScopeState, TaskState, native_cancel, requests, state_of

if TYPE_CHECKING:
    from ..scope import Scope


# The tasks are of this kernel, and the contract cannot say so: `Any`.


def enter(scope: Scope, task: Any) -> None:
    """Carry out the kernel's `enter_scope`."""
    # A task that is cancelled has no credit.
    if scope._cancelled or task.credit < 1 or task.cancelling():
        _enter_among_cancels(scope, task)
        return
    deadline = scope._deadline
    if deadline == inf:
        scope._native = None
        return
    kernel = task.kernel
    if deadline <= kernel.now():
        _enter_among_cancels(scope, task)
        return
    # `Timers.add`, without the call (`move-on-after` in benchmarks).
    timers = kernel.timers
    timers.order += 1
    entry = scope._native = [deadline, timers.order, scope]
    heappush(timers.heap, entry)
    if deadline < timers.armed:
        timers.arm(deadline)


def _enter_among_cancels(scope: Scope, task: TaskState) -> None:
    """Enter a scope where it or its task is cancelled in some way, or may be."""
    deadline = scope._deadline
    scope._native = None
    if deadline != inf and not scope._cancelled:
        kernel = task.kernel
        if deadline <= kernel.now():
            scope._cancelled = True
            scope._reason = scope._reason or scope._expiry()
            scope._entered_late()
        else:
            scope._native = kernel.timers.add(deadline, scope)
    if task.cancelling():
        _note_base(scope, task)
    if scope._cancelled or task.credit < 1:
        _enter_reached(scope, task)


def _note_base(scope: Scope, task: TaskState) -> None:
    base = requests(task)
    if base > 0:
        delivery = task.delivery
        if getattr(task.native, "_must_cancel", False) or (
            delivery is not None and delivery.deferred is not None
        ):
            base -= 1
        if base:
            state_of(scope).base = base


def _enter_reached(scope: Scope, task: TaskState) -> None:
    """Enter a scope that may be cancelled, or inside one that is."""
    parent = scope._parent
    outside = None if parent is None else parent._reached
    if scope._cancelled:
        scope._reached = message(scope)
        if outside is None:
            Delivery.of(task).deliver()
    elif not scope._shield:
        scope._reached = outside
    if outside is not None and scope._shield:
        take_back(task)


def leave(scope: Scope, task: Any, exc: BaseException | None) -> BaseException | None:
    """Carry out the kernel's `leave_scope`."""
    state = scope._native
    if state is not None:
        scope._native = None
        timers = task.kernel.timers
        # `Timers.drop`, without the call (`move-on-after` in benchmarks).
        if (heap := timers.heap) and heap[-1] is state:
            heap.pop()
        elif type(state) is list:
            timers.drop(state)
        else:
            if state.timer is not None:
                timers.drop(state.timer)
            if scope._cancelled or scope._shield:
                return settle_counts(scope, task, exc, state.base)
            return exc
    if scope._cancelled or scope._shield:
        return settle_counts(scope, task, exc, 0)
    return exc


def settle_counts(
    scope: Scope, task: TaskState, exc: BaseException | None, base: int, *, native: bool = False
) -> BaseException | None:
    """Settle the counts, and return what of `exc` is not this scope's cancellation.

    :param native: whether `exc` is known to be no scope's cancellation
    """
    parent = scope._parent
    enclosed = parent is not None and parent._reached is not None
    if cleanup.used:
        cleaning.leave(scope, task, goes_on=enclosed and not scope._shield)
    if enclosed:
        if not scope._shield:
            return exc
        Delivery.of(task).deliver()  # Out of the shield: the outer cancellation goes on.
    if not scope._cancelled:
        return exc
    native = native or requests(task) > base
    if not enclosed:
        settle(task)
        delivery = task.delivery
        if not native and (delivery is None or delivery.deferred is None):
            refill(task)
    if exc is None:
        return None
    caught, rest = _without_cancellations(exc)
    if caught is None:
        return exc
    if not native:
        scope._entered = "caught"
        return rest
    delivery = Delivery.of(task)
    delivery.deferred = None  # It is on its way, in `exc`,
    if rest is None:
        return caught
    delivery.defer(caught.args)  # or would be, but errors never leave together with one.
    return rest


def _without_cancellations(
    exc: BaseException,
) -> tuple[asyncio.CancelledError | None, BaseException | None]:
    """Return the first cancellation in `exc`, if any, and what else there is in it."""
    if isinstance(exc, asyncio.CancelledError):
        return exc, None
    # An ExceptionGroup cannot hold any, so the errors of a deep tree are not taken apart at each level.
    if isinstance(exc, ExceptionGroup) or not isinstance(exc, BaseExceptionGroup):
        return None, exc
    caught, rest = exc.split(asyncio.CancelledError)
    first: Any = caught
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first, rest


def cancel(scope: Scope) -> None:
    """Cancel an entered scope that may be cancelled already."""
    if not scope._cancelled:
        scope._cancelled = True
        spread(scope)


def expire(scope: Scope) -> None:
    """Cancel a scope whose deadline has come; its entry is out of the timers."""
    _forget_timer(scope)
    if scope._floats:
        scope._shield, scope._deadline = False, inf
        spread(scope)
    elif scope._host is not None:
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
    spread(scope)


def _forget_timer(scope: Scope) -> list[Any] | None:
    state = scope._native
    if isinstance(state, ScopeState):
        entry, state.timer = state.timer, None
        return entry
    scope._native = None
    return state  # type: ignore[no-any-return]  # an entry


def spread(scope: Scope) -> None:
    """Carry inwards what has changed about a scope, and act on each task for which something changed."""
    if cleanup.used:
        cleanup.changed(scope)
    tasks = carry(scope)
    if not tasks:
        return
    if scope._reached is None:
        for task in tasks:
            take_back(task)
        return
    struck: list[TaskState] = []
    looks: list[Delivery] = []
    text = scope._reached
    quickly = not cleanup.used and tasks[0].kernel.cut_offs is None
    for task in tasks:
        task.credit = 0
        if task.delivery is None and not task.shield_depth and quickly:
            native: Any = task.native
            waiter = getattr(native, "_fut_waiter", None)
            if waiter is not None and not waiter.done():
                # The first cancel of a task that waits, which will most likely be its last one: no
                # `Delivery` is made unless the task is still there afterwards.
                task.delivery = STRUCK
                if native is task:  # As `strike`, without the call (`cancel` in benchmarks).
                    native_cancel(task, text)  # pyright: ignore[reportArgumentType]  # it is both
                else:
                    task.strike(text)
                if waiter.done():
                    struck.append(task)
                else:
                    Delivery.of(task).look_after(waiter)
                continue
        Delivery.of(task).deliver(looks)
    if struck or looks:
        # They have their steps ahead of this call: one look for all instead of one for each.
        first = struck[0] if struck else looks[0].task
        first.kernel.loop.call_soon(_look_at_all, struck, looks)


def _look_at_all(struck: list[TaskState], looks: list[Delivery]) -> None:
    for task in struck:
        native = task.native
        if native is not None and not native.done() and task.delivery is not None:
            delivery = Delivery.of(task)
            if not delivery.pending:
                delivery.look()
    for delivery in looks:
        delivery.look()
