"""A cancel that cannot land burns no processor time, and the task that refuses it is named.

The bounds here are generous, for machines that do other things as well; the tight figure belongs
to the benchmarks.
"""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from contextlib import suppress

import pytest

from _harness import Laggard, cpu_time, on_asyncio
from creche import (
    CancelScope,
    Event,
    create_task_group,
    current_time,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)

WALL = 0.3
CPU_AT_MOST = 0.1


async def test_children_that_clean_up_behind_a_shield_burn_no_cpu_when_cancelled() -> None:
    release = Event()

    async def child() -> None:
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                await release.wait()

    async def timer() -> None:
        with CancelScope(shield=True):
            await sleep(WALL)
            release.set()

    with cpu_time() as spent:
        async with create_task_group() as tg:
            for _ in range(50):
                tg.start_soon(child)
            tg.start_soon(timer)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
    assert spent.wall >= WALL * 0.9
    assert spent.cpu <= CPU_AT_MOST


async def test_a_host_that_waits_behind_a_shield_burns_no_cpu_when_cancelled() -> None:
    with cpu_time() as spent, CancelScope() as scope:
        scope.cancel()
        with CancelScope(shield=True):
            await sleep(WALL)
    assert spent.wall >= WALL * 0.9
    assert spent.cpu <= CPU_AT_MOST


@on_asyncio
async def test_a_child_that_awaits_a_subtask_deaf_to_cancellation_burns_no_cpu() -> None:
    loop = asyncio.get_running_loop()
    release = loop.create_future()

    async def deaf() -> None:
        while not release.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(release)

    async def child() -> None:
        await asyncio.create_task(deaf())

    with cpu_time() as spent:
        async with create_task_group() as tg:
            tg.start_soon(child)
            await wait_all_tasks_blocked()
            loop.call_later(WALL, release.set_result, None)
            tg.cancel_scope.cancel()
    assert spent.wall >= WALL * 0.9
    assert spent.cpu <= CPU_AT_MOST


@on_asyncio
async def test_a_host_that_awaits_a_subtask_deaf_to_cancellation_burns_no_cpu() -> None:
    loop = asyncio.get_running_loop()
    release = loop.create_future()

    async def deaf() -> None:
        while not release.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(release)

    subtask = asyncio.create_task(deaf())
    with cpu_time() as spent, CancelScope() as scope:
        loop.call_later(WALL, release.set_result, None)
        scope.cancel()
        await subtask
    assert spent.wall >= WALL * 0.9
    assert spent.cpu <= CPU_AT_MOST
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@on_asyncio
async def test_a_future_that_refuses_to_be_cancelled_burns_no_cpu() -> None:
    loop = asyncio.get_running_loop()
    laggard = Laggard(loop=loop)

    async def child() -> None:
        await laggard

    with cpu_time() as spent:
        async with create_task_group() as tg:
            tg.start_soon(child)
            await wait_all_tasks_blocked()
            loop.call_later(WALL, laggard.set_result, None)
            tg.cancel_scope.cancel()
    assert spent.wall >= WALL * 0.9
    assert spent.cpu <= CPU_AT_MOST


@on_asyncio
@pytest.mark.filterwarnings("ignore")  # that it warns is the next test's matter
async def test_a_condition_whose_lock_is_held_elsewhere_burns_no_cpu() -> None:
    loop = asyncio.get_running_loop()
    condition = asyncio.Condition()

    async def child() -> None:
        async with condition:
            await condition.wait()

    with cpu_time() as spent:
        async with create_task_group() as tg:
            tg.start_soon(child)
            await wait_all_tasks_blocked()
            await condition.acquire()
            loop.call_later(WALL, condition.release)
            tg.cancel_scope.cancel()
    assert spent.wall >= WALL * 0.9
    assert spent.cpu <= CPU_AT_MOST
    assert not condition.locked()


@on_asyncio
async def test_a_task_that_refuses_cancellation_is_named_once_with_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()

    async def child() -> None:
        end = loop.time() + WALL
        while loop.time() < end:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(WALL)

    with (
        warnings.catch_warnings(record=True) as warned,
        caplog.at_level(logging.WARNING),
    ):
        warnings.simplefilter("always")
        async with create_task_group() as tg:
            tg.start_soon(child, name="the one that will not go")
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
    heard = [str(warning.message) for warning in warned] + caplog.messages
    naming = [text for text in heard if "the one that will not go" in text]
    assert len(naming) == 1, heard
    assert re.search(r"\.py\D{1,10}\d+", naming[0]), "no file and line"


@on_asyncio
async def test_a_refused_cancel_lands_soon_after_the_task_can_be_cancelled() -> None:
    """Deliveries back off, but not for good: what waits next is cancelled within a moment."""
    loop = asyncio.get_running_loop()
    release = loop.create_future()
    refused = 0

    async def child() -> None:
        nonlocal refused
        while not release.done():
            try:
                await asyncio.shield(release)
            except asyncio.CancelledError:
                refused += 1
        await sleep_forever()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with cpu_time() as spent:
            async with create_task_group() as tg:
                tg.start_soon(child)
                await wait_all_tasks_blocked()
                loop.call_later(WALL, release.set_result, None)
                before = current_time()
                tg.cancel_scope.cancel()
    assert refused > 1
    assert spent.cpu <= CPU_AT_MOST
    assert current_time() - before < WALL + 2
