"""`reduce`: combining, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import reduce as sync_reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creche import CancelScope
from creche.functools import initial_missing, reduce


async def subtract(a: int, b: int) -> int:
    return a - b


async def numbers(*values: int) -> AsyncIterator[int]:
    for value in values:
        yield value


@given(st.lists(st.integers()), st.integers())
async def test_it_combines_as_the_standard_one_does(values: list[int], initial: int) -> None:
    expected = sync_reduce(lambda a, b: a - b, values, initial)
    assert await reduce(subtract, values, initial) == expected
    assert await reduce(subtract, numbers(*values), initial=initial) == expected
    if values:
        expected = sync_reduce(lambda a, b: a - b, values)
        assert (
            await reduce(subtract, values) == await reduce(subtract, numbers(*values)) == expected
        )


async def test_one_item_and_no_initial_value_calls_nothing() -> None:
    async def never(a: int, b: int) -> int:
        raise AssertionError

    assert await reduce(never, [7]) == 7
    assert await reduce(never, [], 8) == 8


async def test_none_is_an_initial_value() -> None:
    async def pair(a: object, b: object) -> object:
        return (a, b)

    assert await reduce(pair, [1], None) == (None, 1)
    assert repr(initial_missing) == "initial_missing"


@pytest.mark.parametrize("empty", [[], numbers])
async def test_nothing_at_all_is_an_error(empty: Any) -> None:
    items = empty() if callable(empty) else empty
    with pytest.raises(TypeError, match=r"reduce\(\) of empty sequence with no initial value"):
        await reduce(subtract, items)


async def test_wrong_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="the first argument must be callable"):
        await reduce(5, [1])  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="argument 2 must be an iterable or async iterable"):
        await reduce(subtract, 5)  # type: ignore[call-overload]


async def test_each_item_is_a_checkpoint() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await reduce(subtract, [1, 2, 3])
    assert scope.cancelled_caught


async def test_the_source_is_closed_when_the_function_fails() -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
            yield 3
        finally:
            closed.append(True)

    async def fail(a: int, b: int) -> int:
        raise ValueError

    with pytest.raises(ValueError):
        await reduce(fail, source())
    assert closed == [True]
