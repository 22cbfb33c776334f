"""How a task begins: what is a coroutine, and what kept a child of `start()` from being ready.

Knows no event loop and no group.
"""

# Handles and groups are one thing in several files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from .handle import CANCELLED, FAILED, TaskHandle, name_of
from .scope import raise_as_is

if TYPE_CHECKING:
    from .elsewhere import ElsewhereChild
    from .group import TaskGroup


def checked_coroutine(func: Any, coro: Any) -> Any:
    """Return `coro` if it is a coroutine of another kind, such as Cython's."""
    if isinstance(coro, Coroutine):
        return coro
    raise TypeError(
        f"Expected {name_of(func)}() to return a coroutine, but the return value ({coro!r}) is "
        f"not a coroutine object"
    )


def child_elsewhere(group: TaskGroup, handle: TaskHandle[Any]) -> ElsewhereChild:
    """Return what becomes a child of a group whose loop is not this thread's."""
    from .elsewhere import ElsewhereChild  # few need it

    return ElsewhereChild(group, handle)


def inactive() -> RuntimeError:
    return RuntimeError(
        "This task group is not active; no new tasks can be started: start them inside its "
        "'async with' block"
    )


def raise_unstarted(handle: TaskHandle[Any]) -> None:
    """Raise what kept a child of `start()` from calling `started()`, bare: also a native cancel."""
    exc = handle._failure() if handle._state in (FAILED, CANCELLED) else None
    try:
        if exc is not None:
            raise_as_is(exc)
        raise RuntimeError(
            f"Child exited without calling task_status.started(): {handle.name} has to call it "
            f"once it is ready"
        )
    finally:
        del exc, handle
