"""Clean-ups that have time, on asyncio: when one begins, and what holds it.

The rules are in `_kernel/cleanup.py`. A `CleanupShield` is a link in the task's chain of scopes, whose
deadline is among the timers; so what it keeps out, and what comes when it is over, is what any scope
does that is shielded, and then is not. `Task.cancel()` raises nothing yet where the task waits for another one,
or for a future that refuses: then the shield is there at once, for the step that comes, and its time
begins after that step, or it is taken away.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from asyncio import CancelledError
from math import inf
from typing import TYPE_CHECKING, Any

from ..cleanup import CleanupShield, end_of
from ..scope import cut
from .state import ScopeState

if TYPE_CHECKING:
    from ..scope import Scope

# The tasks are of this kernel, and the contract cannot say so: `Any`.


def begin(task: Any, waiter: Any) -> tuple[CleanupShield, Any] | None:
    """Shield what a task does after the cancellation that it was just struck with, if it has time.

    :param waiter: what it waits for, None if the cancellation is raised in any case
    :return: what `make_sure` has to hear once `waiter` is done
    """
    kernel = task.kernel
    now = kernel.now()
    until = end_of(task.scope, now)
    if until <= now:
        return None
    shield = CleanupShield(task, task.scope, now)
    task.scope = shield
    if waiter is None or waiter.cancelled() or getattr(task.native, "_must_cancel", False):
        _hold(shield, until)
        return None
    kernel.cleanups.add(shield)
    return shield, waiter


def make_sure(task: Any, shield: CleanupShield, waiter: Any) -> None:
    """Begin the time of a shield, or take it away: what its task was to be interrupted in is over."""
    if not _is_of(task, shield):
        return
    if waiter.cancelled() or isinstance(waiter.exception(), CancelledError):
        shield.start = task.kernel.now()
        _hold(shield, end_of(shield._parent, shield.start))
        return
    _drop(shield)
    cut(shield, task)
    shield._host = None


def take_away(task: Any, inside: Scope | None) -> bool:
    """Take away the shield that began in a wait whose end, and not this moment, tells whether it raises.

    :param inside: the innermost scope of the task when the wait began
    :return: whether there was one
    """
    shield = task.scope
    if shield is inside or not isinstance(shield, CleanupShield) or not _is_of(task, shield):
        return False
    _drop(shield)
    task.scope = shield._parent
    shield._host = None
    return True


def leave(scope: Scope, task: Any, *, goes_on: bool) -> None:
    """Keep or drop the shield that came along when a task left `scope`, cancelled or shielded.

    :param goes_on: whether a cancellation goes on around that
    """
    shield = task.scope
    if not isinstance(shield, CleanupShield) or not _is_of(task, shield):
        return
    if shield is scope._parent:  # It was around the scope.
        return
    outside = shield._parent
    if goes_on and outside is not None and not outside._floats:
        if shield.sure:
            _forget_timer(shield)
            _hold(shield, end_of(outside, shield.start))
    else:
        _drop(shield)
        task.scope = outside
        shield._host = None


def forget(task: Any) -> None:
    """Drop what an ended task has left."""
    while isinstance(task.scope, CleanupShield) and _is_of(task, task.scope):
        shield = task.scope
        _drop(shield)
        task.scope = shield._parent
        shield._host = None


def _is_of(task: Any, shield: CleanupShield) -> bool:
    return shield._host is task  # Not where a child is not started yet: it is in its caller's.


def _hold(shield: CleanupShield, until: float) -> None:
    kernel: Any = shield._host.kernel  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # it is entered
    shield.hold(until)
    kernel.cleanups.add(shield)
    shield._shield = until > kernel.now()
    if not shield._shield:
        shield._deadline = inf
        shield._reached = shield._parent._reached  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # it is inside one
        return
    shield._reached = None
    entry = kernel.timers.add(until, shield) if until != inf else None
    if isinstance(shield._native, ScopeState):
        shield._native.timer = entry
    else:
        shield._native = entry


def _drop(shield: CleanupShield) -> None:
    kernel: Any = shield._host.kernel  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # it is entered
    _forget_timer(shield)
    kernel.cleanups.discard(shield)


def _forget_timer(shield: CleanupShield) -> None:
    kernel: Any = shield._host.kernel  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # it is entered
    state = shield._native
    entry = state.timer if isinstance(state, ScopeState) else state
    if entry is not None:
        kernel.timers.drop(entry)
    if isinstance(state, ScopeState):
        state.timer = None
    else:
        shield._native = None
