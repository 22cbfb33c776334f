"""`gather`, `amap` and `as_completed` on every backend: order, failure, leaving early."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from creche import (
    CancelScope,
    Event,
    TaskHandle,
    amap,
    as_completed,
    gather,
    get_running_tasks,
    sleep_forever,
)
from creche.lowlevel import checkpoint


async def after(passes: int, value: Any) -> Any:
    """Return `value`, or raise it, after some checkpoints."""
    for _ in range(passes):
        await checkpoint()
    if isinstance(value, Exception):
        raise value
    return value


async def until_cancelled(log: list[str]) -> None:
    try:
        await sleep_forever()
    finally:
        log.append("cancelled")


# gather


async def test_gather_returns_the_results_in_the_order_of_its_arguments() -> None:
    assert await gather(after(3, "a"), after(1, "b"), after(2, "c")) == ("a", "b", "c")


async def test_gather_of_nothing_is_an_empty_tuple() -> None:
    assert await gather() == ()


async def test_gather_runs_its_coroutines_at_the_same_time() -> None:
    event = Event()

    async def wait() -> str:
        await event.wait()
        return "waited"

    async def set_it() -> None:
        event.set()

    assert await gather(wait(), set_it()) == ("waited", None)


async def test_a_failure_in_gather_cancels_the_others_and_comes_out_in_a_group() -> None:
    log: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        await gather(until_cancelled(log), after(1, ValueError("no")))
    assert [str(exc) for exc in caught.value.exceptions] == ["no"]
    assert log == ["cancelled"]


async def test_gather_refuses_what_is_not_a_coroutine_and_leaves_none_unawaited() -> None:
    wrong: Any = 3
    with pytest.raises(ExceptionGroup) as caught:
        await gather(after(1, "a"), wrong, after(1, "b"))
    (error,) = caught.value.exceptions
    assert isinstance(error, TypeError) and "expected a coroutine, got int" in str(error)


async def test_gather_in_a_cancelled_scope_cancels_its_coroutines() -> None:
    log: list[str] = []
    with CancelScope() as scope:
        scope.cancel()
        await gather(until_cancelled(log), until_cancelled(log))
    assert scope.cancelled_caught
    assert log == ["cancelled"] * 2


# amap


async def test_amap_returns_the_results_in_the_order_of_the_arguments() -> None:
    async def double(number: int) -> int:
        await after(5 - number, None)
        return number * 2

    assert await amap(double, (number for number in range(5))) == [0, 2, 4, 6, 8]


async def test_amap_of_nothing_is_an_empty_list() -> None:
    assert await amap(checkpoint_of, []) == []


async def checkpoint_of(_: object) -> None:
    await checkpoint()


async def test_a_failure_in_amap_cancels_the_others_and_comes_out_in_a_group() -> None:
    log: list[str] = []

    async def call(number: int) -> None:
        await (after(1, ValueError(f"no {number}")) if number == 2 else until_cancelled(log))

    with pytest.raises(ExceptionGroup) as caught:
        await amap(call, range(4))
    assert [str(exc) for exc in caught.value.exceptions] == ["no 2"]
    assert log == ["cancelled"] * 3


async def test_amap_of_a_plain_function_says_so() -> None:
    wrong: Any = abs
    with pytest.raises(ExceptionGroup) as caught:
        await amap(wrong, [1])
    assert "to return a coroutine" in str(caught.value.exceptions[0])


# as_completed


class Later:
    """Awaitable, but not a coroutine."""

    def __await__(self) -> Generator[Any, Any, str]:
        yield from checkpoint().__await__()
        return "later"


async def test_handles_come_as_their_tasks_end() -> None:
    async with as_completed(after(9, "slow"), Later(), after(4, "fast")) as results:
        seen = [(handle.return_value, handle.status.name) async for handle in results]
    assert seen == [("later", "FINISHED"), ("fast", "FINISHED"), ("slow", "FINISHED")]


async def test_the_tasks_have_the_names_of_what_they_await() -> None:
    async with as_completed(after(2, None), Later()) as results:
        names = {task.name for task in get_running_tasks()}
        assert {f"{__name__}.after", f"{__name__}.Later"} <= names
        assert {handle.name async for handle in results} <= names


async def test_as_completed_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one awaitable"):
        async with as_completed():
            pass


async def test_a_failed_task_is_handed_out_and_its_error_leaves_the_block() -> None:
    log: list[str] = []
    handles: list[TaskHandle[Any]] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with as_completed(until_cancelled(log), after(1, ValueError("no"))) as results:
            with CancelScope(shield=True):
                handles.append(await results.receive())
            await sleep_forever()
    assert [str(exc) for exc in caught.value.exceptions] == ["no"]
    assert handles[0].status.name == "FAILED"
    assert str(handles[0].exception) == "no"
    assert log == ["cancelled"]


async def test_leaving_the_block_early_cancels_the_rest() -> None:
    log: list[str] = []
    async with as_completed(after(1, "first"), until_cancelled(log)) as results:
        async for handle in results:
            assert handle.return_value == "first"
            break
    assert log == ["cancelled"]


async def test_closing_the_stream_in_the_block_does_no_harm() -> None:
    log: list[str] = []
    async with as_completed(after(1, None), after(3, None), until_cancelled(log)) as results:
        results.close()
        await after(9, None)
    assert log == ["cancelled"]


async def test_an_error_in_the_block_cancels_the_tasks_and_comes_out_in_a_group() -> None:
    log: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with as_completed(until_cancelled(log)):
            await checkpoint()
            raise KeyError("of the block")
    assert isinstance(caught.value.exceptions[0], KeyError)
    assert log == ["cancelled"]


async def test_cancelling_the_block_cancels_the_tasks() -> None:
    log: list[str] = []
    with CancelScope() as scope:
        async with as_completed(until_cancelled(log), until_cancelled(log)) as results:
            scope.cancel()
            await results.receive()
    assert scope.cancelled_caught
    assert log == ["cancelled"] * 2
