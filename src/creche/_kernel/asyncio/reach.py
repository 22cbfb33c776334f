"""What the cancellation of a scope reaches, and what it says. Changes nothing but `Scope.caught`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..scope import Scope
    from .tasks import Verbs as AnyTask


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


def message(scope: Scope) -> str:
    text = f"Cancelled via cancel scope {id(scope):x}"
    return f"{text}; reason: {scope.reason}" if scope.reason else text


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
