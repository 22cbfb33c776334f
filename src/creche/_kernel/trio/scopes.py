"""Cancel scopes on Trio: each is a `trio.CancelScope`, entered and left where ours is.

Trio insists that its scopes are left innermost first, by their own task, and takes the program
down otherwise. So a scope of ours that is left in the wrong place (an error that `scope.py` has
reported) leaves its Trio scope entered, without effect, in `Task.stack`: it is left as soon as it
is the innermost one in its own task.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import trio

from .. import cleanup
from . import cleaning
from .tasks import group_scopes

if TYPE_CHECKING:
    from ..scope import Scope
    from .tasks import Task

_NativeScope = trio.CancelScope


def enter(scope: Scope, task: Any) -> None:
    deadline = scope._deadline
    # Trio takes its time over each keyword, also for nothing (`empty-scope` in benchmarks).
    if deadline == inf:
        native = scope._native = _NativeScope()
    else:
        if scope._clock_runs and deadline <= task.kernel.now():
            scope._entered_late()
        native = scope._native = _NativeScope(deadline=deadline)
    if scope._shield:
        native.shield = True
    if scope._cancelled:
        native.cancel(scope._reason)
    if cleanup.used:
        cleaning.watch(scope, task.kernel)
    native.__enter__()
    task.stack.append(scope)


def leave(scope: Scope, task: Any, exc: BaseException | None) -> BaseException | None:
    """Leave a scope that is off the chain already; return what is left of `exc`."""
    shield = cleaning.take(task, scope) if cleanup.used else None
    stack = task.stack
    if not stack or stack[-1] is not scope:
        unwind(task, scope)
        if not stack or stack[-1] is not scope:
            return exc  # Another task had tried to leave it, and it was unwound since.
    stack.pop()
    if exc is None and scope._deadline == inf:  # As below, without the calls (`empty-scope`).
        rest: BaseException | None = None
        try:
            scope._native.__exit__(None, None, None)
        except BaseException as error:
            rest = error.with_traceback(None)
    else:
        rest = exit_native(scope._native, exc)
        record_outcome(scope)
    if stack:
        unwind(task, None)
    if shield is not None:
        cleaning.put_back(shield, task, goes_on=not scope._shield)
    return rest


def unwind(task: Task, until: Scope | None, *, ends: bool = False) -> None:
    """Leave the innermost Trio scopes whose own scope was left in the wrong place.

    One that another task tried to leave goes on, until the task leaves one further out, or ends.
    """
    stack = task.stack
    over = ends or until is not None
    while stack and stack[-1] is not until and _abandoned(stack[-1], over):
        abandoned = stack.pop()._native
        abandoned.deadline, abandoned.shield = inf, False
        exit_native(abandoned, None)


def _abandoned(scope: Scope, over: bool) -> bool:
    """Tell whether a scope was left in the wrong place; that of an open nursery leaves with it."""
    lost = scope._entered == "lost"
    return scope._host is None or (over and lost and scope not in group_scopes.values())


def exit_native(native: trio.CancelScope, exc: BaseException | None) -> BaseException | None:
    if exc is None:
        native.__exit__(None, None, None)
        return None
    try:
        return None if native.__exit__(type(exc), exc, exc.__traceback__) else exc
    except BaseException as rest:
        # Without the frames of here and of Trio, which hold what it was split off from.
        return rest.with_traceback(exc.__traceback__)
    finally:
        del exc


def record_outcome(scope: Scope) -> None:
    """Note in the scope what Trio knows of it, now that it is left."""
    native = scope._native
    scope._cancelled = scope._cancelled or native.cancel_called
    if native.cancelled_caught:
        scope._entered = "caught"


def update(scope: Scope) -> None:
    """Tell Trio what has changed in a scope. Its setters are slow, also when nothing has."""
    if cleanup.used:
        cleanup.changed(scope)
    native = scope._native
    if native.deadline != scope._deadline:
        native.deadline = scope._deadline
    if native.shield != scope._shield:
        native.shield = scope._shield
    if scope._cancelled:
        native.cancel(scope._reason)
    elif scope._floats:
        if scope._deadline <= trio.current_time():
            native.cancel()
    elif native.cancel_called:  # Trio has looked at the clock.
        scope._cancelled = True
        if cleanup.used:
            cleanup.note_cancelled(scope, trio.current_time())
