"""`Scope`: the data of a cancel scope, and the chain of scopes that each task is in.

Knows no event loop. The kernels hang their own state on the last four slots; `CancelScope` above
adds what the user sees.

    new --enter--> entered --exit--> left        cancel() is allowed, and remembered, in each

Rules of the chain
------------------
* `task.scope` is the innermost scope, `scope.parent` the next one out. A child of a group starts
  with the group's scope, so chains of tasks meet in groups and nowhere else.
* A scope is left by the task that entered it, innermost first. Anything else is an error that
  names both places, and damages no other scope. Left too early by its own task, the scope is
  taken out of the chain. Left by another task, it stays, `lost`: its own task may still leave it,
  or leave an outer one over it.
"""

from __future__ import annotations

import sys
from math import inf
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import Task


class Scope:
    """The state of one cancel scope, entered or not."""

    __slots__ = (
        "__weakref__",
        "cancelled",
        "caught",
        "deadline_",
        "host",
        "left",
        "lost",
        "parent",
        "reason",
        "shield_",
        "tasks",
        "native",
        "base",
        "timer",
        "where",
    )

    host: Task | None
    """The task that entered the scope, None before and after."""
    parent: Scope | None
    where: tuple[CodeType, int] | None
    """Code and instruction where the scope was entered."""
    tasks: Any
    """Asyncio kernel: the tasks that began life in this scope (None or a set)."""
    native: Any
    """Trio kernel: the `trio.CancelScope` behind this one."""
    base: int
    """Asyncio kernel: foreign `Task.cancel()` requests on the host when the scope was entered."""
    timer: Any
    """Asyncio kernel: the entry in the heap of deadlines."""

    def __init__(self, deadline: float = inf, shield: bool = False) -> None:
        self.deadline_ = deadline
        self.shield_ = shield
        self.cancelled = False
        self.caught = False
        self.left = False
        self.lost = False
        self.reason: str | None = None
        self.host = None
        self.parent = None
        self.where = None
        self.tasks = None
        self.native = None
        self.base = 0
        self.timer = None


def place(where: tuple[CodeType, int] | None) -> str:
    """Say where a scope was entered: `file.py:12`."""
    if where is None:
        return "an unknown place"
    code, instruction = where
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
    return f"{code.co_filename}:{line}, in {code.co_qualname}"


def link(scope: Scope, task: Task, depth: int) -> None:
    """Make `scope` the innermost of `task`; `depth` frames up is the user's line."""
    if scope.host is not None or scope.left:
        raise RuntimeError(
            f"this {type(scope).__name__} has already been entered, at {place(scope.where)}: "
            "make a new one for each with-block"
        )
    frame = sys._getframe(depth)
    scope.where = (frame.f_code, frame.f_lasti)
    scope.host = task
    scope.parent = task.scope
    task.scope = scope


def unlink(scope: Scope, task: Task) -> None:
    """Take `scope` out of the chain of `task`, the one that leaves it."""
    inner = task.scope
    while inner is not scope and inner is not None and inner.lost:
        inner = inner.parent
    if inner is not scope or scope.host is not task:
        raise misplaced(scope, task)
    task.scope = scope.parent
    scope.host = None
    scope.left = True


def misplaced(scope: Scope, task: Task) -> RuntimeError:
    """Take a scope that is left in the wrong task or order out of its chain; say what is wrong."""
    host = scope.host
    kind = type(scope).__name__
    if host is None:
        if scope.left:
            return RuntimeError(f"this {kind}, entered at {place(scope.where)}, was left already")
        return RuntimeError(f"this {kind} was never entered: use it in a with-statement")
    if host is not task:
        scope.lost = True
        return RuntimeError(
            f"Attempted to exit cancel scope in a different task than it was entered in: "
            f"task {host.info().name!r} entered it at {place(scope.where)}, "
            f"task {task.info().name!r} tried to leave it. A scope or task group must be left by "
            f"the task that entered it; a yield inside one, in an async generator or a fixture "
            f"that another task finishes, breaks that (PEP 789)"
        )
    inner = host.scope
    _cut(scope, host)
    scope.host = None
    scope.left = True
    innermost = f", entered at {place(inner.where)}," if inner is not None else ""
    return RuntimeError(
        f"Attempted to exit a cancel scope that isn't the current task's current cancel scope: "
        f"task {task.info().name!r} entered it at {place(scope.where)}, and a scope inside it"
        f"{innermost} has not been left yet. Leave scopes in the reverse order of entering"
    )


def _cut(scope: Scope, host: Task) -> None:
    if host.scope is scope:
        host.scope = scope.parent
        return
    inner = host.scope
    while inner is not None:
        if inner.parent is scope:
            inner.parent = scope.parent
            return
        inner = inner.parent
