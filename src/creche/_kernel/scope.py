"""`Scope`: the data of a cancel scope, and the chain of scopes that each task is in.

Knows no event loop. A kernel hangs what it keeps of a scope on `_native`; `CancelScope` above adds
what the user sees.

    new --enter--> entered --exit--> left | caught        cancel() is allowed, and remembered, in each
                      `--another task tries to leave it--> lost --exit--^

`_entered` says which: False, True, "caught" or "lost". A scope that was left has no `_host`.

Rules of the chain
------------------
* `task.scope` is the innermost scope, `scope._parent` the next one out. A child of a group starts
  with the group's scope, so chains of tasks meet in groups and nowhere else.
* A scope is left by the task that entered it, innermost first. Anything else is an error that
  names both places, and damages no other scope. Left too early by its own task, the scope is
  taken out of the chain. Left by another task, it stays, as a lost one: its own task may still leave it,
  or leave an outer one over it.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from math import inf
from types import CodeType, FrameType
from typing import Any, Literal

from .._tracebacks import place_in
from .contract import Task


class Scope:
    """The state of one cancel scope, entered or not."""

    # Slots, and no more of them set than a scope needs before it is entered: an instance dict
    # with defaults in the class took twice the time (`empty-scope` in benchmarks).
    # What users see of a scope is `CancelScope`: hence the underscores.
    __slots__ = (
        "__weakref__",
        "_cancelled",
        "_code",
        "_deadline",
        "_entered",
        "_host",
        "_instruction",
        "_native",
        "_parent",
        "_reached",
        "_reason",
        "_shield",
        "_stopping",
        "_terms",
    )

    _deadline: float
    _shield: bool
    _cancelled: bool
    """Whether it was cancelled. A deadline that has passed counts once the kernel has seen it."""
    _entered: bool | Literal["lost", "caught"]
    """Whether it was ever entered. `"lost"` if a task that is not its host has tried to leave it, `"caught"` if
    it swallowed a cancellation of its own when it was left."""
    _reason: str | None
    _stopping: Any
    """What is known of a graceful stop, None if nobody has asked for one. No kernel looks at it."""
    _host: Task | None
    """The task that entered the scope, None before and after."""
    _parent: Scope | None
    """The next scope outwards, set when it is entered."""
    _reached: str | None
    """What the cancellation says that reaches into this scope, None if none does. Kept by a kernel
    whose loop does not know."""
    _terms: Any
    """What `cleanup.py` knows of its clean-up time. Unset unless that was asked."""
    _floats = False
    """Whether it moves outwards when a scope around it is left before it: see `cleanup.py`."""
    _code: CodeType
    """The code that entered the scope; `_instruction` is the place in it."""
    _instruction: int
    _clock_runs = False
    """Whether the time to its deadline began to run when the scope was made, and that may matter."""
    _native: Any
    """The kernel's own record of an entered scope, None if it keeps none. Set by the kernel when the scope is
    entered; nobody else looks at it."""

    def __init__(self, deadline: float = inf, shield: bool = False) -> None:
        self._deadline = deadline
        self._shield = shield
        self._cancelled = self._entered = False
        self._host = self._parent = self._reason = self._native = None
        self._reached = self._stopping = None

    def _expiry(self) -> str:
        """Say why the scope is cancelled when its deadline has passed."""
        stopping = self._stopping
        if stopping is not None and stopping.asked and self._deadline == stopping.cancel_at:
            return str(stopping.why())
        return f"by the deadline of {self._spoken()}"

    def _spoken(self) -> str:
        entered = place_in(self._code, self._instruction)
        return "a scope" if entered is None else f"the scope entered at {entered}"

    def _moved(self) -> None:
        """Hear that a scope around this one was left, if it floats."""

    def _entered_late(self) -> None:
        """Hear from the kernel that the deadline had passed when the scope was entered."""


def around(scope: Scope) -> Scope | None:
    """Return the next scope outwards."""
    parent = scope._parent
    if parent is None and scope._host is not None:
        return scope._host.enclosing_scope()
    return parent


def line_of(scope: Scope) -> int:
    """Return the line that entered a scope."""
    line = scope._code.co_firstlineno
    for start, end, number in scope._code.co_lines():
        if start <= scope._instruction < end and number is not None:
            line = number
    return line


def place(scope: Scope) -> str:
    """Say where a scope was entered: `file.py:12, in function`."""
    code = scope._code
    return f"{code.co_filename}:{line_of(scope)}, in {code.co_qualname}"


def link(scope: Scope, task: Task, frame: FrameType) -> None:
    """Make `scope` the innermost of `task`; `frame` is the user's, which enters it."""
    if scope._entered:
        raise reentered(scope)
    scope._entered = True
    scope._code = frame.f_code
    scope._instruction = frame.f_lasti
    scope._host = task
    scope._parent = task.scope
    task.scope = scope


def reentered(scope: Scope) -> RuntimeError:
    return RuntimeError(
        f"this CancelScope has already been entered, at {place(scope)}: make a new one "
        f"for each with-block"
    )


def is_innermost(scope: Scope, task: Task) -> bool:
    """Tell whether `scope` is the one that `task` has to leave next."""
    inner = task.scope
    while inner is not scope and inner is not None and inner._entered == "lost":
        inner = inner._parent
    return inner is scope and scope._host is task


def unlink(scope: Scope, task: Task) -> None:
    """Take `scope` out of the chain of `task`, the one that leaves it."""
    if not is_innermost(scope, task):
        raise misplaced(scope, task)
    inner = task.scope
    task.scope = scope._parent
    scope._host = None
    while inner is not scope and inner is not None:
        link, inner = inner, inner._parent
        if link._floats:
            link._parent = scope._parent
            task.scope = link
            link._moved()


def misplaced(scope: Scope, task: Task) -> RuntimeError:
    """Take a scope that is left in the wrong task or order out of its chain; say what is wrong."""
    host = scope._host
    if host is None:
        if scope._entered:
            return RuntimeError(f"this CancelScope, entered at {place(scope)}, was left already")
        return RuntimeError("this CancelScope was never entered: use it in a with-statement")
    if host is not task:
        scope._entered = "lost"
        mine = repr(host.info().name)
        rest = (
            f". It is cancelled already, and stays so for task {mine}" if scope._cancelled else ""
        )
        return RuntimeError(
            f"Attempted to exit cancel scope in a different task than it was entered in: "
            f"task {mine} entered it at {place(scope)}, "
            f"task {task.info().name!r} tried to leave it. A scope or task group must be left by "
            f"the task that entered it; a yield inside one, in an async generator or a fixture "
            f"that another task finishes, breaks that (PEP 789){rest}"
        )
    inner = host.scope
    cut(scope, host)
    scope._host = None
    innermost = f", entered at {place(inner)}," if inner is not None else ""
    return RuntimeError(
        f"Attempted to exit a cancel scope that isn't the current task's current cancel scope: "
        f"task {task.info().name!r} entered it at {place(scope)}, and a scope inside it"
        f"{innermost} has not been left yet. Leave scopes in the reverse order of entering"
    )


def cut(scope: Scope, host: Task) -> None:
    """Take `scope` out of the chain of its host, wherever it is in there."""
    if host.scope is scope:
        host.scope = scope._parent
        return
    inner = host.scope
    while inner is not None:
        if inner._parent is scope:
            inner._parent = scope._parent
            host.kernel.update_scope(inner)
            return
        inner = inner._parent
