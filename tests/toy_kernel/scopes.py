"""What a cancelled scope reaches, and what it takes out of an exception. Knows no loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from creche._kernel.scope import Scope

if TYPE_CHECKING:
    from .tasks import Task


class Cancelled(BaseException):
    """What a cancellation raises on this kernel."""


def canceller(scope: Scope | None) -> Scope | None:
    """Return the cancelled scope that reaches down to `scope`, None if a shield is before it."""
    while scope is not None:
        if scope._cancelled:
            return scope
        if scope._shield:
            return None
        scope = scope._parent
    return None


def absorb(scope: Scope, exc: BaseException | None) -> BaseException | None:
    """Take the cancellations out of `exc`, and note in the scope that there were some."""
    if isinstance(exc, Cancelled):
        scope._entered = "caught"
        return None
    if isinstance(exc, BaseExceptionGroup):
        caught, rest = exc.split(Cancelled)
        if caught is not None:
            scope._entered = "caught"
            return rest
    return exc


def hang(task: Task, scope: Scope | None) -> None:
    """Make `scope` what the task's own chain of scopes hangs on; or its first own link."""
    first, link = None, task.scope
    while link is not None and link._host is task:
        first, link = link, link._parent
    if scope is not None and scope._host is task:
        scope._parent = link
    if first is None:
        task.scope = scope
    else:
        first._parent = scope
