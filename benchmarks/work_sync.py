"""The work of the synchronisation primitives: taken alone, and handed from task to task.

The uncontended rows never wait. The hand-over row starts with the lock held and every task in
the queue, so that each acquisition in it is a hand-over.
"""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import trio

from .model import ANYIO, ASYNCIO, Library, Native, Portable, Target, TimedRow, clock

TASKS = 10


async def enter(guard: Any, n: int) -> float:
    begin = clock()
    for _ in range(n):
        async with guard:
            pass
    return clock() - begin


async def wait(event: Any, n: int) -> float:
    event.set()
    begin = clock()
    for _ in range(n):
        await event.wait()
    return clock() - begin


async def lock(lib: Library, n: int) -> float:
    return await enter(lib.Lock(), n)


async def lock_asyncio(n: int) -> float:
    return await enter(asyncio.Lock(), n)


async def lock_trio(n: int) -> float:
    return await enter(trio.Lock(), n)


async def semaphore(lib: Library, n: int) -> float:
    return await enter(lib.Semaphore(1), n)


async def semaphore_asyncio(n: int) -> float:
    return await enter(asyncio.Semaphore(1), n)


async def semaphore_trio(n: int) -> float:
    return await enter(trio.Semaphore(1), n)


async def limiter(lib: Library, n: int) -> float:
    return await enter(lib.CapacityLimiter(1), n)


async def limiter_trio(n: int) -> float:
    return await enter(trio.CapacityLimiter(1), n)


async def event_set(lib: Library, n: int) -> float:
    return await wait(lib.Event(), n)


async def event_set_asyncio(n: int) -> float:
    return await wait(asyncio.Event(), n)


async def event_set_trio(n: int) -> float:
    return await wait(trio.Event(), n)


# A contended lock: ten tasks that all want it


async def hand_over(lib: Library, n: int) -> float:
    lock = lib.Lock()
    await lock.acquire()
    async with lib.create_task_group() as group:
        for _ in range(TASKS):
            group.start_soon(enter, lock, n // TASKS)
        for _ in range(3):
            await lib.lowlevel.checkpoint()
        begin = clock()
        lock.release()
    return clock() - begin


async def hand_over_asyncio(n: int) -> float:
    lock = asyncio.Lock()
    await lock.acquire()
    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(enter(lock, n // TASKS))
        for _ in range(3):
            await asyncio.sleep(0)
        begin = clock()
        lock.release()
    return clock() - begin


async def hand_over_trio(n: int) -> float:
    lock = trio.Lock()
    await lock.acquire()
    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(enter, lock, n // TASKS)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        begin = clock()
        lock.release()
    return clock() - begin


# AnyIO can skip the yield on request; shown for information


async def lock_anyio_fast(n: int) -> float:
    return await enter(anyio.Lock(fast_acquire=True), n)


async def semaphore_anyio_fast(n: int) -> float:
    return await enter(anyio.Semaphore(1, fast_acquire=True), n)


def uncontended(
    key: str,
    title: str,
    portable: Portable,
    on_asyncio: Native,
    on_trio: Native,
    on_anyio_fast: Native | None = None,
) -> TimedRow:
    return TimedRow(
        key=key,
        title=title,
        portable=portable,
        asyncio=on_asyncio,
        trio=on_trio,
        extras={"anyio, fast_acquire": on_anyio_fast} if on_anyio_fast else {},
        targets=(Target(ASYNCIO, 2.5), Target(ANYIO, 0.25)),
        chart=("asyncio",) if key == "lock" else (),
    )


ROWS = (
    uncontended("lock", "uncontended Lock", lock, lock_asyncio, lock_trio, lock_anyio_fast),
    uncontended(
        "semaphore",
        "uncontended Semaphore",
        semaphore,
        semaphore_asyncio,
        semaphore_trio,
        semaphore_anyio_fast,
    ),
    uncontended(
        "limiter",
        "uncontended CapacityLimiter (asyncio: Semaphore)",
        limiter,
        semaphore_asyncio,
        limiter_trio,
    ),
    uncontended("event", "Event.wait when set", event_set, event_set_asyncio, event_set_trio),
    TimedRow(
        key="lock-hand-over",
        title="contended Lock, 10 tasks, per hand-over",
        portable=hand_over,
        asyncio=hand_over_asyncio,
        trio=hand_over_trio,
        batch=TASKS,
        targets=(Target(ASYNCIO, 1.3),),
        label="contended Lock, 10 tasks",
        chart=("asyncio",),
    ),
)
