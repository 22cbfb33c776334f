"""asyncio's own `Task.cancel()` meets the primitives, in native tasks that Creche did not make."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import pytest

from _harness import on_asyncio
from creche import CapacityLimiter, Condition, Event, Lock, Semaphore, wait_all_tasks_blocked
from creche.lowlevel import checkpoint

pytestmark = on_asyncio

Primitive: TypeAlias = Lock | Semaphore | CapacityLimiter
MAKERS: list[Callable[[], Primitive]] = [Lock, lambda: Semaphore(1), lambda: CapacityLimiter(1)]


async def use(primitive: Primitive, got: list[str], name: str) -> None:
    async with primitive:
        got.append(name)
        await checkpoint()
        got.append(f"{name} went on")


async def cancelled(task: asyncio.Task[None]) -> bool:
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("make", MAKERS, ids=["lock", "semaphore", "limiter"])
async def test_a_native_cancel_before_the_release_passes_the_task_over(
    make: Callable[[], Primitive],
) -> None:
    primitive = make()
    got: list[str] = []
    async with primitive:
        first = asyncio.create_task(use(primitive, got, "first"))
        await wait_all_tasks_blocked()
        second = asyncio.create_task(use(primitive, got, "second"))
        await wait_all_tasks_blocked()
        first.cancel()
    assert await cancelled(first)
    assert not await cancelled(second)
    assert got == ["second", "second went on"]
    assert primitive.statistics().tasks_waiting == 0


@pytest.mark.parametrize("make", MAKERS, ids=["lock", "semaphore", "limiter"])
async def test_a_native_cancel_after_the_release_loses_nothing(
    make: Callable[[], Primitive],
) -> None:
    primitive = make()
    got: list[str] = []
    async with primitive:
        first = asyncio.create_task(use(primitive, got, "first"))
        await wait_all_tasks_blocked()
        second = asyncio.create_task(use(primitive, got, "second"))
        await wait_all_tasks_blocked()
    first.cancel()
    assert await cancelled(first)
    assert not await cancelled(second)
    assert got == ["first", "second", "second went on"]
    assert primitive.statistics().tasks_waiting == 0


async def test_a_native_cancel_while_a_condition_takes_its_lock_again_waits_for_the_lock() -> None:
    condition = Condition()
    seen: list[str] = []

    async def wait() -> None:
        async with condition:
            await condition.wait()
            seen.append("notified")
            assert condition.locked()
            await checkpoint()
            seen.append("never")

    task = asyncio.create_task(wait())
    await wait_all_tasks_blocked()
    async with condition:
        condition.notify()
        await wait_all_tasks_blocked()
        task.cancel()
        await wait_all_tasks_blocked()
        assert seen == []
    assert await cancelled(task)
    assert seen == ["notified"]
    assert not condition.locked()


async def test_a_native_task_waits_for_an_event_and_can_be_cancelled_there() -> None:
    event = Event()
    waits = asyncio.create_task(event.wait())
    goes = asyncio.create_task(event.wait())
    await wait_all_tasks_blocked()
    goes.cancel()
    assert await cancelled(goes)
    assert event.statistics().tasks_waiting == 1
    event.set()
    assert not await cancelled(waits)


async def test_a_limiter_shows_a_native_borrower_as_what_it_is() -> None:
    limiter = CapacityLimiter(1)
    seen: list[object] = []
    leave = Event()

    async def borrow() -> None:
        async with limiter:
            seen.extend(limiter.statistics().borrowers)
            await leave.wait()

    borrower = asyncio.create_task(borrow())
    await wait_all_tasks_blocked()
    assert limiter.statistics().borrowers == (borrower,)
    leave.set()
    await borrower
    assert seen == [borrower]
