"""Every tool gives what the standard library's gives, from plain and from async sources.

The standard tools are the oracle: the same arguments, the same results, and not an item more
pulled from the source.
"""

from __future__ import annotations

import itertools as sync
import operator
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _harness._checkpoints import cancel_at_each_checkpoint
from creche import itertools as tools

VALUES = st.lists(st.integers(0, 9), max_size=7)
BOUND = st.none() | st.integers(0, 9)


class Pulled:
    """A source that counts what is taken from it, of either kind."""

    def __init__(self, values: list[int]) -> None:
        self.values = values
        self.count = 0

    def plain(self) -> Iterator[int]:
        for value in self.values:
            self.count += 1
            yield value

    async def asynchronous(self) -> AsyncIterator[int]:
        for value in self.plain():
            yield value


async def collect(tool: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in tool]


async def agree(
    values: list[int], tool: Callable[[Any], AsyncIterator[Any]], oracle: Callable[[Any], Any]
) -> None:
    """Compare a tool with its oracle: what they yield, and how much they pull for it."""
    expected, one, other = Pulled(values), Pulled(values), Pulled(values)
    results = list(oracle(expected.plain()))
    assert await collect(tool(one.plain())) == results
    assert await collect(tool(other.asynchronous())) == results
    assert one.count == other.count == expected.count


async def small(value: int) -> bool:
    return value < 5


async def remainder(value: int) -> int:
    return value % 3


async def multiply(a: int, b: int) -> int:
    return a * b


@given(VALUES, st.none() | st.integers(0, 5))
async def test_accumulate(values: list[int], initial: int | None) -> None:
    await agree(
        values,
        lambda items: tools.accumulate(items, initial=initial),
        lambda items: sync.accumulate(items, initial=initial),
    )
    await agree(
        values,
        lambda items: tools.accumulate(items, multiply, initial=initial),
        lambda items: sync.accumulate(items, operator.mul, initial=initial),
    )


def batches(items: Iterator[int], n: int) -> Iterator[tuple[int, ...]]:
    while batch := tuple(sync.islice(items, n)):
        yield batch


@given(VALUES, st.integers(1, 9))
async def test_batched(values: list[int], n: int) -> None:
    await agree(values, lambda items: tools.batched(items, n), lambda items: batches(items, n))


@given(st.lists(VALUES, max_size=4))
async def test_chain(lists: list[list[int]]) -> None:
    expected = list(sync.chain(*lists))
    assert await collect(tools.chain(*lists)) == expected
    assert await collect(tools.chain(*(Pulled(each).asynchronous() for each in lists))) == expected
    assert await collect(tools.chain.from_iterable(lists)) == expected
    outer: Any = Pulled(lists)  # type: ignore[arg-type]
    assert await collect(tools.chain.from_iterable(outer.asynchronous())) == expected


@given(VALUES, st.integers(0, 4))
async def test_combinations(values: list[int], r: int) -> None:
    await agree(
        values,
        lambda items: tools.combinations(items, r),
        lambda items: sync.combinations(items, r),
    )
    await agree(
        values[:5],
        lambda items: tools.combinations_with_replacement(items, r),
        lambda items: sync.combinations_with_replacement(items, r),
    )
    await agree(
        values[:5],
        lambda items: tools.permutations(items, r),
        lambda items: sync.permutations(items, r),
    )
    await agree(values[:5], tools.permutations, sync.permutations)


@given(VALUES, st.lists(st.booleans(), max_size=7))
async def test_compress(values: list[int], selectors: list[bool]) -> None:
    await agree(
        values,
        lambda items: tools.compress(items, iter(selectors)),
        lambda items: sync.compress(items, selectors),
    )
    await agree(
        [int(selector) for selector in selectors],
        lambda choices: tools.compress(values, choices),
        lambda choices: sync.compress(values, choices),
    )


@given(st.integers(), st.integers(), st.integers(0, 20))
async def test_count_and_repeat(start: int, step: int, n: int) -> None:
    counted = await collect(tools.islice(tools.count(start, step), n))
    assert counted == list(sync.islice(sync.count(start, step), n))
    assert await collect(tools.repeat(start, n)) == [start] * n
    assert await collect(tools.repeat(start, -n)) == []
    assert await collect(tools.islice(tools.repeat(start), n)) == [start] * n


@given(VALUES, st.integers(0, 20))
async def test_cycle(values: list[int], n: int) -> None:
    await agree(
        values,
        lambda items: tools.islice(tools.cycle(items), n),
        lambda items: sync.islice(sync.cycle(items), n),
    )


@given(VALUES)
async def test_tools_with_a_predicate(values: list[int]) -> None:
    below = (5).__gt__
    await agree(values, lambda x: tools.dropwhile(small, x), lambda x: sync.dropwhile(below, x))
    await agree(values, lambda x: tools.takewhile(small, x), lambda x: sync.takewhile(below, x))
    await agree(values, lambda x: tools.filterfalse(small, x), lambda x: sync.filterfalse(below, x))


@given(VALUES)
async def test_groupby(values: list[int]) -> None:
    def groups(items: Iterator[int], key: Any = None) -> list[tuple[object, list[int]]]:
        return [(each, list(group)) for each, group in sync.groupby(items, key)]

    await agree(values, tools.groupby, groups)
    await agree(
        values,
        lambda items: tools.groupby(items, remainder),
        lambda items: groups(items, lambda value: value % 3),
    )


async def test_groupby_takes_an_object_for_equal_to_itself() -> None:
    nan = float("nan")
    assert await collect(tools.groupby([nan, nan])) == [(nan, [nan, nan])]


@given(VALUES, st.lists(BOUND, min_size=1, max_size=2), st.none() | st.integers(1, 4))
async def test_islice(values: list[int], bounds: list[int | None], step: int | None) -> None:
    arguments = [*bounds, step] if len(bounds) == 2 else bounds
    await agree(
        values,
        lambda items: tools.islice(items, *arguments),
        lambda items: sync.islice(items, *arguments),
    )


@given(VALUES)
async def test_pairwise(values: list[int]) -> None:
    await agree(values, tools.pairwise, sync.pairwise)


@given(st.lists(VALUES.map(lambda values: values[:3]), max_size=3), st.integers(0, 2))
async def test_product(lists: list[list[int]], repeat: int) -> None:
    expected = list(sync.product(*lists, repeat=repeat))
    assert await collect(tools.product(*lists, repeat=repeat)) == expected
    sources = [Pulled(each).asynchronous() for each in lists]
    assert await collect(tools.product(*sources, repeat=repeat)) == expected


@given(st.lists(st.tuples(st.integers(), st.integers()), max_size=5))
async def test_starmap(pairs: list[tuple[int, int]]) -> None:
    expected = list(sync.starmap(operator.mul, pairs))
    assert await collect(tools.starmap(multiply, pairs)) == expected
    arguments = [Pulled(list(pair)).asynchronous() for pair in pairs]
    assert await collect(tools.starmap(multiply, arguments)) == expected


@given(st.lists(VALUES, max_size=4))
async def test_zip_longest(lists: list[list[int]]) -> None:
    expected = list(sync.zip_longest(*lists, fillvalue=-1))
    sources: list[Any] = [
        Pulled(each).asynchronous() if place % 2 else each for place, each in enumerate(lists)
    ]
    assert await collect(tools.zip_longest(*sources, fillvalue=-1)) == expected


@given(VALUES, st.lists(st.integers(0, 2), max_size=30))
async def test_tee(values: list[int], turns: list[int]) -> None:
    source = Pulled(values)
    ours = tools.tee(source.asynchronous(), 3)
    theirs = sync.tee(values, 3)
    for turn in turns:
        assert await anext(ours[turn], None) == next(theirs[turn], None)
    assert source.count == min(len(values), max(map(turns.count, range(3)), default=0))
    for one, other in zip(ours, theirs, strict=True):
        assert await collect(one) == list(other)


# Wrong arguments are found before anything is pulled


loose: Any = tools  # what type checkers would not let through
WRONG: list[tuple[Callable[[Any], AsyncIterator[Any]], type[Exception], str]] = [
    (lambda items: loose.batched(items, 0), ValueError, "n must be at least one"),
    (lambda items: loose.batched(items, -1), ValueError, "n must be at least one"),
    (lambda items: loose.combinations(items, -1), ValueError, "r must be non-negative"),
    (
        lambda items: loose.combinations_with_replacement(items, -1),
        ValueError,
        "r must be non-negative",
    ),
    (lambda items: loose.permutations(items, -1), ValueError, "r must be non-negative"),
    (lambda items: loose.permutations(items, "x"), TypeError, "Expected int as r"),
    (lambda items: loose.permutations(items, 1.0), TypeError, "Expected int as r"),
    (
        lambda items: loose.combinations(items, "x"),
        TypeError,
        "cannot be interpreted as an integer",
    ),
    (lambda items: loose.batched(items, 1.5), TypeError, "cannot be interpreted as an integer"),
    (
        lambda items: loose.product(items, repeat=-1),
        ValueError,
        "repeat argument cannot be negative",
    ),
    (
        lambda items: loose.product(items, repeat="x"),
        TypeError,
        "cannot be interpreted as an integer",
    ),
    (lambda items: loose.repeat(items, "x"), TypeError, "cannot be interpreted as an integer"),
    (lambda items: loose.islice(items), TypeError, "at least 2 arguments"),
    (lambda items: loose.islice(items, 1, 2, 3, 4), TypeError, "at most 4 arguments"),
    (
        lambda items: loose.islice(items, -1),
        ValueError,
        r"Stop argument for islice\(\) must be None or an integer",
    ),
    (
        lambda items: loose.islice(items, -1, 2),
        ValueError,
        r"Indices for islice\(\) must be None or an integer: 0 <= x <= sys.maxsize.",
    ),
    (
        lambda items: loose.islice(items, 0, None, 0),
        ValueError,
        r"Step for islice\(\) must be a positive integer or None",
    ),
    (
        lambda items: loose.islice(items, sys.maxsize + 1),
        ValueError,
        r"Stop argument for islice\(\) must be None or an integer",
    ),
]


@pytest.mark.parametrize("place", range(len(WRONG)))
async def test_a_wrong_argument_is_named_before_anything_is_pulled(place: int) -> None:
    tool, error, words = WRONG[place]
    source = Pulled([1, 2, 3])
    with pytest.raises(error, match=words):
        await collect(tool(source.plain()))
    assert source.count == 0


@pytest.mark.parametrize("n", [-1, -7])
def test_tee_refuses_a_negative_number(n: int) -> None:
    with pytest.raises(ValueError, match="n must be >= 0"):
        tools.tee([1], n)


def test_tee_refuses_what_is_not_a_number() -> None:
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        tools.tee([1], "x")  # type: ignore[arg-type]


async def test_an_incomplete_batch_is_an_error_when_strict() -> None:
    got: list[tuple[int, ...]] = []
    with pytest.raises(ValueError, match=r"batched\(\): incomplete batch"):
        async for batch in tools.batched([1, 2, 3], 2, strict=True):
            got += [batch]
    assert got == [(1, 2)]
    assert await collect(tools.batched([1, 2], 2, strict=True)) == [(1, 2)]


@pytest.mark.parametrize(
    "tool", [tools.chain, tools.pairwise, tools.cycle, tools.groupby, tools.product]
)
async def test_what_is_not_iterable_is_a_type_error(tool: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        await collect(tool(5))


async def first_of(row: Any) -> Any:
    return row


NOTHING: dict[str, Callable[[], AsyncIterator[Any]]] = {
    "accumulate": lambda: tools.accumulate([]),
    "batched": lambda: tools.batched([], 2),
    "chain": lambda: tools.chain(),
    "chain of nothing": lambda: tools.chain([], []),
    "chain from nothing": lambda: tools.chain.from_iterable([]),
    "combinations": lambda: tools.combinations([], 1),
    "combinations_with_replacement": lambda: tools.combinations_with_replacement([], 1),
    "compress": lambda: tools.compress([], []),
    "cycle": lambda: tools.cycle([]),
    "dropwhile": lambda: tools.dropwhile(small, []),
    "filterfalse": lambda: tools.filterfalse(small, []),
    "groupby": lambda: tools.groupby([]),
    "islice": lambda: tools.islice([], 3),
    "islice of nothing": lambda: tools.islice([1, 2], 0),
    "islice from there to there": lambda: tools.islice([1, 2], 0, 0, 2),
    "pairwise": lambda: tools.pairwise([]),
    "permutations": lambda: tools.permutations([], 1),
    "product": lambda: tools.product([], []),
    "repeat": lambda: tools.repeat(1, 0),
    "repeat a negative number of times": lambda: tools.repeat(1, -1),
    "starmap": lambda: tools.starmap(first_of, []),
    "takewhile": lambda: tools.takewhile(small, []),
    "tee": lambda: tools.tee([], 1)[0],
    "zip_longest": lambda: tools.zip_longest(),
    "zip_longest of nothing": lambda: tools.zip_longest([], []),
}


@pytest.mark.parametrize("name", NOTHING)
async def test_a_tool_that_yields_nothing_is_a_checkpoint(name: str) -> None:
    async def run() -> None:
        assert await collect(NOTHING[name]()) == []

    assert await cancel_at_each_checkpoint(run) >= 1
