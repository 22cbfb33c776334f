"""A holder that ended without releasing: what statistics say of it, and those who wait hear."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from _harness import on_asyncio
from creche import (
    BrokenResourceError,
    CapacityLimiter,
    Condition,
    Event,
    Lock,
    WouldBlock,
    create_task_group,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.flow import select
from creche.lowlevel import checkpoint


async def test_statistics_survive_a_holder_that_ended() -> None:
    lock = Lock()
    limiter = CapacityLimiter(2)
    async with create_task_group() as group:
        group.start_soon(lock.acquire)
        group.start_soon(limiter.acquire)
    for _ in range(2):
        assert lock.statistics().locked
        repr(lock)
        assert len(limiter.statistics().borrowers) == 1
        gc.collect()


@on_asyncio
async def test_statistics_survive_a_native_holder_that_ended() -> None:
    lock = Lock()
    limiter = CapacityLimiter(2)
    acquiring = [asyncio.create_task(lock.acquire()), asyncio.create_task(limiter.acquire())]
    await asyncio.wait(acquiring)
    del acquiring
    gc.collect()
    assert lock.statistics().locked
    repr(lock)
    assert len(limiter.statistics().borrowers) == 1


# Those who wait for a lock whose holder has ended


async def test_tasks_that_wait_for_a_lock_hear_that_its_holder_has_ended() -> None:
    lock, go, outcomes = Lock(), Event(), list[str]()

    async def holds() -> None:
        await lock.acquire()
        await go.wait()

    async def waits() -> None:
        with pytest.raises(BrokenResourceError, match="'the holder', which has ended") as raised:
            await lock.acquire()
        outcomes.append(str(raised.value))

    async with create_task_group() as group:
        group.start_soon(holds, name="the holder")
        await wait_all_tasks_blocked()
        for _ in range(3):
            group.start_soon(waits)
        await wait_all_tasks_blocked()
        go.set()
    assert len(outcomes) == 3
    assert lock.locked()


async def test_a_lock_that_is_asked_for_later_is_broken_too() -> None:
    lock = Lock()
    async with create_task_group() as group:
        group.start_soon(lock.acquire, name="the holder")
    for _ in range(2):
        with pytest.raises(BrokenResourceError, match="'the holder', which has ended"):
            await lock.acquire()
    with pytest.raises(WouldBlock):
        lock.acquire_nowait()
    with pytest.raises(RuntimeError, match="not holding this lock"):
        lock.release()


async def test_the_second_holder_of_a_lock_breaks_it_for_those_behind() -> None:
    lock, log = Lock(), list[str]()

    async def first() -> None:
        async with lock:
            await wait_all_tasks_blocked()

    async def second() -> None:
        await lock.acquire()
        await checkpoint()
        log.append("ended as the holder")

    async def third() -> None:
        with pytest.raises(BrokenResourceError):
            await lock.acquire()
        log.append("broken")

    async with create_task_group() as group:
        group.start_soon(first)
        await checkpoint()
        group.start_soon(second)
        await checkpoint()
        group.start_soon(third)
    assert log == ["ended as the holder", "broken"]


async def test_a_holder_that_fails_or_is_cancelled_breaks_the_lock_as_well() -> None:
    async def fails() -> None:
        raise ValueError("as the holder")

    for ending in (fails, sleep_forever):
        lock = Lock()

        async def holds(lock: Lock = lock, ending: Callable[[], Any] = ending) -> None:
            await lock.acquire()
            await wait_all_tasks_blocked()
            with suppress(ValueError):
                await ending()

        async with create_task_group() as group:
            handle = group.start_soon(holds)
            await checkpoint()
            waiting = group.start_soon(acquires_a_broken_one, lock)
            await wait_all_tasks_blocked()
            handle.cancel()
        assert waiting.return_value == "broken"


async def acquires_a_broken_one(lock: Lock) -> str:
    try:
        await lock.acquire()
    except BrokenResourceError:
        return "broken"
    return "acquired"


async def test_a_condition_whose_lock_is_broken_does_not_hold_it_after_the_wait() -> None:
    lock = Lock()
    condition, log = Condition(lock), list[str]()

    async def waits() -> None:
        await condition.acquire()
        with pytest.raises(BrokenResourceError):
            await condition.wait()
        with pytest.raises(RuntimeError):
            condition.release()
        log.append("broken")

    async def notifies_and_ends() -> None:
        await condition.acquire()
        condition.notify()

    async with create_task_group() as group:
        group.start_soon(waits)
        await wait_all_tasks_blocked()
        group.start_soon(notifies_and_ends)
    assert log == ["broken"]


async def test_a_task_that_held_many_locks_keeps_none_of_them_alive() -> None:
    kept: list[weakref.ref[Lock]] = []

    async def waits(lock: Lock) -> None:
        async with lock:
            pass

    lock = Lock()
    async with create_task_group() as group:
        for _ in range(300):
            lock = Lock()
            kept.append(weakref.ref(lock))
            await lock.acquire()
            group.start_soon(waits, lock)
            await checkpoint()
            lock.release()
            await checkpoint()
        del lock
        await wait_all_tasks_blocked()
        assert sum(ref() is not None for ref in kept) < 100


@on_asyncio
async def test_a_native_holder_that_ends_breaks_the_lock_too() -> None:
    lock = Lock()

    async def holds() -> None:
        await lock.acquire()
        await asyncio.sleep(0.01)

    native = asyncio.create_task(holds())
    await asyncio.sleep(0)
    assert await acquires_a_broken_one(lock) == "broken"
    await native
    assert await acquires_a_broken_one(lock) == "broken"


async def test_who_selects_hears_that_the_holder_of_a_lock_has_ended() -> None:
    lock, go, outcomes = Lock(), Event(), list[str]()

    async def hold() -> None:
        await lock.acquire()
        await go.wait()

    async def choose() -> None:
        with pytest.raises(BrokenResourceError, match="has ended without releasing it"):
            await select(lock.acquiring(), Event().waiting())
        outcomes.append("broken")

    async with create_task_group() as group:
        group.start_soon(hold)
        await wait_all_tasks_blocked()
        group.start_soon(choose)
        await wait_all_tasks_blocked()
        assert outcomes == []
        go.set()
    await choose()
    assert outcomes == ["broken"] * 2
