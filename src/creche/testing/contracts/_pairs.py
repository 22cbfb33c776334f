"""Two ends of a stream, held to the rules of one direction, or of both.

Owns which end is which, and how the suites of a two-way stream are combined. Knows no rule.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, NamedTuple, TypeVar

from ._rules import Made, Suite, check_names, conclude, opened

S = TypeVar("S")
R = TypeVar("R")


class OneWay(NamedTuple, Generic[S, R]):
    """The two ends of one direction."""

    sender: S
    receiver: R


class BothWays(NamedTuple, Generic[S]):
    """The two ends of a two-way stream."""

    left: S
    right: S


async def check_one_way(
    suite: Suite[OneWay[S, R]],
    make: Callable[[], Made[tuple[S, R]]],
    without: Collection[str],
    seconds: float,
) -> tuple[str, ...]:
    """Check two ends by the rules of one direction."""
    check_names(without, suite)
    kinds: dict[str, None] = {}

    @asynccontextmanager
    async def bench() -> AsyncGenerator[OneWay[S, R]]:
        async with opened(make) as (sender, receiver):
            kinds.update(_kinds(sender, receiver))
            yield OneWay(sender, receiver)

    kept, broken = await suite.check(bench, without, seconds)
    conclude(" and ".join(kinds), suite.contract, broken)
    return kept


async def check_both_ways(
    one_way: Suite[OneWay[S, S]],
    both_ways: Suite[BothWays[S]],
    make: Callable[[], Made[tuple[S, S]]],
    without: Collection[str],
    seconds: float,
) -> tuple[str, ...]:
    """Check by the rules of one direction, each way, and then by those of both together."""
    check_names(without, one_way, both_ways)
    kinds: dict[str, None] = {}

    @asynccontextmanager
    async def both() -> AsyncGenerator[BothWays[S]]:
        async with opened(make) as (left, right):
            kinds.update(_kinds(left, right))
            yield BothWays(left, right)

    def towards(backwards: bool) -> Callable[[], AbstractAsyncContextManager[OneWay[S, S]]]:
        @asynccontextmanager
        async def bench() -> AsyncGenerator[OneWay[S, S]]:
            async with both() as (left, right):
                yield OneWay(right, left) if backwards else OneWay(left, right)

        return bench

    kept, there = await one_way.check(towards(False), without, seconds, "(first to second) ")
    _, back = await one_way.check(towards(True), without, seconds, "(second to first) ")
    kept_too, broken = await both_ways.check(both, without, seconds)
    conclude(" and ".join(kinds), one_way.contract, [*there, *back, *broken])
    return kept + kept_too


def _kinds(*ends: object) -> dict[str, None]:
    return dict.fromkeys(type(end).__name__ for end in ends)
