"""What happens to the sources: laziness, checkpoints, closing, and what stays yours."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from itertools import repeat
from typing import Any

import pytest

from creche import (
    CancelScope,
    create_memory_object_stream,
    create_task_group,
    get_cancelled_exc_class,
    move_on_after,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche import itertools as tools
from creche.lowlevel import checkpoint


class Source:
    """Makes async generators, and knows which of them have ended."""

    def __init__(self, *values: int) -> None:
        self.values = values or (1, 2, 3, 4)
        self.pulled: list[int] = []
        self.opened = self.closed = 0

    async def items(self) -> AsyncGenerator[int, None]:
        self.opened += 1
        try:
            for value in self.values:
                self.pulled.append(value)
                yield value
        finally:
            self.closed += 1

    def __aiter__(self) -> AsyncIterator[int]:
        return self.items()


async def true(*_: object) -> bool:
    return True


async def fail(*_: object) -> bool:
    raise ValueError


async def first(*values: Any) -> Any:
    return values[0]


UNFINISHED: dict[str, Callable[[Any], AsyncGenerator[Any, None]]] = {
    "accumulate": tools.accumulate,
    "batched": lambda items: tools.batched(items, 2),
    "chain": tools.chain,
    "chain.from_iterable": lambda items: tools.chain.from_iterable(iter_of(items)),
    "compress": lambda items: tools.compress(items, tools.repeat(1)),
    "compress selectors": lambda items: tools.compress([1, 2, 3], items),
    "cycle": tools.cycle,
    "dropwhile": lambda items: tools.dropwhile(fail_later(), items),
    "filterfalse": lambda items: tools.filterfalse(falsely, items),
    "groupby": tools.groupby,
    "islice": lambda items: tools.islice(items, 3),
    "pairwise": tools.pairwise,
    "starmap": lambda items: tools.starmap(first, pairs(items)),
    "takewhile": lambda items: tools.takewhile(true, items),
    "zip_longest": lambda items: tools.zip_longest([1, 2], items),
}
unfinished = pytest.mark.parametrize("name", UNFINISHED)


def iter_of(items: Any) -> Any:
    """Yield the only item, keeping no reference to it."""
    kept = [items]
    del items
    while kept:
        yield kept.pop()


def fail_later() -> Any:
    async def predicate(value: int) -> bool:
        return value < 2

    return predicate


async def falsely(value: int) -> bool:
    return False


async def pairs(items: Any) -> AsyncGenerator[tuple[int, int], None]:
    async with aclosing(items) as source:
        async for item in source:
            yield item, item


# Closing


@unfinished
async def test_closing_a_tool_closes_a_source_that_only_it_holds(name: str) -> None:
    source = Source()
    tool = UNFINISHED[name](source.items())
    await anext(tool)
    assert source.closed == 0
    await tool.aclose()
    assert source.closed == source.opened == 1


@pytest.mark.parametrize("name", [name for name in UNFINISHED if name != "starmap"])
async def test_closing_a_tool_closes_the_iterator_that_it_opened(name: str) -> None:
    source = Source()
    tool = UNFINISHED[name](source)
    await anext(tool)
    await tool.aclose()
    assert source.closed == source.opened == 1


@pytest.mark.parametrize("name", [name for name in UNFINISHED if name not in ("starmap", "cycle")])
async def test_a_source_that_you_hold_goes_on_where_the_tool_left_it(name: str) -> None:
    source = Source(1, 2, 3, 4, 5, 6)
    mine = source.items()
    tool = UNFINISHED[name](mine)
    await anext(tool)
    await tool.aclose()
    seen = len(source.pulled)
    assert [item async for item in mine] == [1, 2, 3, 4, 5, 6][seen:]
    assert source.closed == 1


async def test_a_tool_that_ends_early_has_closed_its_source_by_then() -> None:
    source = Source()
    assert [item async for item in tools.islice(source.items(), 2)] == [1, 2]
    assert source.closed == 1
    taken = tools.takewhile(fail_later(), source.items())
    assert [item async for item in taken] == [1]
    assert source.closed == 2
    assert [item async for item in tools.compress(source.items(), [1, 0])] == [1]
    assert source.closed == 3


async def test_islice_takes_no_more_than_its_share_of_an_iterator_that_you_hold() -> None:
    mine = Source().items()
    assert [item async for item in tools.islice(mine, 2)] == [1, 2]
    assert [item async for item in mine] == [3, 4]


async def test_a_stream_that_you_hold_is_not_closed() -> None:
    send, receive = create_memory_object_stream[int](4)
    with send, receive:
        for number in range(4):
            send.send_nowait(number)
        assert [item async for item in tools.islice(receive, 2)] == [0, 1]
        async with aclosing(tools.pairwise(receive)) as pairs_of:
            assert await anext(pairs_of) == (2, 3)
        send.send_nowait(9)
        assert await receive.receive() == 9


async def test_a_chain_of_tools_is_closed_to_its_end() -> None:
    source = Source()
    tool = tools.pairwise(tools.chain(tools.islice(tools.cycle(source.items()), 100)))
    await anext(tool)
    await tool.aclose()
    assert source.closed == 1


async def test_an_error_in_a_function_closes_the_source() -> None:
    source = Source()
    for tool in (
        tools.takewhile(fail, source.items()),
        tools.dropwhile(fail, source.items()),
        tools.filterfalse(fail, source.items()),
        tools.groupby(source.items(), fail),
        tools.starmap(fail, [source.items()]),
        tools.accumulate(source.items(), fail),
    ):
        with pytest.raises(ValueError):
            _ = [item async for item in tool]
        assert source.closed == source.opened
    assert source.opened == 6


async def test_an_error_of_the_source_ends_the_tool() -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("of the source")

    other = Source()
    tool = tools.zip_longest(other.items(), failing())
    assert await anext(tool) == (1, 1)
    with pytest.raises(ValueError, match="of the source"):
        await anext(tool)
    assert other.closed == 1
    assert await anext(tool, "over") == "over"


async def test_combinations_close_what_they_did_not_finish() -> None:
    for make in (
        lambda items: tools.combinations(items, 2),
        lambda items: tools.combinations_with_replacement(items, 2),
        tools.permutations,
        tools.product,
    ):
        source = Source()
        with CancelScope() as scope:
            scope.cancel()
            await anext(make(source.items()))
        assert scope.cancelled_caught
        assert source.pulled == []


async def test_when_closing_one_source_fails_the_others_are_closed() -> None:
    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            raise ValueError("on the way out")

    one, other = Source(), Source()
    tool = tools.zip_longest(one.items(), stubborn(), other.items())
    await anext(tool)
    with pytest.raises(ValueError, match="on the way out"):
        await tool.aclose()
    assert (one.closed, other.closed) == (1, 1)


# Laziness


@unfinished
async def test_making_a_tool_pulls_nothing(name: str) -> None:
    source = Source()
    tool = UNFINISHED[name](source.items())
    await checkpoint()
    assert source.opened == 0
    await tool.aclose()


async def test_each_tool_works_with_endless_sources() -> None:
    count = tools.count
    assert [x async for x in tools.islice(tools.chain(count(), count()), 2)] == [0, 1]
    assert [x async for x in tools.islice(tools.cycle(count()), 2)] == [0, 1]
    assert [x async for x in tools.islice(tools.batched(count(), 2), 2)] == [(0, 1), (2, 3)]
    assert [x async for x in tools.islice(tools.pairwise(count()), 1)] == [(0, 1)]
    assert [x async for x in tools.islice(tools.zip_longest(count(), "a"), 2)] == [
        (0, "a"),
        (1, None),
    ]


# Checkpoints and cancellation


ENDLESS: dict[str, Callable[[], AsyncIterator[Any]]] = {
    "accumulate": lambda: tools.accumulate(tools.repeat(1)),
    "chain": lambda: tools.chain.from_iterable(repeat([1])),
    "count": tools.count,
    "cycle": lambda: tools.cycle([1, 2]),
    "dropwhile": lambda: tools.dropwhile(true, iter(int, 1)),
    "filterfalse": lambda: tools.filterfalse(true, iter(int, 1)),
    "permutations": lambda: tools.permutations(range(100)),
    "product": lambda: tools.product(range(100), repeat=20),
    "combinations": lambda: tools.combinations(range(100), 50),
    "combinations_with_replacement": lambda: tools.combinations_with_replacement(range(100), 50),
    "repeat": lambda: tools.repeat(1),
    "tee": lambda: tools.tee(iter(int, 1))[0],
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_an_endless_loop_lets_others_run_and_sees_its_deadline(name: str) -> None:
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    async with create_task_group() as group:
        group.start_soon(other)
        with move_on_after(0.02) as scope:
            async for _ in ENDLESS[name]():
                pass
    assert scope.cancelled_caught
    assert ran == ["other"]


@unfinished
async def test_a_cancelled_wait_for_an_item_ends_the_source(name: str) -> None:
    ended: list[str] = []

    async def waiting() -> AsyncIterator[int]:
        try:
            yield 1
            await sleep_forever()
        except get_cancelled_exc_class():
            ended.append(name)
            raise

    async def consume() -> None:
        async for _ in UNFINISHED[name](waiting()):
            pass

    async with create_task_group() as group:
        group.start_soon(consume)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert ended == [name]


# tee


async def test_tasks_share_a_tee_and_each_sees_every_item() -> None:
    async def slow() -> AsyncIterator[int]:
        for number in range(20):
            await checkpoint()
            yield number

    async def consume(items: AsyncIterator[int]) -> list[int]:
        return [item async for item in items]

    async with create_task_group() as group:
        handles = [group.create_task(consume(each)) for each in tools.tee(slow(), 4)]
    assert [handle.return_value for handle in handles] == [list(range(20))] * 4


async def test_tasks_that_share_one_of_the_iterators_get_each_item_once() -> None:
    async def slow() -> AsyncIterator[int]:
        for number in range(20):
            await checkpoint()
            yield number

    got: list[int] = []
    one, other = tools.tee(slow())

    async def consume() -> None:
        got.extend([item async for item in one])

    async with create_task_group() as group:
        for _ in range(3):
            group.start_soon(consume)
    assert sorted(got) == [item async for item in other] == list(range(20))


async def test_no_item_is_lost_when_the_task_that_pulls_is_cancelled() -> None:
    send, receive = create_memory_object_stream[int](10)
    one, other = tools.tee(receive)
    scope = CancelScope()
    got: list[int] = []

    async def impatient() -> None:
        with scope:
            got.append(await anext(one))

    async def patient() -> None:
        got.append(await anext(other))

    with send, receive:
        async with create_task_group() as group:
            group.start_soon(impatient)
            await wait_all_tasks_blocked()
            group.start_soon(patient)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            send.send_nowait(7)
        assert got == [7]
        assert await anext(one) == 7


async def test_the_last_iterator_that_is_closed_closes_the_source() -> None:
    source = Source()
    one, other = closing = tools.tee(source.items())
    await anext(one)
    await closing[0].aclose()  # type: ignore[attr-defined]
    assert source.closed == 0
    assert await anext(one, "closed") == "closed"
    assert [await anext(other), await anext(other)] == [1, 2]
    await closing[1].aclose()  # type: ignore[attr-defined]
    await closing[1].aclose()  # type: ignore[attr-defined]
    assert source.closed == 1


async def test_an_iterator_of_a_tee_can_be_split_again() -> None:
    one, other = tools.tee(Source().items())
    await anext(one)
    third, fourth = tools.tee(one)
    assert [await anext(each) for each in (third, fourth, one, other)] == [2, 2, 2, 1]
    await third.aclose()  # type: ignore[attr-defined]
    assert [item async for item in tools.tee(third)[0]] == []
    for each in (one, other, fourth):
        assert [item async for item in each][-1] == 4


async def test_what_all_have_had_is_not_kept() -> None:
    alive: list[int] = []

    class Item:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    one, other = tools.tee(Item() for _ in range(100))
    for _ in range(100):
        await anext(one)
        await anext(other)
    gc.collect()
    assert len(alive) == 0


async def test_a_long_way_between_two_iterators_is_no_danger() -> None:
    one, other = tools.tee(range(50_000))
    assert await anext(other) == 0
    total = 0
    async for _ in one:
        total += 1
    assert total == 50_000
    del other
    gc.collect()
