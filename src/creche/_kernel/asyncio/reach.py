"""What the cancellation of a scope reaches: stored in each entered scope, and carried inwards once.

`Scope._reached` is the message of the cancellation that reaches into the scope. For each entered scope:

    cancelled itself                    its own message
    shielded, or outermost              None
    otherwise                           that of its parent

So asking whether a task is cancelled reads one attribute. `carry` updates it from a scope inwards when that
was cancelled, shielded or moved, and stops where nothing changes, so a cancellation visits each scope and
task that it reaches once. Nothing here acts on a task.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .state import ScopeState, TaskState

if TYPE_CHECKING:
    from ..scope import Scope


def reached(task: TaskState) -> str | None:
    """Return the message of the cancellation that reaches a task, None if none does."""
    scope = task.scope
    return None if scope is None else scope._reached


def status(scope: Scope) -> str | None:
    """Work out `scope._reached` from the scope and its parent."""
    if scope._cancelled:
        return message(scope)
    parent = scope._parent
    return None if scope._shield or parent is None else parent._reached


def carry(scope: Scope) -> list[TaskState]:
    """Update `_reached` from an entered scope inwards; return the tasks for which it changed.

    It changes for all of them in the same way, to `scope._reached`.
    """
    moved: list[TaskState] = []
    if _restate(scope):
        pending: list[tuple[Any, Scope]] = [(scope._host, scope)]
        _children(scope, moved, pending)
        while pending:
            _carry_into(*pending.pop(), moved, pending)
    return moved


def _carry_into(
    task: TaskState, outside: Scope, moved: list[TaskState], pending: list[tuple[Any, Scope]]
) -> None:
    """Go on in the scopes that `task` has inside `outside`, outermost first."""
    links: list[Scope] = []
    link = task.scope
    while link is not None and link is not outside:
        links.append(link)
        link = link._parent
    if link is None:
        return  # It is not in there any more.
    while links:
        link = links.pop()
        if not _restate(link):
            return
        _children(link, moved, pending)
    moved.append(task)


def _restate(scope: Scope) -> bool:
    """Work out what reaches a scope; return whether that has changed."""
    was = scope._reached
    scope._reached = status(scope)
    return (was is None) is not (scope._reached is None)


def _children(scope: Scope, moved: list[TaskState], pending: list[tuple[Any, Scope]]) -> None:
    state = scope._native
    if isinstance(state, ScopeState):
        for child in state.tasks:
            if child.scope is scope:
                moved.append(child)
            else:
                pending.append((child, scope))


def message(scope: Scope) -> str:
    text = f"Cancelled via cancel scope {id(scope):x}"
    return f"{text}; reason: {scope._reason}" if scope._reason else text
