"""What the statistics of a primitive say of a holder that ended without releasing it."""

from __future__ import annotations

import asyncio
import gc

from _harness import on_asyncio
from creche import CapacityLimiter, Lock, create_task_group


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
