"""`Scope`: the data of a cancel scope, and the chain of scopes that each task is in.

Knows no event loop. The kernels hang their own state on `base`, `tasks` and `native`;
`CancelScope` above adds what the user sees.

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

from math import inf
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import Task


class Scope:
    """The state of one cancel scope, entered or not."""

    # Slots, and no more of them set than a scope needs before it is entered: an instance dict
    # with defaults in the class took twice the time (`empty-scope` in benchmarks).
    __slots__ = (
        "__weakref__",
        "base",
        "cancelled",
        "caught",
        "code",
        "deadline_",
        "host",
        "instruction",
        "left",
        "lost",
        "native",
        "parent",
        "reason",
        "shield_",
        "tasks",
    )

    deadline_: float
    shield_: bool
    cancelled: bool
    """Whether it was cancelled. A deadline that has passed counts once the kernel has seen it."""
    caught: bool
    """Whether it swallowed a cancellation of its own when it was left."""
    left: bool
    lost: bool
    """Whether a task that is not its host tried to leave it."""
    reason: str | None
    host: Task | None
    """The task that entered the scope, None before and after."""
    parent: Scope | None
    code: CodeType
    """The code that entered the scope; `instruction` is the place in it."""
    instruction: int
    base: int
    """Asyncio kernel: native `Task.cancel()` requests on the host when the scope was entered."""
    tasks: Any
    """Asyncio kernel: the tasks that began life in this scope, in that order (None or a dict)."""
    native: Any
    """Asyncio kernel: the entry of the deadline in the timers. Trio kernel: the Trio scope."""

    def __init__(self, deadline: float = inf, shield: bool = False) -> None:
        self.deadline_ = deadline
        self.shield_ = shield
        self.cancelled = self.caught = self.left = False
        self.host = self.parent = self.reason = self.tasks = self.native = None


def place(scope: Scope) -> str:
    """Say where a scope was entered: `file.py:12, in function`."""
    code = scope.code
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= scope.instruction < end and number is not None:
            line = number
    return f"{code.co_filename}:{line}, in {code.co_qualname}"


def link(scope: Scope, task: Task, frame: FrameType) -> None:
    """Make `scope` the innermost of `task`; `frame` is the user's, which enters it."""
    if scope.host is not None or scope.left:
        raise reentered(scope)
    scope.lost = False
    scope.code = frame.f_code
    scope.instruction = frame.f_lasti
    scope.host = task
    scope.parent = task.scope
    task.scope = scope


def reentered(scope: Scope) -> RuntimeError:
    return RuntimeError(
        f"this {type(scope).__name__} has already been entered, at {place(scope)}: make a new one "
        f"for each with-block"
    )


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
            return RuntimeError(f"this {kind}, entered at {place(scope)}, was left already")
        return RuntimeError(f"this {kind} was never entered: use it in a with-statement")
    if host is not task:
        scope.lost = True
        return RuntimeError(
            f"Attempted to exit cancel scope in a different task than it was entered in: "
            f"task {host.info().name!r} entered it at {place(scope)}, "
            f"task {task.info().name!r} tried to leave it. A scope or task group must be left by "
            f"the task that entered it; a yield inside one, in an async generator or a fixture "
            f"that another task finishes, breaks that (PEP 789)"
        )
    inner = host.scope
    _cut(scope, host)
    scope.host = None
    scope.left = True
    innermost = f", entered at {place(inner)}," if inner is not None else ""
    return RuntimeError(
        f"Attempted to exit a cancel scope that isn't the current task's current cancel scope: "
        f"task {task.info().name!r} entered it at {place(scope)}, and a scope inside it"
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
