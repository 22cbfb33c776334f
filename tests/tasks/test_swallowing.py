"""The warning about swallowed cancellations accuses the program, and nobody else."""

from __future__ import annotations

import asyncio
import logging

import pytest

from _harness import on_asyncio
from creche import CancelScope, create_task_group, wait_all_tasks_blocked

pytestmark = on_asyncio

WARNING = "swallowed 10 cancellations"


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if WARNING in record.getMessage()]


async def takes_its_time() -> None:
    try:
        await asyncio.sleep(30)
    finally:
        for _ in range(30):
            try:
                await asyncio.sleep(0.003)
            except asyncio.CancelledError:  # What the group of asyncio does, not our scope.
                pass


async def test_a_task_group_of_asyncio_whose_child_cleans_up_is_not_accused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def with_asyncio() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(takes_its_time())

    with caplog.at_level(logging.WARNING, "creche"):
        async with create_task_group() as tg:
            tg.start_soon(with_asyncio)
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
    assert warned(caplog) == []


async def test_a_condition_of_asyncio_whose_lock_is_held_is_not_accused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    condition = asyncio.Condition()

    async def waits() -> None:
        async with condition:
            await condition.wait()

    async def holds(scope: CancelScope) -> None:
        async with condition:
            scope.cancel()
            await asyncio.sleep(0.1)

    with caplog.at_level(logging.WARNING, "creche"):
        async with create_task_group() as outer:
            with CancelScope() as scope:
                async with create_task_group() as tg:
                    tg.start_soon(waits)
                    await wait_all_tasks_blocked()
                    outer.start_soon(holds, scope)
    assert warned(caplog) == []


async def test_a_program_that_swallows_is_told_where(caplog: pytest.LogCaptureFixture) -> None:
    async def swallows() -> None:
        for _ in range(14):
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                pass

    line = swallows.__code__.co_firstlineno + 3
    with caplog.at_level(logging.WARNING, "creche"):
        async with create_task_group() as tg:
            tg.start_soon(swallows, name="the swallower")
            await wait_all_tasks_blocked()
            tg.cancel_scope.cancel()
    (text,) = warned(caplog)
    assert "'the swallower'" in text
    assert f"{__file__}:{line}:" in text
