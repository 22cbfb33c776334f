"""A loop that has ended is let go of."""

from __future__ import annotations

import asyncio
import gc
import weakref

import creche
from creche.lowlevel import checkpoint


async def work() -> weakref.ref[asyncio.AbstractEventLoop]:
    for _ in range(3):
        await checkpoint()
    async with creche.create_task_group() as group:
        group.start_soon(checkpoint)
    return weakref.ref(asyncio.get_running_loop())


def test_the_last_loop_of_a_thread_is_freed_when_it_has_ended() -> None:
    loops = [creche.run(work), asyncio.run(work())]
    gc.collect()
    assert [loop() for loop in loops] == [None, None]
