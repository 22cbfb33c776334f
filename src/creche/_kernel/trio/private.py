"""What Trio does not publish and the kernel needs. Every use of a private name of Trio is here.

* To cancel one child of a nursery, without having paid for a scope around each child, a scope is
  put around the task afterwards: between the nursery's cancel status and the task's first own.
* Whether a task that is not the running one is cancelled.

A Trio that keeps them otherwise gives an error that names its version, before anything changed.
"""

# This is the place for it.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Any

import trio


def put_scope_around(task: Any, nursery: Any) -> trio.CancelScope:
    """Return a new scope, entered around all that `task`, a child of `nursery`, does."""
    try:
        scope = trio.CancelScope()
        outside = nursery._cancel_status
        activate = task._activate_cancel_status
        first = None
        link = task._cancel_status
        while link is not outside:
            first, link = link, link.parent
        status = type(outside)(
            scope=scope, effectively_cancelled=outside.effectively_cancelled, parent=outside
        )
    except (AttributeError, TypeError) as exc:
        raise _unsupported() from exc
    scope._cancel_status = status
    if first is None:
        activate(status)
    else:
        first.parent = status
    return scope


def is_cancelled(task: Any) -> bool:
    """Tell whether a scope around `task` is cancelled."""
    try:
        status = task._cancel_status
        return status is not None and bool(status.effectively_cancelled)
    except AttributeError as exc:
        raise _unsupported() from exc


def _unsupported() -> RuntimeError:
    return RuntimeError(
        f"creche does not know how Trio {trio.__version__} keeps its cancel scopes, so it cannot "
        f"look into them or cancel one task of a group: use an older Trio, or a newer creche"
    )
