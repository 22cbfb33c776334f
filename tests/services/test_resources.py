"""Resource groups: each context manager is entered and left in one task of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import warnings
from contextvars import ContextVar
from typing import Any

import pytest
from _managers import Broken, Journal

import creche
from creche import (
    CancelScope,
    ClosedResourceError,
    Event,
    create_task_group,
    fail_after,
    get_running_tasks,
    move_on_after,
    sleep,
    sleep_forever,
    to_thread,
)
from creche.lowlevel import checkpoint
from creche.services import ResourceGroup, create_resource_group
from creche.testing import virtual_time


async def test_what_one_task_enters_another_leaves() -> None:
    journal = Journal()
    async with create_resource_group() as resources:
        async with create_task_group() as group:
            handle = group.start_soon(resources.enter, journal.with_tasks("a"))
        assert handle.return_value == "a"
        async with create_task_group() as group:
            group.start_soon(resources.leave, "a")
        assert journal.lines == ["open a", "close a"]


async def test_the_block_leaves_what_is_left_the_last_one_first() -> None:
    journal = Journal()
    async with create_resource_group() as resources:
        values = [await resources.enter(journal.with_tasks(name)) for name in "abcd"]
        await resources.leave(values[1])
    assert journal.lines[4:] == ["close b", "close d", "close c", "close a"]


async def test_each_resource_has_a_task_of_its_own() -> None:
    journal = Journal()
    async with create_resource_group() as resources:
        await resources.enter(journal.plain("a"))
        await resources.enter(journal.plain("b"))
        assert journal.tasks["a"] != journal.tasks["b"]
        assert creche.get_current_task().id not in journal.tasks.values()


async def test_what_opening_raises_comes_out_of_enter_bare() -> None:
    journal, error = Journal(), Broken("opening")
    async with create_resource_group() as resources:
        with pytest.raises(Broken) as caught:
            await resources.enter(journal.plain("a", opening=error))
        assert caught.value is error
        assert await resources.enter(journal.plain("b")) == "b", "the group is as it was"


async def test_an_enter_that_is_cancelled_waits_until_the_resource_is_unwound() -> None:
    journal = Journal()
    async with create_resource_group() as resources:
        with move_on_after(0.01) as scope:
            await resources.enter(journal.slow("a"))
        assert scope.cancelled_caught
        assert journal.lines == ["opening a", "unwinding a", "unwound a"]


async def test_the_error_of_unwinding_wins_over_the_cancellation() -> None:
    @contextlib.asynccontextmanager
    async def fails() -> Any:
        try:
            await sleep_forever()
            yield
        finally:
            raise Broken("unwinding")

    async with create_resource_group() as resources:
        with pytest.raises(Broken), move_on_after(0.01):
            await resources.enter(fails())


async def test_leave_is_idempotent() -> None:
    journal = Journal()
    async with create_resource_group() as resources:
        value = await resources.enter(journal.plain("a"))
        await resources.leave(value)
        await resources.leave(value)
        assert journal.lines == ["open a", "close a"]


async def test_everybody_who_leaves_waits_until_it_is_closed_and_one_gets_the_error() -> None:
    journal, may_close = Journal(), Event()
    ends: list[str] = []

    async def leave() -> None:
        try:
            await resources.leave("a")
            ends.append("well")
        except Broken:
            ends.append("broken")

    async with create_resource_group() as resources:
        await resources.enter(journal.plain("a", close=may_close.wait, closing=Broken()))
        async with create_task_group() as group:
            group.start_soon(leave)
            group.start_soon(leave)
            await sleep(0.01)
            assert ends == []
            may_close.set()
    assert sorted(ends) == ["broken", "well"]


async def test_a_leave_that_is_cancelled_closes_all_the_same_and_the_group_raises_the_error() -> (
    None
):
    journal, may_close = Journal(), Event()
    with pytest.raises(Broken):
        async with create_resource_group() as resources:
            await resources.enter(journal.plain("a", close=may_close.wait, closing=Broken()))
            with CancelScope() as scope:
                scope.cancel()
                await resources.leave("a")
            assert scope.cancelled_caught
            may_close.set()
    assert journal.lines == ["open a", "close a"]


async def test_a_value_that_is_given_twice_is_left_the_last_one_first() -> None:
    left: list[int] = []

    class Manager:
        def __init__(self, number: int) -> None:
            self.number = number

        async def __aenter__(self) -> None:
            return None

        async def __aexit__(self, *exc: object) -> None:
            left.append(self.number)

    async with create_resource_group() as resources:
        first = Manager(1)
        await resources.enter(first)
        for number in (2, 3):
            await resources.enter(Manager(number))
        await resources.leave(None)
        assert left == [3]
        await resources.leave(first)
        assert left == [3, 1]
    assert left == [3, 1, 2]


# Failures


async def test_a_resource_that_fails_while_open_cancels_the_block_and_leaves_bare() -> None:
    journal = Journal()
    with pytest.raises(ExceptionGroup) as caught:
        async with create_resource_group() as resources:
            await resources.enter(journal.plain("other"))
            await resources.enter(journal.with_tasks("a"))
            journal.breaks["a"].set()
            await sleep_forever()
    assert [type(exc) for exc in caught.value.exceptions] == [Broken], "the resource's own group"
    assert journal.lines[-1] == "close other"


async def test_nothing_is_entered_after_a_failure() -> None:
    journal = Journal()
    with pytest.raises(ExceptionGroup):
        async with create_resource_group() as resources:
            await resources.enter(journal.with_tasks("a"))
            journal.breaks["a"].set()
            with CancelScope(shield=True):
                await sleep(0.01)
                with pytest.raises(ClosedResourceError, match="is closed"):
                    await resources.enter(journal.plain("b"))
            await checkpoint()


async def test_on_failure_hears_of_it_and_the_resource_counts_as_left() -> None:
    journal = Journal()
    heard: list[tuple[Any, BaseException]] = []
    async with create_resource_group(on_failure=lambda *said: heard.append(said)) as resources:
        await resources.enter(journal.with_tasks("a"))
        journal.breaks["a"].set()
        await sleep(0.01)
        await resources.leave("a")
        await resources.enter(journal.plain("b"))
    [(value, error)] = heard
    assert value == "a" and isinstance(error, ExceptionGroup)
    assert journal.lines == ["open a", "close a", "open b", "close b"]


async def test_an_on_failure_that_raises_is_a_failure_itself() -> None:
    journal = Journal()

    def refuse(value: object, error: BaseException) -> None:
        raise KeyError(value)

    with pytest.raises(KeyError):
        async with create_resource_group(on_failure=refuse) as resources:
            await resources.enter(journal.with_tasks("a"))
            journal.breaks["a"].set()
            await sleep_forever()


async def test_an_error_of_the_block_leaves_bare() -> None:
    journal, error = Journal(), Broken("block")
    with pytest.raises(Broken) as caught:
        async with create_resource_group() as resources:
            await resources.enter(journal.plain("a"))
            raise error
    assert caught.value is error
    assert journal.lines == ["open a", "close a"]


async def test_several_errors_leave_in_a_group() -> None:
    journal = Journal()
    with pytest.raises(ExceptionGroup, match="unhandled errors in a ResourceGroup") as caught:
        async with create_resource_group() as resources:
            await resources.enter(journal.plain("a", closing=KeyError()))
            await resources.enter(journal.plain("b", closing=ValueError()))
            raise Broken
    assert [type(exc) for exc in caught.value.exceptions] == [Broken, ValueError, KeyError]


# Cancellation and time


@virtual_time
async def test_a_cancelled_group_closes_with_a_shielded_grace_for_each() -> None:
    journal = Journal()
    with move_on_after(5) as scope:
        async with create_resource_group(close_timeout=10) as resources:
            for name in "ab":
                await resources.enter(journal.plain(name, close=lambda: sleep(8)))
            await sleep_forever()
    assert scope.cancelled_caught
    assert journal.lines[2:] == ["close b", "close a"]
    assert creche.current_time() == 5 + 8 + 8


def test_a_resource_that_does_not_close_is_cancelled_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @virtual_time
    async def run() -> None:
        journal = Journal()
        async with create_resource_group(close_timeout=3) as resources:
            await resources.enter(journal.plain("a", close=sleep_forever))
            begin = creche.current_time()
            await resources.leave("a")
            assert creche.current_time() == begin + 3
            await resources.enter(journal.plain("b"))

    with caplog.at_level(logging.WARNING, "creche"):
        run()
    assert "Journal.plain was not closed within 3 s" in caplog.text


@virtual_time
async def test_a_timeout_of_the_caller_counts_for_enter() -> None:
    journal = Journal()
    async with create_resource_group() as resources:
        with pytest.raises(TimeoutError), fail_after(2):
            await resources.enter(journal.slow("a"))


async def test_leaving_the_block_ends_what_is_being_opened() -> None:
    journal = Journal()
    outcome: list[BaseException] = []

    async def enter() -> None:
        try:
            await resources.enter(journal.slow("a"))
        except ClosedResourceError as exc:
            outcome.append(exc)

    async with create_task_group() as group:
        async with create_resource_group() as resources:
            group.start_soon(enter)
            await sleep(0.01)
    assert len(outcome) == 1
    assert journal.lines == ["opening a", "unwinding a", "unwound a"]


async def test_context_variables_set_inside_stay_inside() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="outside")

    @contextlib.asynccontextmanager
    async def setter() -> Any:
        assert variable.get() == "caller"
        variable.set("inside")
        yield 1
        assert variable.get() == "inside"

    variable.set("caller")
    async with create_resource_group() as resources:
        await resources.enter(setter())
        assert variable.get() == "caller"


# Without a block


async def test_a_group_without_a_block_is_opened_and_closed_by_any_task() -> None:
    journal = Journal()
    found: list[ResourceGroup] = []

    async def start() -> None:
        found.append(await ResourceGroup.open())
        await found[0].enter(journal.with_tasks("a"))

    async with create_task_group() as group:
        group.start_soon(start)
    async with create_task_group() as group:
        group.start_soon(found[0].aclose)
    assert journal.lines == ["open a", "close a"]
    await found[0].aclose()
    with pytest.raises(ClosedResourceError):
        await found[0].enter(journal.plain("b"))


async def test_the_failure_of_a_resource_comes_out_of_aclose_once() -> None:
    journal = Journal()
    resources = await ResourceGroup.open()
    await resources.enter(journal.with_tasks("a"))
    journal.breaks["a"].set()
    await sleep(0.01)
    with pytest.raises(ExceptionGroup):
        await resources.aclose()
    await resources.aclose()


async def test_a_cancelled_aclose_closes_first() -> None:
    journal = Journal()
    resources = await ResourceGroup.open()
    await resources.enter(journal.plain("a", close=checkpoint))
    with CancelScope() as scope:
        scope.cancel()
        await resources.aclose()
    assert scope.cancelled_caught
    assert journal.lines == ["open a", "close a"]


def test_the_end_of_the_loop_closes_what_was_forgotten(backend: Any) -> None:
    journal = Journal()

    async def forget() -> None:
        resources = await ResourceGroup.open()
        await resources.enter(journal.with_tasks("a"))
        await resources.enter(journal.plain("b"))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        backend.run(forget)
    assert sorted(journal.lines) == ["close a", "close b", "open a", "open b"]
    assert any("was not closed before the event loop ended" in str(w.message) for w in caught)


async def test_aclose_of_a_group_with_a_block_leaves_the_block_be() -> None:
    journal = Journal()
    async with create_resource_group() as resources:
        await resources.enter(journal.plain("a"))
        await resources.aclose()
        assert journal.lines == ["open a", "close a"]
        await checkpoint()


# Misuse


async def test_a_group_that_was_not_entered_says_so() -> None:
    with pytest.raises(RuntimeError, match="was not entered"):
        await create_resource_group().enter(Journal().plain("a"))


async def test_a_group_is_entered_once() -> None:
    async with create_resource_group() as resources:
        with pytest.raises(RuntimeError, match="already been entered"):
            await resources.__aenter__()


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (contextlib.nullcontext, "call it"),
        (contextlib.ExitStack(), "plain 'with'"),
        (12, "got int"),
    ],
)
async def test_enter_refuses_what_is_no_async_context_manager(thing: Any, says: str) -> None:
    async with create_resource_group() as resources:
        with pytest.raises(TypeError, match=says):
            await resources.enter(thing)


@pytest.mark.parametrize("seconds", [-1, math.nan])
def test_a_close_timeout_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="close_timeout"):
        create_resource_group(close_timeout=seconds)


async def test_a_group_belongs_to_one_loop(backend: Any) -> None:
    async with create_resource_group() as resources:

        async def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                await resources.leave(1)

        await to_thread.run_sync(backend.run, elsewhere)


async def test_a_cancelled_open_opens_nothing() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await ResourceGroup.open()
    assert scope.cancelled_caught


@pytest.mark.backends(
    "asyncio", "uvloop"
)  # Trio has no native cancels; eager tasks are through at once
async def test_a_native_cancel_of_open_leaves_no_group_behind() -> None:
    before = len(get_running_tasks())
    opening = asyncio.ensure_future(ResourceGroup.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(get_running_tasks()) == before
