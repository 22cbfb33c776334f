"""`lru_cache`: who runs the function when several call it at a time, and some are cancelled."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from creche import (
    CancelScope,
    Event,
    create_task_group,
    get_cancelled_exc_class,
    wait_all_tasks_blocked,
)
from creche.functools import (
    AsyncCacheInfo,
    cache,
    lru_cache,
)
from creche.lowlevel import checkpoint


async def test_callers_at_the_same_time_share_one_call() -> None:
    go = Event()
    calls: list[int] = []

    @lru_cache
    async def slow(number: int) -> object:
        calls.append(number)
        await go.wait()
        return object()

    async with create_task_group() as group:
        handles = [group.create_task(slow(1)) for _ in range(5)]
        other = group.create_task(slow(2))
        await wait_all_tasks_blocked()
        go.set()
    assert sorted(calls) == [1, 2]
    assert len({id(handle.return_value) for handle in handles}) == 1
    assert other.return_value is not handles[0].return_value
    assert slow.cache_info()[:2] == (4, 2)


async def test_callers_share_a_call_whose_result_was_evicted_at_once() -> None:
    go = Event()
    calls: list[int] = []

    @lru_cache(maxsize=1)
    async def slow(number: int) -> int:
        calls.append(number)
        await go.wait()
        return number

    async with create_task_group() as group:
        for number in (1, 1, 2, 2):
            group.start_soon(slow, number)
        await wait_all_tasks_blocked()
        go.set()
    assert sorted(calls) == [1, 2]


async def test_after_a_failure_the_next_caller_tries() -> None:
    calls: list[int] = []

    @lru_cache
    async def failing(number: int) -> int:
        calls.append(number)
        await checkpoint()
        if len(calls) < 3:
            raise ValueError(number)
        return number

    async def call() -> int | str:
        try:
            return await failing(1)
        except ValueError:
            return "failed"

    async with create_task_group() as group:
        handles = [group.create_task(call()) for _ in range(4)]
    results = [handle.return_value for handle in handles]
    assert sorted(results, key=str) == [1, 1, "failed", "failed"]
    assert len(calls) == 3


async def test_a_failed_call_leaves_nothing() -> None:
    @lru_cache
    async def failing() -> None:
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            await failing()
    assert failing.cache_info() == AsyncCacheInfo(0, 2, 128, 0, None)


async def test_when_the_runner_is_cancelled_the_next_caller_takes_over() -> None:
    go = Event()
    calls: list[str] = []

    @lru_cache
    async def slow(number: int) -> int:
        calls.append("begin")
        try:
            await go.wait()
        except get_cancelled_exc_class():
            calls.append("cancelled")
            raise
        return number

    scope = CancelScope()

    async def runner() -> None:
        with scope:
            await slow(1)

    async with create_task_group() as group:
        group.start_soon(runner)
        await wait_all_tasks_blocked()
        others = [group.create_task(slow(1)) for _ in range(2)]
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        go.set()
    assert calls == ["begin", "cancelled", "begin"]
    assert [other.return_value for other in others] == [1, 1]


async def test_a_waiting_caller_that_is_cancelled_disturbs_nobody() -> None:
    go = Event()
    calls: list[int] = []

    @lru_cache
    async def slow(number: int) -> int:
        calls.append(number)
        await go.wait()
        return number

    scope = CancelScope()

    async def impatient() -> None:
        with scope:
            await slow(1)

    async with create_task_group() as group:
        first = group.create_task(slow(1))
        await wait_all_tasks_blocked()
        group.start_soon(impatient)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        go.set()
    assert scope.cancelled_caught
    assert first.return_value == 1
    assert calls == [1]


async def test_a_function_that_waits_for_itself_is_an_error() -> None:
    @lru_cache
    async def recursive(number: int) -> int:
        return await recursive(number)

    with pytest.raises(RuntimeError, match="already held"):
        await recursive(1)


async def test_recursion_with_other_arguments_works() -> None:
    @cache
    async def fibonacci(number: int) -> int:
        return number if number < 2 else await fibonacci(number - 1) + await fibonacci(number - 2)

    assert await fibonacci(60) == 1548008755920
    assert fibonacci.cache_info().misses == 61


async def test_many_callers_and_cancels_never_run_a_key_twice_at_once() -> None:
    running: set[int] = set()

    @lru_cache(maxsize=3)
    async def exclusive(number: int) -> int:
        assert number not in running
        running.add(number)
        try:
            await checkpoint()
        finally:
            running.discard(number)
        return number

    async def caller(number: int, scope: CancelScope) -> None:
        with scope:
            call: Awaitable[int] = exclusive(number)
            assert await call == number

    scopes = [CancelScope() for _ in range(60)]
    async with create_task_group() as group:
        for place, scope in enumerate(scopes):
            group.start_soon(caller, place % 5, scope)
        for scope in scopes[::3]:
            await checkpoint()
            scope.cancel()
    assert not running
