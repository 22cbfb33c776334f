"""Time for clean-ups where asyncio's own parts wait: tasks, gather, timeouts, foreign tasks.

On asyncio `Task.cancel()` raises nothing yet where a task waits for another one, which may refuse.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from _harness import on_asyncio
from _harness._backends import FAMILIES
from creche import (
    CancelScope,
    create_task_group,
    current_time,
    fail_after,
    move_on_after,
    sleep,
    sleep_forever,
    to_thread,
)


@pytest.mark.backends(*FAMILIES["asyncio"], *FAMILIES["trio"])
async def test_many_tasks_clean_up_at_once() -> None:
    cleaned: list[int] = []

    async def work(number: int) -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(0.01)
            cleaned.append(number)

    async with create_task_group(cleanup=5) as group:
        for number in range(100):
            group.start_soon(work, number)
        await sleep(0.01)
        group.cancel_scope.cancel()
    assert sorted(cleaned) == list(range(100))


async def test_a_thread_that_cannot_be_interrupted_is_waited_for_and_then_cleaned_up_after() -> (
    None
):
    begun = current_time()
    with move_on_after(0.05, cleanup=5) as scope:
        try:
            await to_thread.run_sync(lambda: __import__("time").sleep(0.2))
            await sleep(5)
        finally:
            await sleep(0.05)
            assert current_time() - begun < 2
    assert scope.cancelled_caught


@on_asyncio
async def test_the_count_of_cancels_is_above_nothing_in_a_clean_up_and_nothing_after() -> None:
    task = asyncio.current_task()
    assert task is not None
    with move_on_after(0.01, cleanup=5):
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            assert task.cancelling() > 0
            await asyncio.sleep(0.01)
            raise
    assert task.cancelling() == 0
    with CancelScope(cleanup=5) as scope:
        scope.cancel()
        try:
            await sleep(5)
        except asyncio.CancelledError:
            assert task.cancelling() > 0
            raise
    assert task.cancelling() == 0


@on_asyncio
async def test_asyncio_timeouts_and_groups_work_in_a_clean_up() -> None:
    with move_on_after(0.01, cleanup=5) as scope:
        try:
            await asyncio.sleep(5)
        finally:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.sleep(5)
            async with asyncio.TaskGroup() as group:
                child = group.create_task(asyncio.sleep(0.01, "slept"))
            assert child.result() == "slept"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)
            await asyncio.gather(asyncio.sleep(0.01), asyncio.sleep(0.01))
    assert scope.cancelled_caught


@on_asyncio
@pytest.mark.parametrize("gathered", [False, True])
async def test_the_time_begins_when_the_task_that_is_waited_for_has_ended(gathered: bool) -> None:
    async def slow() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(0.2)

    inner = asyncio.create_task(slow())
    await asyncio.sleep(0)
    cleaned = False
    with move_on_after(0.01, cleanup=0.15) as scope:
        try:
            await (asyncio.gather(inner, asyncio.sleep(5)) if gathered else inner)
        finally:
            await asyncio.sleep(0.05)
            cleaned = True
    with pytest.raises(asyncio.CancelledError):
        await inner
    assert cleaned
    assert scope.cancelled_caught


@on_asyncio
@pytest.mark.parametrize("raises", [False, True])
async def test_a_cancel_that_was_swallowed_by_another_task_gives_no_time(raises: bool) -> None:
    async def refusing() -> None:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            if raises:
                raise ValueError from None

    inner = asyncio.create_task(refusing())
    await asyncio.sleep(0)
    begun = current_time()
    with move_on_after(0.01, cleanup=5) as scope:
        if raises:
            with pytest.raises(ValueError):
                await inner
        else:
            await inner
        try:
            await sleep(5)
        finally:
            assert current_time() - begun < 1
            await asyncio.sleep(0.01)
    assert scope.cancelled_caught
    assert current_time() - begun < 1


@on_asyncio
async def test_a_foreign_task_has_time_in_the_scopes_that_it_has_entered() -> None:
    async def foreign() -> str:
        with move_on_after(0.01, cleanup=5):
            try:
                await asyncio.sleep(5)
            finally:
                await asyncio.sleep(0.01)
                await sleep(0.01)
        return "cleaned"

    assert await asyncio.create_task(foreign()) == "cleaned"


@on_asyncio
async def test_a_native_cancel_interrupts_a_clean_up() -> None:
    interrupted = False

    async def work() -> None:
        nonlocal interrupted
        try:
            await sleep_forever()
        finally:
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                interrupted = True
                raise

    tasks: list[Any] = []

    async def noted() -> None:
        tasks.append(asyncio.current_task())
        await work()

    async with create_task_group(cleanup=5) as group:
        group.start_soon(noted)
        await sleep(0.01)
        group.cancel_scope.cancel()
        with CancelScope(shield=True):
            await sleep(0.01)
        tasks[0].cancel()
    assert interrupted


@on_asyncio
async def test_an_ended_task_leaves_no_timer_and_no_cycle() -> None:
    async def work() -> None:
        try:
            await sleep_forever()
        finally:
            await sleep(0)

    async def failing() -> None:
        try:
            await work()
        except asyncio.CancelledError:
            raise ValueError from None

    kernel: Any = __import__("creche._kernel", fromlist=["x"]).current_kernel()
    gc.collect()
    with pytest.raises(ExceptionGroup):
        async with create_task_group(cleanup=1000) as group:
            group.start_soon(work)
            group.start_soon(failing)
            await sleep(0.01)
            group.cancel_scope.cancel()
    assert not kernel.cleanups.shields


async def test_a_clean_up_that_was_cut_off_still_ends_in_a_timeout() -> None:
    with pytest.raises(TimeoutError), fail_after(0.01, cleanup=0.01):
        try:
            await sleep_forever()
        finally:
            await sleep_forever()
