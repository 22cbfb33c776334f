"""Graceful stop: the state of a scope that was asked to stop, and its listeners.

A stop asks; a cancel forces. Owns the state, the walk that finds it, and each loop's list of
listeners. Does not know what a stop means to a task.

    running --stop()--> stopping --the grace is over, or cancel()--> cancelled

Rules
-----
* A stop is inherited inwards as a cancellation is: it reaches whatever is inside the scope, and a
  shield holds it off. It is level-triggered: it stays asked for as long as the scope is there.
* Code that uses no stops pays nothing. A scope has no stop state until it is first stopped, and
  entering or leaving a scope checks nothing. A query walks outwards along the chain of scopes, and a
  stop checks each listener of its loop.
* A scope with a `barrier` lets no stop in from outside: its owner passes the stop on when it is time.
* The earliest grace wins. It is kept beside the deadline of the scope, so that moving the deadline
  does not take it back.
"""

# The data of scopes is this package's own.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .._kernel import current_kernel
from .._kernel.scope import around
from .._kernel.waking import from_another_thread
from .._misuse import check_seconds
from .._tracebacks import innermost_place

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, Task
    from .._kernel.scope import Scope
    from .scope import CancelScope

grace_given = False
"""Whether this process has ever given a stop a grace, so that one may be overrun."""
LISTED = 20
"""As many tasks that overran their grace are listed in the log."""
CLOCK = 0.05
"""Seconds by which the clock of a loop may fire a deadline early."""
used = False
"""Whether this process has ever listened for a stop. As long as not, nothing is looked for."""
ever_asked = False
"""Whether this process has ever asked for a stop. As long as not, nobody has to be told."""


class Stop:
    """What is known of the stop of one scope."""

    __slots__ = ("asked", "barrier", "cancel_at", "grace", "on_left", "overran", "reason")

    def __init__(self) -> None:
        self.asked = False
        self.barrier = False
        self.reason: str | None = None
        self.grace = inf
        self.cancel_at = inf
        """When the grace is over, by the loop's clock."""
        self.on_left: list[Callable[[], object]] = []
        """What a task group calls when it is left; nothing calls it for a plain scope."""
        self.overran: list[tuple[str, str]] = []
        """The tasks that were still there when the grace was over, and where they were."""

    def over(self) -> bool:
        """Tell whether there was a grace, and it is over."""
        given = self.asked and 0 < self.grace < inf
        return given and current_kernel().now() >= self.cancel_at - CLOCK

    def why(self) -> str:
        """Say why a scope is cancelled whose grace is over."""
        over = ", grace over" if self.grace else ""
        return f"by stop{over}" + (f" ({self.reason})" if self.reason else "")

    def left(self) -> None:
        callbacks, self.on_left = self.on_left, []
        for callback in callbacks:
            callback()


BARRIER = Stop()
"""The state of a scope that keeps stops from outside out and was not stopped yet. Shared."""
BARRIER.barrier = True


def state_of(scope: CancelScope) -> Stop:
    """Return the state of a scope's own stop, made if need be."""
    state: Stop | None = scope._stopping
    if state is None or state is BARRIER:
        barrier = state is BARRIER
        state = scope._stopping = Stop()
        state.barrier = barrier
    return state


def stop(scope: CancelScope, reason: str | None, grace: float) -> None:
    """Ask what is inside `scope` to stop, and have it cancelled `grace` seconds from now."""
    check_seconds("stop", "grace", grace)
    if not grace >= 0:
        raise ValueError(f"grace must be a number of seconds, 0 or more, not {grace!r}")
    if scope._entered and scope._host is None:
        return
    kernel = current_kernel()
    if scope._host is not None and scope._host.kernel is not kernel:
        raise from_another_thread()
    global grace_given, ever_asked  # noqa: PLW0603  # set once for the process
    ever_asked = True
    grace_given = grace_given or 0 < grace < inf
    state = state_of(scope)
    cancel_at = kernel.now() + grace if grace != inf else inf
    if cancel_at < state.cancel_at:
        state.cancel_at, state.grace = cancel_at, grace
    if not state.asked:
        state.asked = True
        state.reason = reason
        if used and scope._host is not None:
            tell(scope._host.kernel)
    if grace == 0:
        scope.cancel(state.why())
    elif state.cancel_at < scope._deadline:
        scope.deadline = state.cancel_at


def innermost(task: Task) -> Scope | None:
    """Return the innermost scope that a task is in."""
    scope = task.scope
    return task.enclosing_scope() if scope is None else scope


def is_inside(task: Task, scope: Scope) -> bool:
    """Tell whether a task is in `scope`, at whatever depth, shields or not."""
    link = innermost(task)
    while link is not None and link is not scope:
        parent = link._parent  # as `around`, without the call (`resource` in benchmarks)
        if parent is None and link._host is not None:
            parent = link._host.enclosing_scope()
        link = parent
    return link is not None


def asked(scope: Scope | None) -> Stop | None:
    """Return the stop that reaches the code in `scope`, None if there is none."""
    while scope is not None:
        state: Stop | None = scope._stopping
        if state is not None:
            if state.asked:
                return state
            if state.barrier:
                return None
        if scope._shield and not scope._floats:
            return None
        scope = around(scope)
    return None


# ── Tasks past the grace ────────────────────────────────────────────────────────────────────────


class StopReport(NamedTuple):
    """What is kept of a stop whose grace was too short."""

    reason: str | None
    grace: float
    """Seconds that were given."""
    overran: tuple[tuple[str, str], ...]
    """The first tasks that overran it, as many as the log lists: the name, and where it was."""
    tasks: int
    """How many tasks overran it."""


_reports: deque[StopReport] = deque(maxlen=100)


def stop_reports() -> list[StopReport]:
    """Return the reports of the last stops of this process whose grace was too short, oldest first."""
    return list(_reports)


def note_overrun(scope: Scope | None, name: str, place: str) -> None:
    """Note that a task inside `scope` was cancelled, if it was because the grace of a stop was over."""
    while scope is not None:
        state: Stop | None = scope._stopping
        if state is not None and state.over():
            state.overran.append((name, place))
            return
        if scope._shield and not scope._floats:
            return
        scope = around(scope)


def leave(scope: Scope, task: Task, exc: BaseException | None) -> None:
    """Do what is to be done when a scope is left that knows of a stop; `exc` is what ended its block."""
    state: Stop = scope._stopping
    if isinstance(exc, task.kernel.cancelled_class):
        note_overrun(scope, task.info().name, innermost_place(exc.__traceback__))
    state.left()
    report(state)


def report(state: Stop) -> None:
    """Log which tasks overran the grace of a stop that is over, and where they were."""
    overran = state.overran
    if not overran:
        return
    first = tuple(overran[:LISTED])
    _reports.append(StopReport(state.reason, state.grace, first, len(overran)))
    from logging import getLogger  # heavy, and hardly ever needed

    listed = "; ".join(f"{name!r} at {place}" for name, place in first)
    more = len(overran) - LISTED
    getLogger("creche").warning(
        "stop%s: %d %s overran the grace of %g s and %s cancelled: %s%s",
        f" ({state.reason})" if state.reason else "",
        len(overran),
        "task" if len(overran) == 1 else "tasks",
        state.grace,
        "was" if len(overran) == 1 else "were",
        listed,
        f"; and {more} more" if more > 0 else "",
    )


# ── Listeners ────────────────────────────────────────────────────────────────────────────────────

Listeners: TypeAlias = "dict[Any, tuple[Scope, Callable[[Stop], object]]]"
_KEY = object()


def listeners(kernel: Kernel) -> Listeners:
    """Return the listeners in this loop, each by its own key."""
    found: Listeners | None = kernel.run_vars.get(_KEY)
    if found is None:
        found = kernel.run_vars[_KEY] = {}
    return found


def listen(kernel: Kernel, key: Any, scope: Scope, told: Callable[[Stop], object]) -> None:
    """Have `told(stop)` called once, at once or later, when a stop is asked of `scope`.

    Called where the stop is asked for, so it must neither raise nor wait.
    """
    global used  # noqa: PLW0603  # set once for the process
    used = True
    listeners(kernel)[key] = (scope, told)
    state = asked(scope)
    if state is not None:
        del listeners(kernel)[key]
        told(state)


def ignore(kernel: Kernel, key: Any) -> None:
    """Take a listener away, if it is still there."""
    listeners(kernel).pop(key, None)


def tell(kernel: Kernel) -> None:
    """Tell the listeners whom a stop has reached: it was asked for, a shield fell, a child moved."""
    waiting = listeners(kernel)
    for key, (scope, told) in list(waiting.items()):
        state = asked(scope)
        if state is not None and waiting.pop(key, None) is not None:
            told(state)
