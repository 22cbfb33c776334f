"""The lints that look at the program's objects: streams, scopes, and the tasks of other libraries.

Owns these rules. They search little, and not for longer than `PATIENCE`: what cannot be made sure of is no lint.
"""

# Scopes and streams keep to themselves what they know.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from itertools import islice
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, cast

from .._labels import in_library
from ..streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from .lints import FULL
from .model import Lint, Place, Task
from .text import duration
from .waits import Found, thread_time

if TYPE_CHECKING:
    from .._kernel.contract import Kernel

PATIENCE = 0.02
"""Seconds of processor time that one lint may search."""
OLD = 5.0
"""Seconds that a task of another library may be without an owner: it may be about to get one."""
_PARTS = 50
"""Parts of an object that are looked at."""


def full_streams(pairs: Sequence[tuple[Found, Task]]) -> Iterator[Lint]:
    """`full-stream`: a task waits to send, and no task is left that could receive."""
    for found, task in pairs:
        stream = found.primitive
        if (
            not isinstance(stream, MemoryObjectSendStream)
            or task.since is None
            or task.since < FULL
        ):
            continue
        if _has_receiver(stream._state, pairs) is False:
            text = (
                f"{task.name} has waited for {duration(task.since)} to send, and no task is left "
                f"that could receive"
            )
            yield Lint("full-stream", text, task.id, task.place, task.since)


def _has_receiver(state: Any, pairs: Sequence[tuple[Found, Task]]) -> bool | None:
    """Tell whether a task that could still receive has a receiving end; None if that takes too long."""
    until = thread_time() + PATIENCE
    for found, task in pairs:
        if task.wait is not None and task.wait.tasks:
            continue  # It is at the end of a group: it will receive nothing before that is over.
        for frame in found.frames:
            for value in list(frame.f_locals.values()):
                if _holds(value, state, 3):
                    return True
        if thread_time() > until:
            return None
    return False


def _holds(value: Any, state: Any, depth: int) -> bool:
    if isinstance(value, MemoryObjectReceiveStream):
        return value._state is state
    if depth == 0:
        return False
    parts: list[Any] = []
    for held in (value, getattr(value, "__dict__", None)):
        if isinstance(held, dict):
            parts = list(held.values())  # pyright: ignore[reportUnknownArgumentType]  # of anything
            break
        if isinstance(held, list | tuple | set | frozenset):
            parts = list(cast("list[Any]", held))
            break
    return any(_holds(part, state, depth - 1) for part in islice(parts, _PARTS))


def open_scopes(kernel: Kernel, pairs: Sequence[tuple[Found, Task]]) -> Iterator[Lint]:
    """`open-scope`: a scope is still around a task, and the generator that entered it was left alone."""
    for found, task in pairs:
        state: Any = kernel.task_of(found.record.native)
        scope = None if state is None else state.scope
        while scope is not None and scope._host is state:
            if scope._entered == "lost" or _is_abandoned(scope._code, found.record.coro):
                text = f"a scope is still open around {task.name}: the generator that entered it was abandoned"
                code = scope._code
                place = Place(code.co_filename, code.co_firstlineno, code.co_qualname)
                yield Lint("open-scope", text, task.id, place, None)
            scope = scope._parent


def _is_abandoned(code: Any, coro: Any) -> bool:
    """Tell whether an async generator with this code is in a variable of a task, and nothing iterates it.

    What iterates it refers to it once more, from among its intermediate values.
    """
    if not code.co_flags & _ASYNC_GENERATOR:
        return False
    for _ in range(1000):
        frame = getattr(coro, "cr_frame", None)
        if frame is None:
            return False
        # What a library keeps it also goes on with, such as the task of a safe stream.
        variables: list[Any] = [] if in_library(frame) else list(frame.f_locals.values())
        for value in variables:
            if isinstance(value, AsyncGeneratorType) and value.ag_code is code:
                alive = value.ag_frame is not None and not value.ag_running
                uses = sum(thing is value for thing in gc.get_referents(coro))
                if alive and uses == 1:
                    return True
        coro = coro.cr_await
    return False


_ASYNC_GENERATOR = 0x200


def unowned(kernel: Kernel, pairs: Sequence[tuple[Found, Task]]) -> Iterator[Lint]:
    """`unowned`: a task that other code has made, and that nothing refers to but what it waits for itself."""
    for found, task in pairs:
        old = task.kind == "native" and task.age is not None and task.age >= OLD
        if old and not kernel.is_owned(found.record):
            text = (
                f"nothing refers to the native task {task.name}, which may vanish in the middle of its "
                f"work"
            )
            yield Lint("unowned", text, task.id, task.place, task.age)
