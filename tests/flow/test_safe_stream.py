"""`as_safe_stream`: generators that yield inside scopes, groups and contexts, and are left early."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Any

import pytest

from _harness import cancel_at_each_checkpoint, on_asyncio
from creche import (
    CancelScope,
    Event,
    create_task_group,
    fail_after,
    get_cancelled_exc_class,
    get_current_task,
    move_on_after,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.flow import SafeStream, as_safe_stream
from creche.lowlevel import checkpoint
from creche.testing import assert_checkpoints, virtual_time

log: list[Any] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


@as_safe_stream()
async def numbers(end: int) -> AsyncGenerator[int]:
    """Yields inside a group and a scope, and notes when it is cleaned up."""
    try:
        async with create_task_group() as group:
            group.start_soon(sleep_forever)
            with fail_after(60):
                for number in range(end):
                    log.append(number)
                    yield number
            group.cancel()
    except get_cancelled_exc_class():
        log.append("cancelled")
        raise
    finally:
        log.append("clean")


# Reading to the end


async def test_it_gives_what_the_generator_yields() -> None:
    async with numbers(5) as stream:
        assert [number async for number in stream] == [0, 1, 2, 3, 4]
        assert [number async for number in stream] == []
    assert log == [0, 1, 2, 3, 4, "clean"]


async def test_without_a_buffer_the_generator_steps_when_it_is_asked_to() -> None:
    async with numbers(5) as stream:
        await wait_all_tasks_blocked()
        assert log == []
        assert await anext(stream) == 0
        await wait_all_tasks_blocked()
        assert log == [0]
        assert await anext(stream) == 1
        await wait_all_tasks_blocked()
        assert log == [0, 1]


@pytest.mark.parametrize("buffer", [1, 3])
async def test_with_a_buffer_it_is_so_many_items_ahead(buffer: int) -> None:
    @as_safe_stream(buffer=buffer)
    async def ahead() -> AsyncGenerator[int]:
        for number in range(10):
            log.append(number)
            yield number

    async with ahead() as stream:
        await wait_all_tasks_blocked()
        assert log == list(range(buffer))
        assert await anext(stream) == 0
        await wait_all_tasks_blocked()
        assert log == list(range(buffer + 1))
        assert [number async for number in stream] == list(range(1, 10))


async def test_the_generator_has_one_task_and_one_context() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    @as_safe_stream()
    async def contextual() -> AsyncGenerator[tuple[int, str]]:
        token = variable.set(f"{variable.get()} and inner")
        try:
            for _ in range(3):
                yield get_current_task().id, variable.get()
        finally:
            variable.reset(token)  # an error in any other context
            log.append(variable.get())

    variable.set("outer")
    async with contextual() as stream:
        first = await anext(stream)
        variable.set("changed")
        assert await anext(stream) == first
        assert first[1] == "outer and inner"
        assert first[0] != get_current_task().id
    assert log == ["outer"]
    assert variable.get() == "changed"


async def test_several_tasks_may_read() -> None:
    read: list[int] = []

    async def reader(stream: SafeStream[int]) -> None:
        read.extend([number async for number in stream])

    async with numbers(10) as stream:
        async with create_task_group() as group:
            for _ in range(3):
                group.start_soon(reader, stream)
    assert sorted(read) == list(range(10))


async def test_a_step_is_a_checkpoint_with_and_without_an_item() -> None:
    @as_safe_stream(buffer=5)
    async def ready() -> AsyncGenerator[int]:
        yield 1
        yield 2

    async with ready() as stream:
        await wait_all_tasks_blocked()
        with assert_checkpoints():
            await anext(stream)
    async with numbers(2) as stream:
        with assert_checkpoints():
            await anext(stream)
        with move_on_after(0):  # leaves the second item to the next who asks
            await anext(stream)
        await wait_all_tasks_blocked()
        with assert_checkpoints():
            assert await anext(stream) == 1
        with assert_checkpoints(), pytest.raises(StopAsyncIteration):
            await anext(stream)
        with assert_checkpoints(), pytest.raises(StopAsyncIteration):
            await anext(stream)


# Leaving early


@pytest.mark.parametrize("how", ["break", "error", "cancel", "no step"])
async def test_leaving_early_is_a_cancel_at_the_yield(how: str) -> None:
    with CancelScope() as scope:
        try:
            async with numbers(5) as stream:
                if how == "no step":
                    await wait_all_tasks_blocked()
                else:
                    async for number in stream:
                        if number < 2:
                            continue
                        if how == "error":
                            raise KeyError
                        if how == "cancel":
                            scope.cancel()
                            await checkpoint()
                        break
        except KeyError:
            assert how == "error"
        assert log == ([] if how == "no step" else [0, 1, 2, "cancelled", "clean"])
    assert scope.cancelled_caught == (how == "cancel")


async def test_a_cancel_while_the_generator_works_reaches_it() -> None:
    @as_safe_stream()
    async def slow() -> AsyncGenerator[int]:
        try:
            await sleep_forever()
            yield 1
        finally:
            log.append("clean")

    with move_on_after(0.01):
        async with slow() as stream:
            await anext(stream)
    assert log == ["clean"]


async def test_the_clean_up_has_ended_before_the_block_is_left() -> None:
    @as_safe_stream()
    async def lingering() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            with CancelScope(shield=True):
                await sleep(0.01)
                log.append("clean")

    async with lingering() as stream:
        async for _ in stream:
            break
    assert log == ["clean"]


async def test_one_that_is_not_entered_never_starts() -> None:
    numbers(5)
    gc.collect()
    await checkpoint()
    assert log == []


async def test_a_reader_that_gives_up_loses_no_item() -> None:
    gate = Event()

    @as_safe_stream()
    async def gated() -> AsyncGenerator[int]:
        await gate.wait()
        yield 1
        yield 2

    async with gated() as stream:
        with move_on_after(0):
            await anext(stream)
        gate.set()
        await wait_all_tasks_blocked()
        assert [number async for number in stream] == [1, 2]


async def test_it_leaves_nothing_behind_wherever_it_is_cancelled() -> None:
    async def whole() -> None:
        async with numbers(3) as stream:
            async for _ in stream:
                await checkpoint()

    assert await cancel_at_each_checkpoint(whole, wait_all_tasks_blocked) > 5


@on_asyncio
async def test_a_native_cancel_of_the_reader_ends_the_generator() -> None:
    import asyncio

    async def read() -> None:
        async with numbers(5) as stream:
            await anext(stream)
            await sleep_forever()

    task = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == [0, "cancelled", "clean"]


# Scopes around a yield


@virtual_time
async def test_a_deadline_around_a_yield_ends_the_generator_and_not_the_reader() -> None:
    @as_safe_stream()
    async def limited() -> AsyncGenerator[str]:
        with move_on_after(1) as scope:
            while True:
                yield "inside"
        yield f"after {scope.cancelled_caught}"

    async with limited() as stream:
        assert await anext(stream) == "inside"
        await sleep(2)
        assert [text async for text in stream] == ["after True"]


async def test_a_failing_task_of_the_generator_s_group_does_not_cancel_the_reader() -> None:
    async def fail() -> None:
        raise LookupError

    @as_safe_stream()
    async def grouped() -> AsyncGenerator[int]:
        async with create_task_group() as group:
            yield 1
            group.start_soon(fail)
            yield 2

    async with grouped() as stream:
        assert [await anext(stream), await anext(stream)] == [1, 2]
        await wait_all_tasks_blocked()
        await checkpoint()
        with pytest.raises(ExceptionGroup) as caught:
            await anext(stream)
        assert caught.group_contains(LookupError)


# Errors


async def test_an_error_comes_out_of_the_iteration_bare_and_once() -> None:
    @as_safe_stream()
    async def failing() -> AsyncGenerator[int]:
        yield 1
        raise LookupError("two")

    async with failing() as stream:
        assert await anext(stream) == 1
        with pytest.raises(LookupError, match="two"):
            await anext(stream)
        assert [number async for number in stream] == []


async def test_what_was_yielded_before_an_error_comes_first() -> None:
    @as_safe_stream(buffer=5)
    async def failing() -> AsyncGenerator[int]:
        yield 1
        yield 2
        raise LookupError

    read: list[int] = []
    async with failing() as stream:
        await wait_all_tasks_blocked()
        with pytest.raises(LookupError):
            while True:
                read.append(await anext(stream))
    assert read == [1, 2]


async def test_an_error_in_the_clean_up_comes_out_of_the_block_bare() -> None:
    @as_safe_stream()
    async def failing() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            raise LookupError("clean-up")

    with pytest.raises(LookupError, match="clean-up"):
        async with failing() as stream:
            async for _ in stream:
                break
    with CancelScope() as scope:
        with pytest.raises(LookupError, match="clean-up"):
            async with failing() as stream:
                await anext(stream)
                scope.cancel()
                await checkpoint()
    with pytest.raises(ExceptionGroup) as caught:
        async with failing() as stream:
            await anext(stream)
            raise KeyError
    assert [type(exc) for exc in caught.value.exceptions] == [KeyError, LookupError]


async def test_an_error_that_comes_with_the_cancellation_comes_out() -> None:
    async def bad() -> None:
        try:
            await sleep_forever()
        finally:
            raise LookupError("in a group")

    @as_safe_stream()
    async def failing() -> AsyncGenerator[int]:
        async with create_task_group() as group:
            group.start_soon(bad)
            await checkpoint()
            yield 1

    with pytest.raises(ExceptionGroup) as caught:
        async with failing() as stream:
            await anext(stream)
    assert caught.group_contains(LookupError, match="in a group")


async def test_the_body_s_error_comes_out_as_it_is() -> None:
    error = KeyError()
    with pytest.raises(KeyError) as caught:
        async with numbers(3):
            raise error
    assert caught.value is error


async def test_a_generator_that_swallows_the_cancel_and_returns_is_fine() -> None:
    @as_safe_stream()
    async def swallowing() -> AsyncGenerator[int]:
        try:
            yield 1
        except get_cancelled_exc_class():
            log.append("swallowed")

    async with swallowing() as stream:
        await anext(stream)
    assert log == ["swallowed"]


async def test_a_generator_that_yields_after_the_end_of_the_block_is_closed() -> None:
    @as_safe_stream()
    async def stubborn() -> AsyncGenerator[int]:
        for number in range(10):
            try:
                yield number
            except get_cancelled_exc_class():
                log.append("swallowed")
            except GeneratorExit:
                log.append("closed")
                raise

    async with stubborn() as stream:
        await anext(stream)
    assert log == ["swallowed", "closed"]


async def test_a_generator_that_cannot_be_ended_is_an_error() -> None:
    @as_safe_stream()
    async def endless() -> AsyncGenerator[int]:
        number = 0
        while True:
            number += 1
            try:
                yield number
            except BaseException:
                if number > 2:  # or the loop itself could not close it
                    raise

    with pytest.raises(RuntimeError, match=r"endless\(\) has yielded again"):
        async with endless() as stream:
            await anext(stream)


# Misuse


def test_it_goes_on_async_generator_functions_only() -> None:
    async def plain() -> None:
        pass

    wrong: Any = plain
    with pytest.raises(TypeError, match="goes on an async generator function"):
        as_safe_stream()(wrong)
    with pytest.raises(TypeError, match="write '@as_safe_stream\\(\\)' above the function"):
        as_safe_stream(wrong)
    with pytest.raises(ValueError, match="buffer must be 0 or more, not -1"):
        as_safe_stream(-1)


def test_wrong_arguments_are_an_error_at_the_call() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        numbers()  # type: ignore[call-arg]  # that is the point


async def test_it_is_entered_once_and_before_it_is_read() -> None:
    stream = numbers(2)
    assert repr(stream) == "<SafeStream of numbers>"
    with pytest.raises(RuntimeError, match="enter <SafeStream of numbers> first"):
        await anext(stream)
    async with stream:
        pass
    with pytest.raises(RuntimeError, match="was entered before"):
        async with stream:
            pass


def test_the_function_keeps_its_name_and_docstring() -> None:
    assert numbers.__name__ == "numbers"
    assert "notes when it is cleaned up" in (numbers.__doc__ or "")


async def test_a_method_can_be_one() -> None:
    class Table:
        rows = (1, 2)

        @as_safe_stream()
        async def read(self) -> AsyncGenerator[int]:
            for row in self.rows:
                yield row

    async with Table().read() as stream:
        assert [row async for row in stream] == [1, 2]
