"""`lowlevel.run_native`: asyncio code as a native task that is cancelled once."""

from __future__ import annotations

import asyncio
from math import nan
from typing import Any

import pytest

from _harness import on_asyncio, on_trio
from creche import CancelScope, current_time, move_on_after, sleep
from creche.lowlevel import checkpoint_if_cancelled, run_native


@on_asyncio
async def test_it_returns_and_raises_what_the_function_does() -> None:
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        assert type(asyncio.current_task()) is not type(outer)
        return a + b

    async def fail() -> None:
        raise ValueError("no")

    outer = asyncio.current_task()
    assert await run_native(add, 1, 2, grace=1) == 3
    with pytest.raises(ValueError, match="no"):
        await run_native(fail, grace=1)


@on_asyncio
async def test_it_gets_exactly_one_cancel_and_is_waited_for() -> None:
    cancels = 0
    cleaned = False

    async def query() -> None:
        nonlocal cancels, cleaned
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            cancels += 1
            for _ in range(3):
                await asyncio.sleep(0.01)
            cleaned = True
            raise

    with move_on_after(0.01) as scope:
        await run_native(query, grace=5)
    assert scope.cancelled_caught
    assert (cancels, cleaned) == (1, True)


@on_asyncio
async def test_after_its_grace_it_is_cancelled_again_until_it_ends() -> None:
    cancels = 0

    async def stubborn() -> None:
        nonlocal cancels
        while cancels < 3:
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                cancels += 1
        raise asyncio.CancelledError

    begun = current_time()
    with move_on_after(0.01) as scope:
        await run_native(stubborn, grace=0.05)
    assert scope.cancelled_caught
    assert cancels == 3
    assert current_time() - begun < 3


@on_asyncio
async def test_a_value_that_comes_in_spite_of_the_cancel_is_returned() -> None:
    async def commit() -> str:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        return "committed"

    value = ""
    with move_on_after(0.01) as scope:
        value = await run_native(commit, grace=5)
        await checkpoint_if_cancelled()
    assert value == "committed"
    assert scope.cancelled_caught


@on_asyncio
async def test_nothing_is_begun_in_a_cancelled_scope() -> None:
    begun: list[int] = []

    async def begin() -> None:
        begun.append(1)

    with CancelScope() as scope:
        scope.cancel()
        await run_native(begin, grace=1)
    await sleep(0)
    assert begun == []


@on_trio
async def test_on_trio_it_says_so() -> None:
    async def nothing() -> None:
        raise AssertionError("never begun")

    with pytest.raises(RuntimeError, match="asyncio"):
        await run_native(nothing, grace=1)


@on_asyncio
@pytest.mark.parametrize(
    ("grace", "error"), [(-1, ValueError), (nan, ValueError), ("5", TypeError), (True, TypeError)]
)
async def test_a_grace_that_is_none_is_refused(grace: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="grace must be"):
        await run_native(asyncio.sleep, 0, grace=grace)
