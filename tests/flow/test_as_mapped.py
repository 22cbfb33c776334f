"""`as_mapped` and its shortcuts: how many run, what comes out, and what is left when it ends early."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Generator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from _harness import cancel_at_each_checkpoint, on_asyncio
from creche import (
    CancelScope,
    Event,
    TaskCancelled,
    create_memory_object_stream,
    create_task_group,
    current_time,
    fail_after,
    get_current_task,
    move_on_after,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.flow import Mapped, Outcome, RateLimiter, as_mapped, for_each, map_bounded
from creche.lowlevel import checkpoint
from creche.testing import virtual_time


async def double(number: int) -> int:
    await checkpoint()
    return 2 * number


async def fail(number: int) -> int:
    await checkpoint()
    raise LookupError(number)


class Running:
    """Counts how many calls run at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def call(self, number: int) -> int:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await checkpoint()
            await checkpoint()
        finally:
            self.now -= 1
        return number


# What comes out


async def test_every_item_is_mapped_once() -> None:
    async with as_mapped(double, range(100), at_most=7) as results:
        assert sorted([result async for result in results]) == [2 * n for n in range(100)]


async def test_in_order_the_results_come_in_the_order_of_the_items() -> None:
    async def late_first(number: int) -> int:
        for _ in range(10 - number % 10):
            await checkpoint()
        return number

    async with as_mapped(late_first, range(50), at_most=10, ordered=True) as results:
        assert [result async for result in results] == list(range(50))


@virtual_time
async def test_out_of_order_the_results_come_as_the_calls_end() -> None:
    async def after(seconds: int) -> int:
        await sleep(seconds)
        return seconds

    async with as_mapped(after, [3, 1, 2]) as results:
        assert [result async for result in results] == [1, 2, 3]


async def test_a_map_of_nothing_ends_at_once() -> None:
    async with as_mapped(double, []) as results:
        assert [result async for result in results] == []
        assert [result async for result in results] == []


async def test_each_call_has_a_task_and_a_context_of_its_own() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="outer")
    ids: set[int] = set()

    async def call(number: int) -> str:
        before = variable.get()
        variable.set(str(number))
        task = get_current_task()
        assert task.name is not None
        assert task.name.endswith("call")
        ids.add(task.id)
        await checkpoint()
        assert variable.get() == str(number)
        return before

    variable.set("of the block")
    async with as_mapped(call, range(5), at_most=5) as results:
        assert [result async for result in results] == ["of the block"] * 5
    assert len(ids) == 5


async def test_several_tasks_may_read_the_results() -> None:
    read: list[int] = []

    async def reader(results: Mapped[int]) -> None:
        read.extend([result async for result in results])

    async with as_mapped(double, range(20), at_most=3) as results:
        async with create_task_group() as group:
            for _ in range(3):
                group.start_soon(reader, results)
    assert sorted(read) == [2 * number for number in range(20)]


# Bounds


@pytest.mark.parametrize("at_most", [1, 3, 20])
@pytest.mark.parametrize("ordered", [False, True])
async def test_no_more_calls_run_than_were_asked_for(at_most: int, ordered: bool) -> None:
    running = Running()
    async with as_mapped(running.call, range(60), at_most=at_most, ordered=ordered) as results:
        assert sorted([result async for result in results]) == list(range(60))
    assert running.most == at_most


async def test_the_default_is_20() -> None:
    running = Running()
    await for_each(running.call, range(100))
    assert running.most == 20


async def test_an_item_is_pulled_when_a_call_may_start() -> None:
    pulled: list[int] = []
    gates = [Event() for _ in range(10)]

    def source() -> Iterator[int]:
        for number in range(10):
            pulled.append(number)
            yield number

    async def call(number: int) -> int:
        await gates[number].wait()
        return number

    async with as_mapped(call, source(), at_most=2) as results:
        await wait_all_tasks_blocked()
        assert pulled == [0, 1]
        gates[1].set()
        assert await anext(results) == 1
        await wait_all_tasks_blocked()
        assert pulled == [0, 1, 2]


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_slow_reader_holds_the_calls_back(ordered: bool) -> None:
    started = 0

    async def call(number: int) -> int:
        nonlocal started
        started += 1
        return number

    async with as_mapped(call, itertools.count(), at_most=5, ordered=ordered) as results:
        await wait_all_tasks_blocked()
        assert started == 10
        for expected in range(3):
            await anext(results)
            await wait_all_tasks_blocked()
            assert started == 11 + expected


async def test_a_slow_first_call_holds_ordered_calls_back() -> None:
    started: list[int] = []
    gate = Event()

    async def call(number: int) -> int:
        started.append(number)
        if number == 0:
            await gate.wait()
        return number

    async with as_mapped(call, itertools.count(), at_most=3, ordered=True) as results:
        await wait_all_tasks_blocked()
        assert sorted(started) == list(range(6))
        gate.set()
        assert [await anext(results) for _ in range(8)] == list(range(8))


@virtual_time
async def test_calls_start_at_the_rate() -> None:
    starts: list[float] = []

    async def call(number: int) -> None:
        starts.append(current_time())
        await sleep(0.3)

    begin = current_time()
    await for_each(call, range(5), per_second=4)
    assert starts == [begin + number / 4 for number in range(5)]


@virtual_time
async def test_maps_can_share_a_rate_limiter() -> None:
    starts: list[float] = []

    async def call(number: int) -> None:
        starts.append(current_time())

    limiter = RateLimiter(10, burst=2)
    begin = current_time()
    async with create_task_group() as group:
        group.start_soon(for_each, call, range(2), 20, limiter)
        group.start_soon(for_each, call, range(2), 20, limiter)
    assert starts == [begin, begin, begin + 0.1, begin + 0.2]


@virtual_time
async def test_a_source_that_is_late_does_not_save_up_starts() -> None:
    starts: list[float] = []

    async def source() -> AsyncGenerator[int]:
        yield 0
        await sleep(5)
        yield 1
        yield 2

    async def call(number: int) -> None:
        starts.append(current_time())

    begin = current_time()
    await for_each(call, source(), per_second=1)
    assert starts == [begin, begin + 5, begin + 6]


# Errors


async def test_a_failing_call_cancels_the_others_and_comes_out_bare() -> None:
    cancelled: list[int] = []

    async def call(number: int) -> int:
        if number == 2:
            await checkpoint()
            raise LookupError("two")
        try:
            await sleep_forever()
        finally:
            cancelled.append(number)
        raise AssertionError("not reached")

    async with as_mapped(call, range(100), at_most=5) as results:
        with pytest.raises(LookupError, match="two"):
            async for _ in results:
                raise AssertionError("no call returned")
        assert sorted(cancelled) == [0, 1, 3, 4]
        assert results.failed == 1
        assert results.running == 0
        assert [result async for result in results] == []


async def test_what_was_returned_before_a_failure_comes_out_first() -> None:
    async def call(number: int) -> int:
        if number == 2:
            await checkpoint()
            raise LookupError
        if number > 2:
            await sleep_forever()
        return number

    read: list[int] = []
    async with as_mapped(call, range(10), at_most=3) as results:
        await wait_all_tasks_blocked()
        with pytest.raises(LookupError):
            while True:
                read.append(await anext(results))
    assert sorted(read) == [0, 1]


async def test_several_errors_come_out_in_one_group() -> None:
    async def call(number: int) -> None:
        try:
            if number == 0:
                await checkpoint()
            else:
                await sleep_forever()
        finally:
            raise LookupError(number)

    with pytest.raises(ExceptionGroup) as caught:
        await for_each(call, range(3))
    assert sorted(str(exc) for exc in caught.value.exceptions) == ["0", "1", "2"]


async def test_an_error_that_comes_with_a_cancellation_is_an_error_of_its_call() -> None:
    async def bad() -> None:
        try:
            await sleep_forever()
        finally:
            raise LookupError("in a group")

    async def call(number: int) -> None:
        async with create_task_group() as group:
            group.start_soon(bad)
            await sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        async with as_mapped(call, [1]) as results:
            await wait_all_tasks_blocked()
    assert caught.group_contains(LookupError, match="in a group")
    assert (results.failed, results.done, results.running) == (1, 1, 0)


async def test_an_error_that_nobody_read_comes_out_of_the_block() -> None:
    with pytest.raises(LookupError):
        async with as_mapped(fail, [1]):
            await wait_all_tasks_blocked()


async def test_an_error_of_the_body_and_one_of_a_call_come_out_together() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with as_mapped(fail, [1]):
            await wait_all_tasks_blocked()
            raise KeyError
    assert [type(exc) for exc in caught.value.exceptions] == [KeyError, LookupError]


async def test_an_error_of_the_body_comes_out_as_it_is() -> None:
    async def call(number: int) -> None:
        await sleep_forever()

    with pytest.raises(KeyError):
        async with as_mapped(call, range(10)):
            await wait_all_tasks_blocked()
            raise KeyError


async def test_errors_can_be_returned_beside_their_items() -> None:
    async def half(number: int) -> int:
        await checkpoint()
        if number % 2:
            raise ValueError(number)
        return number // 2

    async with as_mapped(half, range(4), ordered=True, errors="return") as results:
        pairs = [pair async for pair in results]
        assert (results.done, results.failed) == (4, 2)
    assert [item for item, _ in pairs] == [0, 1, 2, 3]
    assert [outcome.error is None for _, outcome in pairs] == [True, False, True, False]
    assert pairs[2][1].value == 1
    with pytest.raises(ValueError, match="3"):
        _ = pairs[3][1].value
    assert repr(pairs[2][1]) == "<Outcome returned 1>"
    assert repr(pairs[3][1]) == "<Outcome raised ValueError(3)>"


@pytest.mark.parametrize("errors", ["raise", "return"])
async def test_an_error_of_the_source_ends_the_map(errors: Any) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("source")

    read: list[Any] = []
    async with as_mapped(double, source(), errors=errors) as results:
        with pytest.raises(KeyError, match="source"):
            while True:
                read.append(await anext(results))
    assert len(read) <= 1


async def test_a_function_that_is_not_async_is_an_error_of_its_call() -> None:
    wrong: Any = int
    with pytest.raises(TypeError):
        await for_each(wrong, ["1"])


async def test_what_is_no_exception_ends_the_block() -> None:
    class Quit(BaseException):
        pass

    async def call(number: int) -> None:
        raise Quit

    with pytest.raises(BaseExceptionGroup) as caught:
        async with as_mapped(call, [1]):
            await sleep_forever()
    assert caught.value.subgroup(Quit) is not None


@on_asyncio
async def test_a_call_that_is_cancelled_alone_is_missed() -> None:
    import asyncio

    async def call(number: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        if number == 1:
            task.cancel()
        await sleep(0)
        return number

    async with as_mapped(call, range(3), ordered=True, errors="return") as results:
        outcomes: list[Outcome[int]] = [outcome async for _, outcome in results]
    assert isinstance(outcomes[1].error, TaskCancelled)
    assert "call(1) was cancelled" in str(outcomes[1].error)
    assert [outcomes[0].value, outcomes[2].value] == [0, 2]
    with pytest.raises(TaskCancelled):
        await for_each(call, range(3))


# Leaving early


class Sources:
    """Sources that note whether they were closed."""

    def __init__(self) -> None:
        self.closed = 0

    def plain(self) -> Generator[int]:
        try:
            yield from itertools.count()
        finally:
            self.closed += 1

    async def asynchronous(self) -> AsyncGenerator[int]:
        try:
            for number in itertools.count():
                await checkpoint()
                yield number
        finally:
            try:
                await checkpoint()
            finally:
                self.closed += 1


@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
@pytest.mark.parametrize("how", ["break", "error", "cancel"])
async def test_leaving_early_cancels_the_calls_and_closes_the_source(kind: str, how: str) -> None:
    sources = Sources()
    running = Running()
    source = getattr(sources, kind)()
    results = as_mapped(running.call, source, at_most=5)
    with CancelScope() as scope:
        try:
            async with results:
                async for result in results:
                    if result == 10 and how == "error":
                        raise KeyError
                    if result == 10 and how == "cancel":
                        scope.cancel()
                        await checkpoint()
                    if result >= 10:
                        break
        except KeyError:
            assert how == "error"
    assert running.now == 0
    assert results.running == 0
    assert sources.closed == 1


async def test_the_source_s_clean_up_is_not_cancelled_if_the_block_is_not() -> None:
    cleaned: list[str] = []

    async def source() -> AsyncGenerator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            await sleep(0.001)
            cleaned.append("up")

    async def call(number: int) -> None:
        await sleep_forever()

    async with as_mapped(call, source(), at_most=1):
        await wait_all_tasks_blocked()
    assert cleaned == ["up"]


async def test_a_source_that_does_not_begin_is_closed_as_well() -> None:
    sources = Sources()
    async with as_mapped(double, sources.asynchronous()):
        pass
    async with as_mapped(double, sources.plain()):
        pass


async def test_a_stream_that_is_the_source_stays_open() -> None:
    send, receive = create_memory_object_stream[int](10)
    with send, receive:
        for number in range(5):
            send.send_nowait(number)
        async with as_mapped(double, receive, at_most=1) as results:
            assert await anext(results) == 0
        send.send_nowait(9)
        assert receive.statistics().open_receive_streams == 1


async def test_an_error_of_the_source_s_clean_up_comes_out_of_the_block() -> None:
    def source() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            raise KeyError("clean-up")

    with pytest.raises(KeyError, match="clean-up"):
        async with as_mapped(double, source()) as results:
            async for _ in results:
                break


async def test_a_cancelled_reader_loses_no_result() -> None:
    gate = Event()

    async def call(number: int) -> int:
        await gate.wait()
        return number

    async with as_mapped(call, range(3), ordered=True) as results:
        with move_on_after(0):
            await anext(results)
        gate.set()
        assert [result async for result in results] == [0, 1, 2]


async def test_a_map_leaves_nothing_behind_wherever_it_is_cancelled() -> None:
    sources = Sources()

    async def whole() -> None:
        async with as_mapped(double, sources.asynchronous(), at_most=2, ordered=True) as results:
            async for result in results:
                if result == 6:
                    break

    assert await cancel_at_each_checkpoint(whole, wait_all_tasks_blocked) > 5


async def test_a_map_in_a_cancelled_scope_starts_no_call() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await for_each(fail, range(5))
    assert scope.cancelled_caught


# Progress


async def test_the_progress_can_be_read() -> None:
    gate = Event()

    async def call(number: int) -> int:
        if number >= 2:
            await gate.wait()
        return number

    async with as_mapped(call, [0, 1, 2, 3, 4], at_most=2) as results:
        assert (results.total, results.done, results.failed, results.running) == (5, 0, 0, 0)
        await wait_all_tasks_blocked()
        assert (results.total, results.done, results.failed, results.running) == (5, 2, 0, 2)
        assert repr(results).endswith("call: 2 of 5 done, 0 failed, 2 running>")
        gate.set()
        async for _ in results:
            pass
        assert (results.done, results.running) == (5, 0)


async def test_a_source_without_a_length_has_no_total() -> None:
    async with as_mapped(double, iter([1])) as results:
        assert results.total is None
        assert "0 done" in repr(results)


# Shortcuts


async def test_map_bounded_returns_the_results_in_order() -> None:
    running = Running()
    assert await map_bounded(running.call, range(30), at_most=4) == list(range(30))
    assert running.most == 4


async def test_the_shortcuts_raise_bare_errors() -> None:
    with pytest.raises(LookupError):
        await map_bounded(fail, range(3), 1)
    with pytest.raises(LookupError):
        await for_each(fail, range(3), 1)


# Misuse


def test_bad_arguments_are_refused_at_once() -> None:
    wrong: Any = "text"
    with pytest.raises(
        TypeError, match="func must be an async function of one argument, not 'text'"
    ):
        as_mapped(wrong, [])
    with pytest.raises(TypeError, match="at_most must be an int, not 'text'"):
        as_mapped(double, [], wrong)
    with pytest.raises(ValueError, match="at_most must be 1 or more, not 0"):
        as_mapped(double, [], 0)
    with pytest.raises(ValueError, match="errors must be 'raise' or 'return', not 'text'"):
        as_mapped(double, [], errors=wrong)
    with pytest.raises(ValueError, match="per_second must be a finite number above 0, not -1"):
        as_mapped(double, [], per_second=-1)
    number: Any = 5
    with pytest.raises(TypeError, match="items must be an iterable or an async iterable, not 5"):
        as_mapped(double, number)


async def test_a_map_is_entered_once_and_before_it_is_read() -> None:
    results = as_mapped(double, [1])
    with pytest.raises(RuntimeError, match="enter the map first"):
        await anext(results)
    async with results:
        pass
    with pytest.raises(RuntimeError, match="was entered before"):
        async with results:
            pass


async def test_a_map_works_inside_the_deadline_of_another() -> None:
    async def outer(number: int) -> list[int]:
        with fail_after(5):
            return await map_bounded(double, range(number), 2)

    assert await map_bounded(outer, [1, 2, 3], 2) == [[0], [0, 2], [0, 2, 4]]


# Memory


def peak_of(items: int) -> int:
    """Return the most that a map of so many items allocates, in bytes."""
    import tracemalloc

    import creche

    async def main() -> None:
        async def call(number: int) -> bytes:
            await checkpoint()
            return bytes(1000)

        async with as_mapped(call, itertools.islice(itertools.count(), items)) as results:
            async for _ in results:
                pass

    tracemalloc.start()
    try:
        creche.run(main)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_items() -> None:
    peak_of(200)
    assert peak_of(5000) < 2 * peak_of(500)


@pytest.mark.soak
@pytest.mark.time_limit(3600)
def test_memory_does_not_grow_with_ten_million_items() -> None:
    import resource

    import creche

    async def nothing(number: int) -> None:
        pass

    async def main(items: int) -> int:
        await for_each(nothing, itertools.islice(itertools.count(), items))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = creche.run(main, 100_000)
    assert creche.run(main, 10_000_000) < before + 4096  # KiB
