"""What a cancellation of Trio's says when a deadline has passed: the words of the scope that it was.

Trio knows that it was a deadline, and not which. Only a cancellation that is on its way is looked at, so
that nothing is paid before. One that comes at a ready checkpoint goes by without: it is Trio's call alone.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from ..contract import Task
    from ..scope import Scope


def explain(exc: trio.Cancelled, task: Task | None) -> None:
    """Have a cancellation of `task` say which deadline it was, if it was one and does not say so yet."""
    if exc.source == "deadline" and exc.reason is None and task is not None:
        scope = _expired(task)
        if scope is not None:
            exc.reason = scope._expiry()


def _expired(task: Task) -> Scope | None:
    """Return the innermost scope around a task whose deadline has passed."""
    scope = task.enclosing_scope() if task.scope is None else task.scope
    while scope is not None:
        expired = not scope._cancelled and scope._native is not None and scope._native.cancel_called
        if expired and not scope._floats:  # A floating one is the hidden shield of a clean-up.
            return scope
        parent = scope._parent
        if parent is None and scope._host is not None:
            parent = scope._host.enclosing_scope()
        scope = parent
    return None
