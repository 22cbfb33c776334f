"""Programs with one bug each, and the same programs without it.

A bug needs one order of steps or another, and shows itself by an exception. Each correct program
is the buggy one with what fixes it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import creche

Main: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


# A lost update


async def race() -> int:
    count = 0

    async def add() -> None:
        nonlocal count
        seen = count
        await creche.lowlevel.checkpoint()
        count = seen + 1

    async with creche.create_task_group() as group:
        for _ in range(3):
            group.start_soon(add)
    return count


async def lost_update() -> None:
    assert await race() == 3


async def kept_update() -> None:
    lock, count = creche.Lock(), 0

    async def add() -> None:
        nonlocal count
        async with lock:
            seen = count
            await creche.lowlevel.checkpoint()
            count = seen + 1

    async with creche.create_task_group() as group:
        for _ in range(3):
            group.start_soon(add)
    assert count == 3


# Two locks, taken in one order here and in the other there


async def transfer(*locks: creche.Lock) -> None:
    async with AsyncExitStack() as held:
        for lock in locks:
            await held.enter_async_context(lock)
            await creche.lowlevel.checkpoint()


async def inversion() -> None:
    db, cache = creche.Lock(), creche.Lock()
    async with creche.create_task_group() as group:
        group.start_soon(transfer, db, cache)
        for _ in range(4):  # In the order of the loop the first is through before the other comes.
            await creche.lowlevel.checkpoint()
        group.start_soon(transfer, cache, db)


async def one_order() -> None:
    db, cache = creche.Lock(), creche.Lock()
    async with creche.create_task_group() as group:
        group.start_soon(transfer, db, cache)
        group.start_soon(transfer, db, cache)


# A notify that comes before the wait


async def missed_notify() -> None:
    condition, items = creche.Condition(), list[int]()

    async def consume() -> None:
        if not items:  # Looks before it has the lock: the notify may come in between.
            await creche.lowlevel.checkpoint()
            async with condition:
                await condition.wait()
        items.pop()

    await _with_producer(consume, condition, items)


async def awaited_notify() -> None:
    condition, items = creche.Condition(), list[int]()

    async def consume() -> None:
        async with condition:
            while not items:
                await condition.wait()
            items.pop()

    await _with_producer(consume, condition, items)


async def _with_producer(consume: Main, condition: creche.Condition, items: list[int]) -> None:
    async def produce() -> None:
        async with condition:
            items.append(1)
            condition.notify()

    async with creche.create_task_group() as group:
        group.start_soon(consume)
        group.start_soon(produce)


# A limiter that was free when somebody looked


async def check_then_act() -> None:
    limiter = creche.CapacityLimiter(1)

    async def use() -> None:
        if limiter.available_tokens:
            await creche.lowlevel.checkpoint()
            limiter.acquire_nowait()
            await creche.lowlevel.checkpoint()
            limiter.release()

    async with creche.create_task_group() as group:
        group.start_soon(use)
        group.start_soon(use)


async def act_at_once() -> None:
    limiter = creche.CapacityLimiter(1)

    async def use() -> None:
        if limiter.available_tokens:
            limiter.acquire_nowait()
            await creche.lowlevel.checkpoint()
            limiter.release()

    async with creche.create_task_group() as group:
        group.start_soon(use)
        group.start_soon(use)


# Three steps in a certain order, far apart


async def _far_apart(steps: int, lock: creche.Lock | None) -> None:
    """One task has to stop early, another to run for long, then the first again, for long."""
    one_did = other_did = 0
    met = False

    async def one() -> None:
        nonlocal one_did
        for _ in range(steps):
            await creche.lowlevel.checkpoint()
            one_did += 1
        assert not (met and other_did < steps + 5)

    async def other() -> None:
        nonlocal other_did, met
        for _ in range(2 * steps):
            await creche.lowlevel.checkpoint()
            other_did += 1
            if other_did == steps:
                met = 1 <= one_did < 5

    async def alone(task: Main) -> None:
        async with AsyncExitStack() as held:
            if lock is not None:
                await held.enter_async_context(lock)
            await task()

    async with creche.create_task_group() as group:
        group.start_soon(alone, one)
        group.start_soon(alone, other)


async def depth_three() -> None:
    await _far_apart(16, None)


async def depth_three_one_by_one() -> None:
    await _far_apart(16, creche.Lock())
