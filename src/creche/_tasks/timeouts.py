"""The functions that make a scope with a deadline."""

from __future__ import annotations

from contextlib import AbstractContextManager
from math import inf

from .._kernel import current_kernel
from .._kernel.cleanup import give
from .._misuse import check_seconds
from .scope import CancelScope, FailScope, RunningScope

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
        kind = CancelScope if delay < _NOTABLE else RunningScope
    except TypeError:
        check_seconds("move_on_after", "delay", delay)
        raise
    scope = kind(deadline=current_kernel().now() + delay, shield=shield)
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
    scope = FailScope(delay, inf, shield, reason)
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
    scope = FailScope(None, inf if deadline is None else deadline, shield, reason)
    if cleanup is not None:
        give(scope, cleanup)
    return scope
