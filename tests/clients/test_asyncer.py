"""asyncer: functions that change sides between threads and the loop, and values that come soon."""

from __future__ import annotations

import threading

import anyio
import asyncer
import pytest


def in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


async def double(number: int) -> int:
    await anyio.sleep(0)
    assert in_main_thread()
    return 2 * number


async def test_asyncify_runs_a_sync_function_in_a_thread() -> None:
    assert in_main_thread()
    assert await asyncer.asyncify(in_main_thread)() is False


async def test_syncify_runs_an_async_function_from_a_thread() -> None:
    def work() -> int:
        assert not in_main_thread()
        return asyncer.syncify(double)(21)

    assert await asyncer.asyncify(work)() == 42


async def test_syncify_without_a_loop_is_refused_or_runs_by_itself() -> None:
    def outside() -> None:
        outcomes.append(asyncer.syncify(double, raise_sync_error=False)(3))
        with pytest.raises(RuntimeError, match="worker thread"):
            asyncer.syncify(double)(3)

    async def double(number: int) -> int:
        await anyio.sleep(0)
        return 2 * number

    outcomes: list[int] = []
    thread = threading.Thread(target=outside)
    thread.start()
    await anyio.to_thread.run_sync(thread.join)
    assert outcomes == [6]


async def test_soonify_gives_values_when_the_group_has_ended() -> None:
    async with asyncer.create_task_group() as group:
        soon = [group.soonify(double)(number) for number in range(10)]
        with pytest.raises(asyncer.PendingValueException):
            _ = soon[0].value
    assert [each.value for each in soon] == [2 * number for number in range(10)]


async def test_a_failure_cancels_the_others_of_the_group() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncer.create_task_group() as group:
            group.soonify(anyio.sleep_forever)()
            group.soonify(fail)()
    assert caught.group_contains(ValueError, match="no")


def test_runnify_runs_a_program(backend: str) -> None:
    options = {"use_uvloop": True} if backend == "uvloop" else {}
    name = "asyncio" if backend == "uvloop" else backend
    assert asyncer.runnify(double, backend=name, backend_options=options)(4) == 8
