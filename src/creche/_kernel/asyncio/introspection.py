"""Looking at the tasks of an asyncio loop: listing them, and waiting until all are blocked."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Generator, Iterator
from types import coroutine
from typing import Any

from ..inspection import TaskRecord
from .reach import reached
from .state import current_native
from .tasks import task_of

_QUIET_PASSES = 3
"""Passes of the loop in which no task may move: data that has arrived shows up in them."""


def tasks(loop: asyncio.AbstractEventLoop) -> Iterator[TaskRecord]:
    """Describe every task of the loop that has not ended."""
    for native in asyncio.all_tasks(loop):
        yield record(native)


def record(native: asyncio.Task[Any]) -> TaskRecord:
    """Describe a task that has not ended."""
    state = task_of(native)
    if state is not None:
        return state.info()
    return TaskRecord(id(native), None, native.get_name(), native.get_coro(), native)


def has_pending_cancellation(native: Any) -> bool:
    """Tell whether a cancellation is on its way to a task, natively or from a scope."""
    if native is None or native.done():
        return False
    if getattr(native, "_must_cancel", False):
        return True
    state = task_of(native)
    if state is not None:
        delivery = state.delivery
        if delivery is not None and delivery.deferred is not None:
            return True
        if reached(state) is not None:
            return True
    waiter = getattr(native, "_fut_waiter", None)
    return bool(waiter is not None and waiter.cancelled())


def is_blocked(native: Any) -> bool:
    """Tell whether a task waits for something that has not come yet."""
    waiter = getattr(native, "_fut_waiter", None)
    return waiter is not None and not waiter.done()


def is_owned(record: TaskRecord) -> bool:
    """Tell whether anything but itself and what it waits for refers to a task, or hears of its end.

    Nobody else has a record of it. Python may collect a task that only a future refers to, to which in turn
    nothing but the task refers.
    """
    native = record.native
    waiter = getattr(native, "_fut_waiter", None)
    if waiter is None or getattr(native, "_callbacks", None):
        return True  # The loop is about to step it, or somebody is told of its end.
    del native
    nobodys = TaskRecord(0, None, "", None, object())
    # What it waits for will wake it, and from CPython 3.14 on knows it by its call graph, too.
    told = 1 + sum(thing is record.native for thing in gc.get_referents(waiter))
    if _references(record) > _references(nobodys) + told:
        return True
    # Its own: the task has it, and what awaits it; and variables, or what else is in its coroutines.
    own = 1 + _uses(record.coro, waiter)
    nothing = (
        object()
    )  # What this function itself refers to does not count, however Python counts it.
    return sys.getrefcount(waiter) - sys.getrefcount(nothing) > own


def _references(record: TaskRecord) -> int:
    return sys.getrefcount(record.native)


def _uses(coro: Any, waiter: Any) -> int:
    """Count how often the coroutines of a task refer to what it waits for, the last one by an iterator."""
    uses = 0
    for _ in range(1000):
        inside = gc.get_referents(coro)
        uses += sum(thing is waiter for thing in inside)
        inner = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
        if inner is None or (not hasattr(inner, "cr_await") and not hasattr(inner, "gi_yieldfrom")):
            return uses + sum(thing is waiter for thing in gc.get_referents(inner))
        coro = inner
    return uses


@coroutine
def _pass() -> Generator[None, None, None]:
    yield


async def wait_all_tasks_blocked(loop: asyncio.AbstractEventLoop, watchers: set[Any]) -> None:
    """Return when every other task waits for something that has not come yet.

    Gives way once for each pass in which some task can still run, so it costs what they cost.
    `watchers` are the tasks of the loop that are in this very call: they count as blocked.
    """
    me = current_native(loop)
    watchers.add(me)
    quiet = 0
    try:
        while quiet < _QUIET_PASSES:
            await _pass()
            moving = any(
                not is_blocked(native)
                for native in asyncio.all_tasks(loop)
                if native not in watchers
            )
            quiet = 0 if moving else quiet + 1
    finally:
        watchers.discard(me)
