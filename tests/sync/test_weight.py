"""What waiting leaves behind in a primitive: nothing. Looks at the cells of the queue inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from creche import (
    CancelScope,
    CapacityLimiter,
    Condition,
    Event,
    Lock,
    Semaphore,
    create_task_group,
    wait_all_tasks_blocked,
)

MANY = 500

Wait: TypeAlias = Callable[[Any], Awaitable[object]]


async def wait_in(condition: Condition) -> None:
    async with condition:
        await condition.wait()


@pytest.mark.parametrize(
    ("primitive", "wait"),
    [
        (Event(), Event.wait),
        (Lock(), Lock.acquire),
        (Condition(), wait_in),
        (Semaphore(0), Semaphore.acquire),
        (CapacityLimiter(0), CapacityLimiter.acquire),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_cancelled_waiters_are_let_go_though_others_still_wait(
    primitive: Any, wait: Wait
) -> None:
    if isinstance(primitive, Lock):
        await primitive.acquire()
    scopes = [CancelScope() for _ in range(MANY)]

    async def waiter(scope: CancelScope) -> None:
        with scope:
            await wait(primitive)

    async with create_task_group() as group:
        for scope in scopes:
            group.start_soon(waiter, scope)
        await wait_all_tasks_blocked()
        assert len(primitive._queue) == MANY
        for scope in scopes[1:-1]:
            scope.cancel()
        await wait_all_tasks_blocked()
        assert len(primitive._queue) == 2
        assert len(primitive._queue._cells) <= 10
        group.cancel_scope.cancel()
    assert not primitive._queue._cells
    if isinstance(primitive, Lock):
        primitive.release()


async def test_a_set_event_keeps_no_waiter() -> None:
    event = Event()
    async with create_task_group() as group:
        for _ in range(10):
            group.start_soon(event.wait)
        await wait_all_tasks_blocked()
        event.set()
        assert not event._queue._cells
