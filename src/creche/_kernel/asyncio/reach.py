"""What the cancellation of a scope reaches, and what it says. Changes nothing."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .state import ScopeState, TaskState

if TYPE_CHECKING:
    from ..scope import Scope


def canceller(scope: Scope | None) -> Scope | None:
    """Return the cancelled scope that reaches down to `scope`, None if a shield is before it."""
    while scope is not None:
        if scope._cancelled:
            return scope
        if scope._shield:
            return None
        scope = scope._parent
    return None


def members(scope: Scope) -> Iterator[TaskState]:
    """Yield every task inside an entered scope: its host, the children of groups in it, theirs."""
    pending: list[tuple[Any, Scope | None]] = [(scope._host, scope._parent)]
    while pending:
        task, outside = pending.pop()
        yield task
        inner = task.scope
        while inner is not None and inner is not outside:
            state = inner._native
            if isinstance(state, ScopeState):
                pending.extend((child, inner) for child in state.tasks)
            inner = inner._parent


def message(scope: Scope) -> str:
    text = f"Cancelled via cancel scope {id(scope):x}"
    return f"{text}; reason: {scope._reason}" if scope._reason else text
