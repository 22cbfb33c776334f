"""Spawn, cancel and fail for a while: the memory stays flat, and no task is left.

The test of the suite takes a second on each backend. The one marked `soak` takes
CRECHE_SOAK_SECONDS (60 unless that is set), and is run by `make soak`. Each prints the seed that
its choices came from, and CRECHE_SOAK_SEED repeats them.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import psutil
import pytest

from creche import (
    TASK_STATUS_IGNORED,
    BrokenResourceError,
    CancelScope,
    Event,
    Lock,
    TaskCancelled,
    TaskHandle,
    create_memory_object_stream,
    create_task_group,
    get_running_tasks,
    move_on_after,
    sleep,
    sleep_forever,
)
from creche.abc import TaskStatus
from creche.lowlevel import checkpoint

SHORT = 1.0  # seconds, on each backend
LONG = float(os.environ.get("CRECHE_SOAK_SECONDS", "60"))

AT_ONCE = 20  # acts in one round
BLOCKS = 5000  # of some ten thousand tasks or more; heaps with lazy deletion swing by that much
BYTES = 16 * 2**20


class Failure(Exception):
    pass


# ── The acts: each starts tasks, disturbs them, and is over when all have ended ──────────────────


async def finish(choose: random.Random) -> None:
    async def work(steps: int) -> int:
        for _ in range(steps):
            await checkpoint()
        return steps

    plan = [choose.randrange(4) for _ in range(8)]
    async with create_task_group() as tg:
        handles = [tg.start_soon(work, steps) for steps in plan]
    assert [handle.return_value for handle in handles] == plan


async def cancel_the_group(choose: random.Random) -> None:
    async with create_task_group() as tg:
        for _ in range(8):
            tg.start_soon(sleep_forever)
        for _ in range(choose.randrange(3)):
            await checkpoint()
        tg.cancel()


async def cancel_some_tasks(choose: random.Random) -> None:
    gate = Event()
    async with create_task_group() as tg:
        handles = [tg.start_soon(gate.wait) for _ in range(8)]
        chosen = choose.sample(handles, 4)
        for _ in range(choose.randrange(3)):
            await checkpoint()
        for handle in chosen:
            handle.cancel()
        with pytest.raises(TaskCancelled):
            await chosen[0]
        gate.set()
    states = [handle.status for handle in handles]
    assert states.count(TaskHandle.Status.CANCELLED) == 4
    assert states.count(TaskHandle.Status.FINISHED) == 4


async def time_out(choose: random.Random) -> None:
    with move_on_after(choose.choice([0, 0.0005, 0.002])) as scope:
        async with create_task_group() as tg:
            for _ in range(4):
                tg.start_soon(sleep, 60)
    assert scope.cancelled_caught


async def fail(choose: random.Random) -> None:
    async def fail_later(steps: int) -> None:
        for _ in range(steps):
            await checkpoint()
        raise Failure

    with pytest.raises(ExceptionGroup) as caught:
        async with create_task_group() as tg:
            for _ in range(4):
                tg.start_soon(sleep_forever)
                tg.start_soon(fail_later, choose.randrange(3))
    assert {type(exc) for exc in caught.value.exceptions} == {Failure}


async def fail_in_a_group_below(choose: random.Random) -> None:
    async def nested() -> None:
        async with create_task_group() as tg:
            tg.start_soon(sleep_forever)
            await checkpoint()
            raise Failure

    with pytest.raises(ExceptionGroup):
        async with create_task_group() as tg:
            tg.start_soon(nested)
            tg.start_soon(cancel_the_group, choose)


async def start_services(choose: random.Random) -> None:
    async def service(*, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
        await checkpoint()
        task_status.started(1)
        await sleep_forever()

    async def broken(*, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
        await checkpoint()
        raise Failure

    async def stuck(*, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
        await sleep_forever()

    async with create_task_group() as tg:
        assert await tg.start(service) == 1
        with pytest.raises(Failure):
            await tg.start(broken)
        with move_on_after(choose.choice([0, 0.001])):
            await tg.start(stuck)
        tg.cancel()


async def clean_up_under_a_shield(choose: random.Random) -> None:
    cleaned = 0

    async def child(steps: int) -> None:
        nonlocal cleaned
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                for _ in range(steps):
                    await checkpoint()
            cleaned += 1

    async with create_task_group() as tg:
        for _ in range(4):
            tg.start_soon(child, choose.randrange(3))
        await checkpoint()
        tg.cancel()
    assert cleaned == 4


async def fight_for_a_lock(choose: random.Random) -> None:
    lock = Lock()

    async def hold(steps: int) -> None:
        async with lock:
            for _ in range(steps):
                await checkpoint()

    async with create_task_group() as tg:
        handles = [tg.start_soon(hold, choose.randrange(3)) for _ in range(8)]
        await checkpoint()
        for handle in choose.sample(handles, 4):
            handle.cancel()
    assert not lock.locked()
    assert lock.statistics().tasks_waiting == 0


async def talk_until_cancelled(choose: random.Random) -> None:
    send, receive = create_memory_object_stream[int](choose.randrange(3))
    enough = choose.randrange(20)
    got: list[int] = []

    async def produce() -> None:
        with send:
            try:
                for number in range(1000):
                    await send.send(number)
            except BrokenResourceError:
                pass

    async def consume() -> None:
        with receive:
            async for number in receive:
                got.append(number)
                if len(got) >= enough:
                    break

    async with create_task_group() as tg:
        producer = tg.start_soon(produce)
        tg.start_soon(consume)
        if choose.random() < 0.5:
            await checkpoint()
            producer.cancel()
    assert got == list(range(len(got)))


ACTS: list[Callable[[random.Random], Coroutine[Any, Any, None]]] = [
    finish,
    cancel_the_group,
    cancel_some_tasks,
    time_out,
    fail,
    fail_in_a_group_below,
    start_services,
    clean_up_under_a_shield,
    fight_for_a_lock,
    talk_until_cancelled,
]


# ── The soak ─────────────────────────────────────────────────────────────────────────────────────


def memory() -> tuple[int, int]:
    """Return what is allocated now: blocks of the interpreter, and bytes of the process."""
    gc.collect()
    return sys.getallocatedblocks(), psutil.Process().memory_info().rss


async def rounds(choose: random.Random, seconds: float, least: int) -> None:
    """Do rounds of acts for some time, and see each time that no task is left."""
    tasks = len(get_running_tasks())
    end = time.monotonic() + seconds
    while time.monotonic() < end or least > 0:
        least -= 1
        async with create_task_group() as tg:
            for act in choose.choices(ACTS, k=AT_ONCE):
                tg.start_soon(act, choose)
        assert len(get_running_tasks()) == tasks


async def soak(seconds: float) -> None:
    seed = int(os.environ.get("CRECHE_SOAK_SEED", random.SystemRandom().randrange(2**32)))
    print(f"CRECHE_SOAK_SEED={seed}")
    choose = random.Random(seed)
    await rounds(choose, seconds / 4, 20)  # until every cache and pool has what it will have
    blocks, size = memory()
    await rounds(choose, seconds * 3 / 4, 20)
    blocks_after, size_after = memory()
    assert blocks_after - blocks < BLOCKS
    assert size_after - size < BYTES


async def test_a_second_of_spawn_cancel_and_fail_leaves_nothing_behind() -> None:
    await soak(SHORT)


@pytest.mark.soak
@pytest.mark.time_limit(LONG + 60)
async def test_a_minute_of_spawn_cancel_and_fail_leaves_nothing_behind() -> None:
    await soak(LONG)
