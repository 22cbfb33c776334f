"""The functions that make a scope with a deadline.

They do what `__init__` does themselves: see `TimedScope`.
"""

# A scope and what makes it are one thing in two files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from contextlib import AbstractContextManager
from math import inf

from .._kernel import current_kernel, current_task
from .._kernel.cleanup import give
from .._kernel.scope import Scope
from .._misuse import check_seconds
from .scope import EARLIEST, CancelScope, FailScope, RunningScope

_NOTABLE = 0.01
"""Seconds from which on a timeout that is over when it is entered was not meant to be."""


def move_on_after(
    delay: float | None, shield: bool = False, *, cleanup: float | None = None
) -> CancelScope:
    """Make a scope that is cancelled `delay` seconds from now, and then goes on after its block.

    :param delay: seconds, or None for no deadline
    :param shield: whether cancellation from outside is kept out of the block
    :param cleanup: seconds that a task has for its clean-up once it is cancelled: see `CancelScope`
    :return: the scope, to be used in a with-statement
    :raises NoEventLoopError: if no event loop runs in this thread
    """
    if delay is None:
        return CancelScope(shield=shield, cleanup=cleanup)
    try:
        notable = delay >= _NOTABLE
    except TypeError:
        check_seconds("move_on_after", "delay", delay)
        raise
    if not notable:  # or it is no number
        deadline = current_kernel().now() + delay
        return CancelScope(deadline=deadline, shield=shield, cleanup=cleanup)
    try:
        now = current_task().kernel.now()
    except RuntimeError:  # in a callback of the loop, or this says what is wrong
        now = current_kernel().now()
    scope: CancelScope = RunningScope()
    scope._deadline = now + delay  # As `CancelScope.__init__`, without the call.
    scope._shield = shield
    scope._cancelled = scope._entered = False
    scope._host = scope._reason = scope._reached = scope._stopping = None
    if cleanup is not None:
        give(scope, cleanup)
    return scope


def move_on_at(
    deadline: float | None, shield: bool = False, *, cleanup: float | None = None
) -> CancelScope:
    """Make a scope that is cancelled at `deadline`, and then goes on after its block.

    :param deadline: a time by `current_time()`, in seconds, or None for no deadline
    :param shield: whether cancellation from outside is kept out of the block
    :param cleanup: seconds that a task has for its clean-up once it is cancelled: see `CancelScope`
    :return: the scope, to be used in a with-statement
    """
    deadline = inf if deadline is None else deadline
    return CancelScope(deadline=deadline, shield=shield, cleanup=cleanup)


def fail_after(
    delay: float | None,
    shield: bool = False,
    reason: str | None = None,
    *,
    cleanup: float | None = None,
) -> AbstractContextManager[CancelScope, bool | None]:
    """Make a scope whose block raises TimeoutError if it takes longer than `delay` seconds.

    The time runs from when the block is entered.

    :param delay: seconds, or None for no deadline
    :param shield: whether cancellation from outside is kept out of the block
    :param reason: the message of the TimeoutError
    :param cleanup: seconds that a task has for its clean-up once it is cancelled: see `CancelScope`
    :return: a context manager that gives the scope
    """
    scope = _fail_scope(delay, inf, shield, reason)
    if cleanup is not None:
        give(scope, cleanup)
    return scope


def fail_at(
    deadline: float | None,
    shield: bool = False,
    reason: str | None = None,
    *,
    cleanup: float | None = None,
) -> AbstractContextManager[CancelScope, bool | None]:
    """Make a scope whose block raises TimeoutError if it is not left by `deadline`.

    :param deadline: a time by `current_time()`, in seconds, or None for no deadline
    :param shield: whether cancellation from outside is kept out of the block
    :param reason: the message of the TimeoutError
    :param cleanup: seconds that a task has for its clean-up once it is cancelled: see `CancelScope`
    :return: a context manager that gives the scope
    """
    scope = _fail_scope(None, inf if deadline is None else deadline, shield, reason)
    if cleanup is not None:
        give(scope, cleanup)
    return scope


def _fail_scope(
    delay: float | None, deadline: float, shield: bool, reason: str | None
) -> FailScope:
    try:
        sound = deadline >= EARLIEST and (delay is None or delay >= EARLIEST)
    except TypeError:
        check_seconds("fail_at", "deadline", deadline)
        check_seconds("fail_after", "delay", delay)
        raise
    if not sound:
        raise ValueError("deadline must not be NaN: give a number of seconds, or None")
    scope: FailScope = FailScope()
    Scope.__init__(scope, deadline, shield)
    scope._called = False
    scope._delay = delay
    scope._message = reason
    return scope
