"""`gather`, `amap`, `as_completed`, `cache`, `reduce` and `tee` under many schedules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one, leaves

from creche import CancelScope, Lock, amap, as_completed, create_task_group, gather
from creche.functools import cache, lru_cache
from creche.itertools import tee
from creche.lowlevel import checkpoint
from creche.testing import explore


class Broken(Exception):
    pass


async def work(number: int) -> int:
    for _ in range(number % 3):
        await checkpoint()
    return number


# Results


async def results_in_order(combine: Callable[[list[int]], Any]) -> None:
    assert list(await combine([4, 2, 3, 0])) == [4, 2, 3, 0], "mixed up"


@explore(runs=100)
async def test_gather_and_amap_return_results_in_the_order_of_the_arguments() -> None:
    await results_in_order(lambda numbers: gather(*map(work, numbers)))
    await results_in_order(lambda numbers: amap(work, numbers))


async def as_they_come(numbers: list[int]) -> list[int]:
    """A `gather` that has its results in the order in which they come."""
    results: list[int] = []

    async def run(number: int) -> None:
        results.append(await work(number))

    async with create_task_group() as group:
        for number in numbers:
            group.start_soon(run, number)
    return results


def test_results_that_are_mixed_up_are_found_out() -> None:
    assert_found(lambda: results_in_order(as_they_come))


@explore(runs=100)
async def test_a_gather_that_fails_has_ended_all_it_began() -> None:
    running = 0

    async def run(number: int) -> None:
        nonlocal running
        running += 1
        try:
            await work(number)
            if number == 1:
                raise Broken
            await checkpoint()
        finally:
            running -= 1

    with pytest.raises(ExceptionGroup) as caught:
        await gather(*(run(number) for number in range(4)))
    assert [type(leaf) for leaf in leaves(caught.value)] == [Broken]
    assert running == 0


@pytest.mark.parametrize("wanted", [2, 4])
@explore(runs=100)
async def test_as_completed_hands_out_each_task_once_as_it_ends(wanted: int) -> None:
    order: list[int] = []
    handed: list[int] = []

    async def run(number: int) -> int:
        result = await work(number)
        order.append(number)
        return result

    async with as_completed(*(run(number) for number in range(4))) as results:
        async for handle in results:
            handed.append(handle.return_value)
            if len(handed) == wanted:
                break
    assert handed == order[:wanted]
    assert len({*handed}) == wanted


# One call for all who ask


async def one_call_for_all(decorate: Callable[[Any], Any], *, cancelled: bool) -> None:
    """Three ask for the same at once: one call is made at a time, and none in vain."""
    calls, running = 0, 0
    answers: list[int] = []
    scope = CancelScope()

    @decorate
    async def question(key: int) -> int:
        nonlocal calls, running
        calls += 1
        running += 1
        assert running == 1, "asked twice at once"
        try:
            await checkpoint()
            await checkpoint()
        finally:
            running -= 1
        return key * 2

    async def ask(scope: CancelScope) -> None:
        with scope:
            answers.append(await question(21))

    async with create_task_group() as group:
        group.start_soon(ask, scope)
        group.start_soon(ask, CancelScope())
        group.start_soon(ask, CancelScope())
        if cancelled:
            group.start_soon(cancel_one_by_one, scope)
    assert answers in ([42] * 3, [42] * 2)
    assert len(answers) == 3 or scope.cancelled_caught, "one got no answer"
    assert calls == 1 or (cancelled and calls == 2), "asked again for what is known"
    assert await question(21) == 42
    assert calls <= 2


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("decorate", [cache, lru_cache(maxsize=1)], ids=["cache", "lru_cache"])
@explore(runs=100)
async def test_callers_that_come_together_share_one_call(
    decorate: Callable[[Any], Any], cancelled: bool
) -> None:
    await one_call_for_all(decorate, cancelled=cancelled)


def naive_cache(function: Any) -> Any:
    """A cache that looks whether it knows the answer, and asks if not."""
    known: dict[int, int] = {}

    async def ask(key: int) -> int:
        if key not in known:
            known[key] = await function(key)
        return known[key]

    return ask


def test_a_cache_that_asks_twice_is_found_out() -> None:
    assert_found(lambda: one_call_for_all(naive_cache, cancelled=False))


# One source for several


async def source(log: list[str]) -> AsyncIterator[int]:
    for number in range(4):
        log.append("asked")
        await checkpoint()
        yield number


async def read_by_two(split: Callable[[Any], tuple[Any, ...]]) -> None:
    """Two read the same source, and a third that is cancelled: each sees all of it, in order."""
    log: list[str] = []
    seen: list[list[int]] = [[], [], []]
    scope = CancelScope()

    async def read(items: Any, into: list[int], scope: CancelScope) -> None:
        with scope:
            async for item in items:
                into.append(item)
                await checkpoint()

    iterators = split(source(log))
    async with create_task_group() as group:
        for iterator, into in zip(iterators, seen, strict=True):
            mine = scope if into is seen[2] else CancelScope()
            group.start_soon(read, iterator, into, mine)
    assert seen[:2] == [[0, 1, 2, 3]] * 2, "one missed something"
    assert seen[2] == list(range(len(seen[2])))
    assert log == ["asked"] * 4


@explore(runs=100)
async def test_each_iterator_of_a_tee_sees_all_items_in_order() -> None:
    await read_by_two(lambda items: tee(items, 3))


class Shared:
    """Iterators that all take from the source, and keep what they have taken to themselves."""

    def __init__(self, items: Any) -> None:
        self._items = items
        self._lock = Lock()

    def __aiter__(self) -> Shared:
        return self

    async def __anext__(self) -> int:
        async with self._lock:
            item: int = await anext(self._items)
            return item


def test_a_tee_whose_iterators_rob_each_other_is_found_out() -> None:
    def split(items: Any) -> tuple[Any, ...]:
        shared = Shared(items)
        return shared, shared, shared

    assert_found(lambda: read_by_two(split))
