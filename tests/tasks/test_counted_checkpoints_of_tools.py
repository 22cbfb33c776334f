"""Checkpoints counted in what is built of the rest: iterators, caches, flow, services.

What they are given is ready, so that nothing has to wait: others get their turn all the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from _turns import LEAST, TIMES, Maker, Opened, Operation, turns_of_another

import creche
from creche import CancelScope, flow, functools, itertools, services
from creche.abc import TaskStatus

MANY = range(4 * TIMES)


async def returns(value: Any = 1, *_: Any) -> Any:
    return value


async def yes(_: Any) -> bool:
    return True


async def no(_: Any) -> bool:
    return False


# Iterators: each makes items from what is there

TOOLS: dict[str, Any] = {
    "accumulate": lambda: itertools.accumulate(MANY),
    "batched": lambda: itertools.batched(MANY, 2),
    "chain": lambda: itertools.chain(MANY, MANY),
    "chain.from_iterable": lambda: itertools.chain.from_iterable([MANY, MANY]),
    "combinations": lambda: itertools.combinations(range(100), 2),
    "combinations_with_replacement": lambda: itertools.combinations_with_replacement(range(100), 2),
    "compress": lambda: itertools.compress(MANY, [1] * len(MANY)),
    "compress, nothing of it": lambda: itertools.compress(MANY, [0, 0, 1] * len(MANY)),
    "count": lambda: itertools.count(),
    "cycle": lambda: itertools.cycle("abc"),
    "dropwhile": lambda: itertools.dropwhile(no, MANY),
    "filterfalse": lambda: itertools.filterfalse(no, MANY),
    "groupby": lambda: itertools.groupby(MANY),
    "islice": lambda: itertools.islice(MANY, 2, None, 2),
    "pairwise": lambda: itertools.pairwise(MANY),
    "permutations": lambda: itertools.permutations(range(100), 2),
    "product": lambda: itertools.product(range(100), range(100)),
    "repeat": lambda: itertools.repeat(1),
    "starmap": lambda: itertools.starmap(returns, [[1]] * len(MANY)),
    "takewhile": lambda: itertools.takewhile(yes, MANY),
    "tee": lambda: itertools.tee(MANY)[0],
    "zip_longest": lambda: itertools.zip_longest(MANY, MANY),
}


@pytest.mark.parametrize("name", TOOLS)
async def test_an_iterator_lets_others_run_when_its_budget_is_spent(name: str) -> None:
    items = TOOLS[name]()
    assert await turns_of_another(lambda: anext(items)) >= LEAST
    if hasattr(items, "aclose"):
        await items.aclose()


@pytest.mark.parametrize("name", TOOLS)
async def test_an_iterator_is_cancelled_in_a_cancelled_scope(name: str) -> None:
    items = TOOLS[name]()
    with CancelScope() as scope:
        scope.cancel()
        await anext(items)
    assert scope.cancelled_caught


# One long operation


async def test_a_long_reduce_lets_others_run() -> None:
    async def add(one: int, two: int) -> int:
        return one + two

    assert await turns_of_another(lambda: functools.reduce(add, range(TIMES)), 1) >= LEAST


async def test_what_an_iterator_passes_over_lets_others_run() -> None:
    async def few(number: int) -> bool:
        return number < TIMES

    for items in (
        itertools.dropwhile(few, MANY),
        itertools.filterfalse(few, MANY),
        itertools.islice(MANY, TIMES, None),
    ):
        async with aclosing(items):
            assert await turns_of_another(partial(anext, items), 1) >= LEAST


# Caches


async def what_a_cache_has(opened: Opened) -> Operation:
    cached = functools.lru_cache(always_checkpoint=True)(returns)
    await cached(1)
    return lambda: cached(1)


# Flow


async def a_map(opened: Opened) -> Operation:
    return lambda: flow.map_bounded(returns, [1, 2])


async def a_map_of_nothing(opened: Opened) -> Operation:
    return lambda: flow.map_bounded(returns, [])


async def a_loop_over_nothing(opened: Opened) -> Operation:
    return lambda: flow.for_each(returns, [])


async def a_map_without_arguments(opened: Opened) -> Operation:
    return lambda: creche.amap(returns, [])


async def a_race(opened: Opened) -> Operation:
    return lambda: flow.race(returns, returns)


async def a_select_of_what_is_ready(opened: Opened) -> Operation:
    watched = flow.Watched(1)
    return lambda: flow.select(watched.waiting_for(lambda value: value == 1))


async def a_select_of_a_deadline_that_has_passed(opened: Opened) -> Operation:
    return lambda: flow.select(flow.deadline_after(-1))


async def broadcasting(opened: Opened) -> Operation:
    send = opened.enter_context(flow.create_broadcast[int](2))
    receive = opened.enter_context(send.subscribe())

    async def operate() -> None:
        await send.send(1)
        assert await receive.receive() == 1

    return operate


async def a_broadcast_to_nobody(opened: Opened) -> Operation:
    send = opened.enter_context(flow.create_broadcast[int](2))
    return lambda: send.send(1)


async def a_watched_value_that_is_right(opened: Opened) -> Operation:
    watched = flow.Watched(1)
    return lambda: watched.wait_for(lambda value: value == 1)


async def the_changes_of_a_watched_value(opened: Opened) -> Operation:
    watched = flow.Watched(0)
    changes = watched.changes()

    async def operate() -> None:
        watched.update(lambda value: value + 1)
        await anext(changes)

    return operate


async def tokens_of_a_rate(opened: Opened) -> Operation:
    return flow.RateLimiter(1e9, 1000 * TIMES).acquire


@flow.as_safe_stream(buffer=4 * TIMES)
async def numbers() -> Any:
    for number in range(4 * TIMES):
        yield number


async def a_safe_stream(opened: Opened) -> Operation:
    items = await opened.enter_async_context(numbers())
    await anext(items)
    return lambda: anext(items)


async def results_of_a_map(opened: Opened) -> Operation:
    results = await opened.enter_async_context(flow.as_mapped(returns, MANY, at_most=2))
    return lambda: anext(results)


# Services


async def a_stop_that_was_asked(opened: Opened) -> Operation:
    scope = opened.enter_context(CancelScope())
    scope.stop()
    return services.wait_for_stop


async def ticks_that_are_late(opened: Opened) -> Operation:
    ticker = services.every(1e-9)
    return lambda: anext(ticker)


async def a_resource_that_is_entered_and_left(opened: Opened) -> Operation:
    @asynccontextmanager
    async def resource() -> AsyncIterator[object]:
        yield object()

    group = await opened.enter_async_context(services.create_resource_group())

    async def operate() -> None:
        await group.leave(await group.enter(resource()))

    return operate


async def an_ended_service(opened: Opened) -> Operation:
    async def service(*, task_status: TaskStatus[None]) -> None:
        task_status.started()

    supervisor = await opened.enter_async_context(services.create_supervisor())
    handle = await supervisor.start(service, restart="never")
    await handle.wait()
    return handle.wait


READY = (
    what_a_cache_has, a_map, a_map_of_nothing, a_loop_over_nothing, a_map_without_arguments, a_race,
    a_select_of_what_is_ready, a_select_of_a_deadline_that_has_passed, broadcasting, a_broadcast_to_nobody,
    a_watched_value_that_is_right, the_changes_of_a_watched_value, tokens_of_a_rate, a_safe_stream,
    results_of_a_map, a_stop_that_was_asked, ticks_that_are_late, a_resource_that_is_entered_and_left,
    an_ended_service,
)  # fmt: skip
# As a group does, it ends in a cancelled scope as it does elsewhere: nobody is interrupted in it.
UNCANCELLED = (a_map_without_arguments,)


@pytest.mark.parametrize("make", READY, ids=lambda make: make.__name__)
async def test_what_is_ready_lets_others_run_when_its_budget_is_spent(make: Maker) -> None:
    async with Opened() as opened:
        assert await turns_of_another(await make(opened)) >= LEAST


@pytest.mark.parametrize(
    "make", [make for make in READY if make not in UNCANCELLED], ids=lambda make: make.__name__
)
async def test_what_is_ready_is_cancelled_in_a_cancelled_scope(make: Maker) -> None:
    async with Opened() as opened:
        operation = await make(opened)
        with CancelScope() as scope:
            scope.cancel()
            await operation()
    assert scope.cancelled_caught
