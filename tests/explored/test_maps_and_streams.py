"""Bounded maps, safe streams, races and rate limits under many schedules, and broken ones found out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one

from creche import (
    BrokenResourceError,
    CancelScope,
    Event,
    TaskHandle,
    create_memory_object_stream,
    create_task_group,
    current_time,
    sleep,
    sleep_forever,
    sleep_until,
)
from creche.flow import RateLimiter, as_mapped, as_safe_stream, race, safe_contextmanager
from creche.lowlevel import checkpoint
from creche.testing import explore

# Bounded maps


class Calls:
    """The calls of a map: how many run, which have begun, and which have ended."""

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        self.running = 0
        self.pulled: list[int] = []
        self.begun: list[int] = []
        self.ended: list[int] = []

    def source(self, number: int) -> Any:
        for item in range(number):
            self.pulled.append(item)
            yield item

    async def call(self, item: int) -> int:
        self.begun.append(item)
        self.running += 1
        assert self.running <= self.at_most, "too many at a time"
        try:
            for _ in range(item % 3):
                await checkpoint()
        finally:
            self.running -= 1
            self.ended.append(item)
        return item


async def mapped(make: Callable[..., Any], ordered: bool) -> None:
    """Seven items, two at a time; two readers, one of which is cancelled."""
    calls, scopes = Calls(2), [CancelScope(), CancelScope()]
    read: list[list[int]] = [[], []]
    gone = 0

    async def reader(number: int, results: Any) -> None:
        nonlocal gone
        with scopes[number]:
            async for result in results:
                read[number].append(result)
            gone += 1

    async with make(calls.call, calls.source(7), at_most=2, ordered=ordered) as results:
        async with create_task_group() as group:
            group.start_soon(reader, 0, results)
            group.start_soon(reader, 1, results)
            group.start_soon(cancel_one_by_one, scopes[0])
    assert sorted(read[0] + read[1]) == list(range(7)), "a result was lost, or came twice"
    assert calls.running == 0
    if ordered:
        assert read[0] == sorted(read[0]), "out of order"
        assert read[1] == sorted(read[1]), "out of order"


@pytest.mark.parametrize("ordered", [False, True])
@explore()
async def test_every_item_is_mapped_once_whoever_reads(ordered: bool) -> None:
    await mapped(as_mapped, ordered)


class Losing:
    """Results that are taken out before a checkpoint."""

    def __init__(self, results: Any) -> None:
        self._results = results

    def __aiter__(self) -> Losing:
        return self

    async def __anext__(self) -> Any:
        result = await anext(self._results)
        await checkpoint()
        return result


@asynccontextmanager
async def losing(*args: Any, **options: Any) -> AsyncIterator[Any]:
    make: Any = as_mapped
    async with make(*args, **options) as results:
        yield Losing(results)


def overbooked(*args: Any, at_most: int, **options: Any) -> Any:
    make: Any = as_mapped
    return make(*args, at_most=at_most + 1, **options)


def unordered(*args: Any, ordered: bool, **options: Any) -> Any:
    return as_mapped(*args, **options)


@pytest.mark.parametrize("broken", [losing, overbooked, unordered])
def test_a_map_that_loses_overbooks_or_shuffles_is_found_out(broken: Callable[..., Any]) -> None:
    assert_found(lambda: mapped(broken, ordered=True))


async def left_early(make: Callable[..., Any]) -> None:
    """The block is cancelled at some moment: every call that has begun has ended then."""
    calls, scope = Calls(3), CancelScope()

    async def read() -> None:
        with scope:
            async with make(calls.call, calls.source(100), at_most=3, ordered=False) as results:
                async for result in results:
                    if result == 20:
                        break
        assert calls.running == 0, "a call runs on after the block"
        assert sorted(calls.begun) == sorted(calls.ended)
        assert len(calls.pulled) <= len(calls.begun) + 1, "pulled without need"

    async with create_task_group() as group:
        group.start_soon(read)
        group.start_soon(cancel_one_by_one, scope)


@explore()
async def test_nothing_runs_on_after_a_map_is_left() -> None:
    await left_early(as_mapped)


def test_a_map_that_does_not_wait_for_its_calls_is_found_out() -> None:
    async def program() -> None:
        async with create_task_group() as group:

            @asynccontextmanager
            async def leaky(func: Any, items: Any, **_: Any) -> AsyncIterator[Any]:
                handles: list[TaskHandle[int]] = [
                    group.start_soon(func, next(items)) for _ in range(3)
                ]

                async def results() -> AsyncIterator[int]:
                    for handle in handles:
                        yield await handle

                try:
                    yield results()
                finally:
                    for handle in handles:
                        handle.cancel()

            await left_early(leaky)

    assert_found(program)


@explore(runs=100)
async def test_a_failing_call_ends_a_map_once_and_with_its_error() -> None:
    calls = Calls(3)

    async def call(item: int) -> int:
        if item == 4:
            await checkpoint()
            raise LookupError(item)
        return await calls.call(item)

    read: list[int] = []
    with pytest.raises(LookupError):
        async with as_mapped(call, calls.source(50), at_most=3) as results:
            while True:
                read.append(await anext(results))
    assert calls.running == 0
    assert len(read) == len(set(read))


# Safe streams


async def streamed(make: Callable[..., Any], buffer: int) -> None:
    """Two readers, one of which is cancelled; then the block is left, perhaps early."""
    log: list[str] = []

    async def generate(number: int) -> AsyncGenerator[int]:
        try:
            async with create_task_group() as group:
                group.start_soon(sleep_forever)
                for item in range(number):
                    yield item
                    await checkpoint()
                group.cancel()
        finally:
            log.append("clean")

    read: list[list[int]] = [[], []]
    scopes = [CancelScope(), CancelScope()]

    async def reader(number: int, stream: Any) -> None:
        with scopes[number]:
            async for item in stream:
                read[number].append(item)

    async with make(generate, buffer)(5) as stream:
        async with create_task_group() as group:
            group.start_soon(reader, 0, stream)
            group.start_soon(reader, 1, stream)
            group.start_soon(cancel_one_by_one, scopes[0])
    assert log == ["clean"], "the generator was not cleaned up in time"
    assert sorted(read[0] + read[1]) == list(range(5)), "an item was lost, or came twice"
    for items in read:
        assert items == sorted(items), "out of order"


def safely(generate: Any, buffer: int) -> Any:
    return as_safe_stream(buffer)(generate)


@pytest.mark.parametrize("buffer", [0, 2])
@explore()
async def test_every_item_of_a_generator_is_read_once(buffer: int) -> None:
    await streamed(safely, buffer)


def losing_stream(generate: Any, buffer: int) -> Any:
    @asynccontextmanager
    async def make(number: int) -> AsyncIterator[Any]:
        async with as_safe_stream(buffer)(generate)(number) as stream:
            yield Losing(stream)

    return make


def hasty_stream(generate: Any, buffer: int) -> Any:
    """Puts what the generator yields into a channel, and forgets what its reader was cancelled at."""

    @asynccontextmanager
    async def make(number: int) -> AsyncIterator[Any]:
        send, receive = create_memory_object_stream[int](buffer)

        async def drive() -> None:
            with send:
                async for item in generate(number):
                    await checkpoint()
                    if receive.statistics().tasks_waiting_receive or buffer:
                        await send.send(item)

        with receive:
            async with create_task_group() as group:
                group.start_soon(drive)
                yield receive
                group.cancel()

    return make


@pytest.mark.parametrize("broken", [losing_stream, hasty_stream])
def test_a_stream_of_a_generator_that_loses_items_is_found_out(broken: Callable[..., Any]) -> None:
    assert_found(lambda: streamed(broken, 0))


async def left(make: Callable[[Any], Any]) -> None:
    """The block is cancelled at some moment: the generator has ended when it is left."""
    begun: list[int] = []
    ended: list[int] = []
    scope = CancelScope()

    async def generate() -> AsyncGenerator[int]:
        begun.append(1)
        try:
            with CancelScope():
                for item in range(3):
                    yield item
        finally:
            with CancelScope(shield=True):
                await checkpoint()
            ended.append(1)

    async def read() -> None:
        with scope:
            async with make(generate) as stream:
                async for _ in stream:
                    await checkpoint()
        assert begun == ended, "the generator goes on after the block"

    async with create_task_group() as group:
        group.start_soon(read)
        group.start_soon(cancel_one_by_one, scope)


@explore()
async def test_a_generator_has_ended_when_its_block_is_left() -> None:
    await left(lambda generate: as_safe_stream()(generate)())


def test_a_generator_whose_end_is_not_awaited_is_found_out() -> None:
    async def program() -> None:
        async with create_task_group() as outer:

            @asynccontextmanager
            async def hasty(generate: Any) -> AsyncIterator[Any]:
                send, receive = create_memory_object_stream[int]()

                async def drive() -> None:
                    async with aclosing(generate()) as items:
                        with send, suppress(BrokenResourceError):
                            async for item in items:
                                await send.send(item)

                driver = outer.start_soon(drive)
                with receive:
                    yield receive
                    driver.cancel()

            await left(hasty)

    assert_found(program)


@explore(runs=100)
async def test_a_safe_context_manager_is_closed_whoever_is_cancelled_when() -> None:
    log: list[str] = []
    scope = CancelScope()

    @safe_contextmanager
    async def resource() -> AsyncGenerator[None]:
        log.append("open")
        try:
            async with create_task_group() as group:
                group.start_soon(sleep_forever)
                await checkpoint()
                yield
                await checkpoint()
                group.cancel()
        finally:
            with CancelScope(shield=True):
                await checkpoint()
            log.append("closed")

    async def use() -> None:
        with scope:
            async with resource():
                log.append("inside")
                await checkpoint()
        assert log.count("open") == log.count("closed"), "left open"

    async with create_task_group() as group:
        group.start_soon(use)
        group.start_soon(cancel_one_by_one, scope)


# Races


async def raced(run: Callable[..., Any]) -> None:
    """Three run: the first result is returned, and nobody runs on. Or it is cancelled."""
    finished: list[int] = []
    running: list[int] = []
    scope = CancelScope()

    async def contestant(number: int) -> int:
        running.append(number)
        try:
            for _ in range(2):
                await checkpoint()
            finished.append(number)
        finally:
            with CancelScope(shield=True):
                await checkpoint()
            running.remove(number)
        return number

    ended: list[int] = []

    async def noted(number: int) -> int:
        result = await contestant(number)
        ended.append(number)
        return result

    async def race_them() -> None:
        with scope:
            winner = await run(*(noted(number) for number in range(3)))
            assert winner == ended[0], "another was first"
        assert running == [], "one runs on after the race"

    async with create_task_group() as group:
        group.start_soon(race_them)
        group.start_soon(cancel_one_by_one, scope)


@explore()
async def test_the_first_result_wins_and_nobody_runs_on() -> None:
    await raced(race)


def test_a_race_that_does_not_wait_or_takes_the_last_is_found_out() -> None:
    async def last_wins(*coros: Any) -> Any:
        results: list[Any] = []
        async with create_task_group() as group:

            async def run(coro: Any) -> None:
                results.append(await coro)
                group.cancel()

            for coro in coros:
                group.start_soon(run, coro)
        return results[-1]

    async def impatient(*coros: Any) -> Any:
        results: list[Any] = []
        first = Event()

        async def run(coro: Any) -> None:
            results.append(await coro)
            first.set()

        for coro in coros:
            outer.create_task(run(coro))
        await first.wait()
        return results[0]

    outer: Any = None

    async def program() -> None:
        nonlocal outer
        async with create_task_group() as outer:
            await raced(impatient)

    assert_found(lambda: raced(last_wins))
    assert_found(program)


# Rate limits


async def limited(make: Callable[[], Any]) -> None:
    """Five pass, some are cancelled at some time: the others pass as if those had never come."""
    limiter = make()
    passed: list[float] = []
    scopes = [CancelScope() for _ in range(5)]
    begin = current_time()

    async def visit(number: int) -> None:
        with scopes[number]:
            async with limiter:
                passed.append(current_time() - begin)

    async def cancel_some() -> None:
        for scope in scopes[1:3]:
            await sleep(0.4)
            await checkpoint()
            scope.cancel()

    async with create_task_group() as group:
        for number in range(5):
            group.start_soon(visit, number)
        group.start_soon(cancel_some)
    assert passed == [float(number) for number in range(len(passed))], "too early, or too late"
    assert len(passed) >= 3


@explore()
async def test_the_cancelled_leave_no_gap_in_a_rate() -> None:
    await limited(lambda: RateLimiter(1))


class Reserving:
    """A limiter that gives each who comes a time, which is lost if they are cancelled."""

    def __init__(self) -> None:
        self.next = current_time()

    async def __aenter__(self) -> None:
        due, self.next = self.next, self.next + 1
        await sleep_until(due)

    async def __aexit__(self, *exc: object) -> None:
        pass


class Unqueued:
    """A limiter at which all who wait go when the first token is there."""

    def __init__(self) -> None:
        self.next = current_time()

    async def __aenter__(self) -> None:
        if current_time() < self.next:
            await sleep_until(self.next)
        self.next = current_time() + 1

    async def __aexit__(self, *exc: object) -> None:
        pass


@pytest.mark.parametrize("broken", [Reserving, Unqueued])
def test_a_limiter_that_loses_tokens_or_finds_some_is_found_out(broken: Callable[[], Any]) -> None:
    assert_found(lambda: limited(broken))
