"""The combinations of `itertools`: tools that need all items at once, and make many results of them.

Owns the pulling of all items before the first result; which results there are is for the standard
library to say. `itertools.py` publishes them.

Rules
-----
* Wrong arguments are found before anything is pulled.
* The results are made one by one, each at a checkpoint.
"""

from __future__ import annotations

import itertools as _itertools
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from operator import index
from typing import TypeVar

from .._tasks.checkpoint import ready_checkpoint
from .sources import Source, all_of, close_all

T = TypeVar("T")


def combinations(
    iterable: Iterable[T] | AsyncIterable[T], r: int
) -> AsyncGenerator[tuple[T, ...], None]:
    """Yield the subsequences of length `r`, in the order of the items.

    :param iterable: the items; all of them are pulled first
    :param r: the length of each tuple
    :raises ValueError: `r` is negative
    :raises TypeError: `r` is not an integer
    """
    return _drawn(_itertools.combinations, iterable, r)


def combinations_with_replacement(
    iterable: Iterable[T] | AsyncIterable[T], r: int
) -> AsyncGenerator[tuple[T, ...], None]:
    """Yield the subsequences of length `r` in which an item may come again.

    :param iterable: the items; all of them are pulled first
    :param r: the length of each tuple
    :raises ValueError: `r` is negative
    :raises TypeError: `r` is not an integer
    """
    return _drawn(_itertools.combinations_with_replacement, iterable, r)


async def _drawn(
    draw: Callable[[list[T], int], Iterable[tuple[T, ...]]],
    iterable: Iterable[T] | AsyncIterable[T],
    r: int,
) -> AsyncGenerator[tuple[T, ...], None]:
    _check_length(r)
    source = Source(iterable)
    del iterable
    for combination in draw(await all_of(source), r):
        await ready_checkpoint()
        yield combination


async def permutations(
    iterable: Iterable[T] | AsyncIterable[T], r: int | None = None
) -> AsyncGenerator[tuple[T, ...], None]:
    """Yield the orderings of `r` of the items.

    :param iterable: the items; all of them are pulled first
    :param r: the length of each tuple; None for all items
    :raises ValueError: `r` is negative
    :raises TypeError: `r` is neither an integer nor None
    """
    if r is not None:
        if not isinstance(r, int):  # pyright: ignore[reportUnnecessaryIsInstance]  # it may lie
            raise TypeError(f"Expected int as r, not {r!r}")
        _check_length(r)
    source = Source(iterable)
    del iterable
    for permutation in _itertools.permutations(await all_of(source), r):
        await ready_checkpoint()
        yield permutation


async def product(
    *iterables: Iterable[T] | AsyncIterable[T], repeat: int = 1
) -> AsyncGenerator[tuple[T, ...], None]:
    """Yield every choice of one item of each iterable, the last changing first.

    :param iterables: each of them sync or async; all of their items are pulled first
    :param repeat: how often to repeat the iterables
    :raises ValueError: `repeat` is negative
    :raises TypeError: `repeat` is not an integer
    """
    if index(repeat) < 0:
        raise ValueError(f"repeat argument cannot be negative: {repeat}")
    sources: list[Source[T]] = [Source(each) for each in iterables]
    del iterables
    try:
        pools = [await all_of(source) for source in sources] if repeat else []
    finally:
        await close_all(sources)
    for choice in _itertools.product(*pools, repeat=repeat):
        await ready_checkpoint()
        yield choice


def _check_length(r: int) -> None:
    if index(r) < 0:
        raise ValueError(f"r must be non-negative, not {r}")
