"""`race`: who wins, what becomes of the others, and which errors come out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from _harness import cancel_at_each_checkpoint, on_asyncio
from creche import (
    CancelScope,
    TaskCancelled,
    create_task_group,
    current_time,
    get_current_task,
    move_on_after,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.flow import race
from creche.lowlevel import checkpoint
from creche.testing import assert_checkpoints, virtual_time

log: list[Any] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


async def after(seconds: float, value: str) -> str:
    await sleep(seconds)
    log.append(value)
    return value


async def fail_after(seconds: float, text: str) -> str:
    await sleep(seconds)
    raise LookupError(text)


async def fail_at_once(text: str) -> str:
    raise LookupError(text)


async def never() -> str:
    try:
        await sleep_forever()
    finally:
        log.append("cancelled")
    raise AssertionError("not reached")


@virtual_time
async def test_the_first_result_wins_and_the_others_are_cancelled() -> None:
    log.clear()
    begin = current_time()
    assert await race(after(2, "b"), after(1, "a"), never()) == "a"
    assert current_time() == begin + 1
    assert log == ["a", "cancelled"]


async def test_functions_can_race_as_well_as_coroutines() -> None:
    async def function() -> int:
        return 1

    assert await race(function) == 1
    assert await race(never, function, never()) == 1
    assert await race(lambda: after(0, "a")) == "a"


async def test_the_losers_have_ended_when_it_returns() -> None:
    async def lingers() -> str:
        try:
            await sleep_forever()
        finally:
            with CancelScope(shield=True):
                await sleep(0.01)
                log.append("clean")
        raise AssertionError("not reached")

    assert await race(lingers, after(0, "a")) == "a"
    assert log == ["a", "clean"]


async def test_a_result_may_be_none() -> None:
    async def nothing() -> None:
        await checkpoint()

    assert await race(nothing, never) is None


async def test_each_has_a_task_named_after_it() -> None:
    async def name() -> str:
        return str(get_current_task().name)

    assert (await race(name(), never())).endswith("name")


async def test_it_is_a_checkpoint_even_if_a_result_is_ready() -> None:
    async def ready() -> int:
        return 1

    with assert_checkpoints():
        await race(ready, ready)


# Errors


@virtual_time
async def test_who_fails_before_the_first_result_leaves_the_race_to_the_others() -> None:
    errors: list[Exception] = []
    assert await race(fail_after(1, "x"), after(2, "a"), on_error=errors.append) == "a"
    assert [exc.args for exc in errors] == [("x",)]
    assert await race(fail_after(1, "x"), after(2, "a")) == "a"


@virtual_time
async def test_if_all_fail_their_errors_come_out_together() -> None:
    with pytest.raises(ExceptionGroup, match="everyone in the race has failed") as caught:
        await race(fail_after(2, "b"), fail_after(1, "a"), fail_after(3, "c"))
    assert [exc.args for exc in caught.value.exceptions] == [("a",), ("b",), ("c",)]
    with pytest.raises(ExceptionGroup):
        await race(fail_after(0, "alone"))


async def test_an_error_in_the_clean_up_of_a_loser_is_raised() -> None:
    async def bad_loser() -> str:
        try:
            await sleep_forever()
        finally:
            raise LookupError("clean-up")

    with pytest.raises(ExceptionGroup, match="errors of those who have lost") as caught:
        await race(after(0.001, "a"), bad_loser())
    assert caught.group_contains(LookupError, match="clean-up")


async def test_an_error_of_on_error_ends_the_race() -> None:
    def refuse(exc: Exception) -> None:
        raise KeyError from exc

    with pytest.raises(ExceptionGroup) as caught:
        await race(fail_after(0, "x"), never(), on_error=refuse)
    assert caught.group_contains(KeyError)
    assert log == ["cancelled"]


async def test_what_is_no_exception_ends_the_race() -> None:
    class Quit(BaseException):
        pass

    async def quits() -> str:
        raise Quit

    with pytest.raises(BaseExceptionGroup) as caught:
        await race(never, quits)
    assert caught.group_contains(Quit)
    assert log == ["cancelled"]


@on_asyncio  # Trio takes the steps of a moment in any order.
async def test_if_the_first_has_a_result_at_once_the_others_do_not_begin() -> None:
    async def ready() -> int:
        return 1

    async def begins() -> int:
        log.append("begun")
        return 2

    assert await race(ready, begins, begins()) == 1
    assert log == []


async def test_if_the_first_does_not_wait_but_fails_the_others_begin() -> None:
    assert await race(fail_at_once("x"), after(0, "a"), on_error=log.append) == "a"
    assert [getattr(each, "args", each) for each in log] == [("x",), "a"]


async def test_in_a_cancelled_scope_only_the_first_begins() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await race(never, never, never())
    assert log == ["cancelled"]


@on_asyncio
async def test_one_that_is_cancelled_alone_has_failed() -> None:
    import asyncio

    async def cancels_itself() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await sleep_forever()
        return "not reached"

    assert await race(cancels_itself(), after(0.01, "a")) == "a"
    with pytest.raises(ExceptionGroup) as caught:
        await race(cancels_itself())
    assert caught.group_contains(TaskCancelled, match="cancels_itself was cancelled")


# Errors that nobody is given


@virtual_time
async def test_the_errors_of_early_losers_are_logged_if_another_wins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.clear()
    assert await race(fail_after(1, "x"), fail_after(2, "y"), after(3, "a")) == "a"
    assert [record.name for record in caplog.records] == ["creche", "creche"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "An error in a race that another has won" in caplog.text
    assert "LookupError: x" in caplog.text
    assert "LookupError: y" in caplog.text


@virtual_time
async def test_the_errors_of_early_losers_are_logged_if_the_race_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.clear()
    with move_on_after(2):
        await race(fail_after(1, "x"), never())
    assert "An error in a race that has ended without a result" in caplog.text
    assert "LookupError: x" in caplog.text


@virtual_time
async def test_nothing_is_logged_that_is_raised_or_given_to_on_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.clear()
    errors: list[Exception] = []
    assert await race(fail_after(1, "x"), after(2, "a"), on_error=errors.append) == "a"
    with pytest.raises(ExceptionGroup):
        await race(fail_after(1, "x"), fail_after(1, "y"))
    assert not caplog.records


# Cancellation


async def test_cancelling_the_race_cancels_everybody() -> None:
    with move_on_after(0.01) as scope:
        await race(never(), never())
    assert scope.cancelled_caught
    assert log == ["cancelled", "cancelled"]


async def test_a_timeout_of_a_contestant_is_its_own() -> None:
    async def limited() -> str:
        with move_on_after(0.001):
            await sleep_forever()
        return "timed out"

    assert await race(limited, never) == "timed out"


async def test_it_leaves_nothing_behind_wherever_it_is_cancelled() -> None:
    async def whole() -> None:
        await race(after(0, "a"), never())

    assert await cancel_at_each_checkpoint(whole, wait_all_tasks_blocked) >= 2


# Misuse


async def test_bad_contestants_are_refused_and_nobody_begins() -> None:
    wrong: Any = 5
    with pytest.raises(ValueError, match="at least one coroutine or async function"):
        await race()
    with pytest.raises(TypeError, match="takes coroutines and async functions, not 5"):
        await race(never(), wrong, never())
    plain: Callable[[], Coroutine[Any, Any, int]] = int  # type: ignore[assignment]  # that is the point
    with pytest.raises(TypeError, match="not <class 'int'>, which returned 0"):
        await race(never, plain)

    def fails() -> Coroutine[Any, Any, int]:
        raise KeyError

    with pytest.raises(KeyError):
        await race(never, fails)
    assert log == []


async def bad_group() -> str:
    """Raises an error together with its cancellation."""

    async def bad() -> None:
        try:
            await sleep_forever()
        finally:
            raise LookupError("in a group")

    async with create_task_group() as group:
        group.start_soon(bad)
        await sleep_forever()
    return "not reached"


async def test_an_error_that_comes_with_a_cancellation_is_an_error() -> None:
    with pytest.raises(ExceptionGroup, match="errors of those who have lost") as caught:
        await race(after(0.001, "a"), bad_group())
    assert caught.group_contains(LookupError, match="in a group")
