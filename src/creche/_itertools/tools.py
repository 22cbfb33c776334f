"""The tools of the standard library's `itertools`, over async iterables as well as plain ones.

Owns what each tool yields that takes its items one by one; those that need all of them at once are
in `_itertools/combinations.py`, and `tee` is in `_itertools/tee.py`. How items are pulled and who closes the iterators is
in `_itertools/sources.py`: an iterator that only the tool holds is closed with it, one that you hold stays
yours. Functions given to a tool are async.

Rules
-----
* Every item is a checkpoint, whether it was waited for or not; so is the end of a tool that had none.
* Nothing is pulled before it is needed, and nothing more than the standard library's tool pulls.
* Wrong arguments are found before anything is pulled.
* Used up, a tool has closed what was its own. Left before that, it does when it is closed:
  `async with aclosing(...)`, as for every async generator.
"""

from __future__ import annotations

import itertools as _itertools
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from operator import index
from typing import Any, TypeVar

from .._tasks.checkpoint import ready_checkpoint
from .sources import Source, all_of, close_all

T = TypeVar("T")
R = TypeVar("R")

_END: Any = object()


class Chain:
    """The type of `chain`, which is called, and has a method for iterables that come one by one."""

    __slots__ = ()

    def __call__(self, *iterables: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
        """Yield the items of the first iterable, then those of the next, and so on.

        :param iterables: each of them sync or async
        :raises TypeError: (when it is reached) one of them is not iterable
        """
        return self.from_iterable(_one_by_one(list(iterables)))

    async def from_iterable(
        self,
        iterables: Iterable[Iterable[T] | AsyncIterable[T]]
        | AsyncIterable[Iterable[T] | AsyncIterable[T]],
    ) -> AsyncGenerator[T, None]:
        """Yield the items of each iterable in turn, asking for the next when one is used up.

        :param iterables: the iterables, sync or async; an async iterable may also yield them
        :raises TypeError: (when it is reached) one of them is not iterable
        """
        async with Source(iterables) as outer:
            del iterables
            async for each in outer:
                async with Source(each) as inner:
                    del each
                    async for item in inner:
                        yield item


chain: Chain = Chain()
"""Several iterables as one: `chain(a, b)`, or `chain.from_iterable(iterables)`."""


async def _add(total: Any, item: Any) -> Any:
    return total + item


async def accumulate(
    iterable: Iterable[T] | AsyncIterable[T],
    function: Callable[[T, T], Awaitable[T]] = _add,
    *,
    initial: T | None = None,
) -> AsyncGenerator[T, None]:
    """Yield running totals, or what else an async function of total and item makes of them.

    :param iterable: the items
    :param function: an async function of the total so far and the next item
    :param initial: what to begin with; None for the first item
    """
    total: Any = _END if initial is None else initial
    async with Source(iterable) as items:
        del iterable
        if total is not _END:
            await ready_checkpoint()
            yield total
        async for item in items:
            total = item if total is _END else await function(total, item)
            yield total


async def batched(
    iterable: Iterable[T] | AsyncIterable[T], n: int, *, strict: bool = False
) -> AsyncGenerator[tuple[T, ...], None]:
    """Yield the items in tuples of `n`; the last may be shorter.

    :param iterable: the items
    :param n: the length of a batch, at least 1
    :param strict: whether a last batch that is shorter is an error
    :raises ValueError: `n` is less than 1, or the last batch is shorter and `strict` is set
    :raises TypeError: `n` is not an integer
    """
    n = index(n)
    if n < 1:
        raise ValueError(f"n must be at least one, not {n}")
    batch: list[T] = []
    async with Source(iterable) as items:
        del iterable
        async for item in items:
            batch.append(item)
            if len(batch) == n:
                yield tuple(batch)
                batch.clear()
    if batch and strict:
        raise ValueError(f"batched(): incomplete batch: {len(batch)} items are left, not {n}")
    if batch:
        yield tuple(batch)


async def compress(
    data: Iterable[T] | AsyncIterable[T], selectors: Iterable[object] | AsyncIterable[object]
) -> AsyncGenerator[T, None]:
    """Yield the items whose selector is true, until either has no more.

    :param data: the items
    :param selectors: for each item whether to yield it
    """
    async with Source(data) as items:
        del data
        async with Source(selectors) as choices:
            del selectors
            async for item in items:
                choice = await anext(choices, _END)
                if choice is _END:
                    return
                if choice:
                    yield item


async def count(start: int = 0, step: int = 1) -> AsyncGenerator[int, None]:
    """Yield `start`, `start + step` and so on, without end.

    :param start: the first number
    :param step: what is added each time
    """
    for number in _itertools.count(start, step):
        await ready_checkpoint()
        yield number


async def cycle(iterable: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Yield the items, then again the same ones, without end; nothing if there are none.

    :param iterable: the items; it is gone through once, and they are kept
    """
    saved: list[T] = []
    async with Source(iterable) as items:
        del iterable
        async for item in items:
            saved.append(item)
            yield item
    for item in _itertools.cycle(saved):
        await ready_checkpoint()
        yield item


async def dropwhile(
    predicate: Callable[[T], Awaitable[object]], iterable: Iterable[T] | AsyncIterable[T]
) -> AsyncGenerator[T, None]:
    """Leave out items for as long as the predicate is true, then yield all the others.

    :param predicate: an async function of an item, not called any more once it was false
    :param iterable: the items
    """
    dropping = True
    async with Source(iterable) as items:
        del iterable
        async for item in items:
            dropping = dropping and bool(await predicate(item))
            if not dropping:
                yield item


async def filterfalse(
    predicate: Callable[[T], Awaitable[object]], iterable: Iterable[T] | AsyncIterable[T]
) -> AsyncGenerator[T, None]:
    """Yield the items for which the predicate is false.

    :param predicate: an async function of an item
    :param iterable: the items
    """
    async with Source(iterable) as items:
        del iterable
        async for item in items:
            if not await predicate(item):
                yield item


async def groupby(
    iterable: Iterable[T] | AsyncIterable[T], key: Callable[[T], Awaitable[object]] | None = None
) -> AsyncGenerator[tuple[object, list[T]], None]:
    """Yield a key and the list of the consecutive items that share it.

    :param iterable: the items, sorted by key unless groups may come again
    :param key: an async function that gives an item's key; None for the item itself
    """
    current: Any = _END
    group: list[T] = []
    async with Source(iterable) as items:
        del iterable
        async for item in items:
            of_item: Any = item if key is None else await key(item)
            if group and not (of_item is current or of_item == current):
                yield current, group
                group = []
            if not group:
                current = of_item
            group.append(item)
    if group:
        yield current, group


async def islice(
    iterable: Iterable[T] | AsyncIterable[T], *args: int | None
) -> AsyncGenerator[T, None]:
    """Yield the items of a slice: `islice(items, stop)` or `islice(items, start, stop, step)`.

    Pulls as many items as the slice spans and no more, so that the rest can be had from an
    iterator that you hold.

    :param iterable: the items
    :param args: stop; or start, stop and perhaps step; None for the beginning, the end and 1
    :raises ValueError: one of them is negative or not an integer, or `step` is 0
    :raises TypeError: there are too few arguments or too many
    """
    chosen = _chosen(args)
    async with Source(iterable) as items:
        del iterable
        pulled = 0
        for number, wanted in chosen:
            item: Any = _END
            while pulled <= number:
                item = await anext(items, _END)
                if item is _END:
                    return
                pulled += 1
            if wanted:
                yield item
        if not pulled:
            await ready_checkpoint()


async def pairwise(
    iterable: Iterable[T] | AsyncIterable[T],
) -> AsyncGenerator[tuple[T, T], None]:
    """Yield each item together with the one before it.

    :param iterable: the items
    """
    before: Any = _END
    async with Source(iterable) as items:
        del iterable
        async for item in items:
            if before is not _END:
                yield before, item
            before = item


async def repeat(element: T, times: int | None = None) -> AsyncGenerator[T, None]:
    """Yield the same object again and again.

    :param element: the object
    :param times: how often; None for ever
    :raises TypeError: `times` is neither an integer nor None
    """
    numbers = _itertools.count() if times is None else range(index(times))
    if not numbers:
        await ready_checkpoint()
    for _ in numbers:
        await ready_checkpoint()
        yield element


async def starmap(
    function: Callable[..., Awaitable[R]],
    iterable: Iterable[Iterable[object] | AsyncIterable[object]]
    | AsyncIterable[Iterable[object] | AsyncIterable[object]],
) -> AsyncGenerator[R, None]:
    """Yield what an async function returns for each set of arguments.

    :param function: an async function
    :param iterable: the arguments of each call, as an iterable, sync or async
    """
    async with Source(iterable) as calls:
        del iterable
        async for each in calls:
            arguments = Source(each)
            del each
            yield await function(*await all_of(arguments))


async def takewhile(
    predicate: Callable[[T], Awaitable[object]], iterable: Iterable[T] | AsyncIterable[T]
) -> AsyncGenerator[T, None]:
    """Yield items for as long as the predicate is true.

    The first item for which it is not is pulled too.

    :param predicate: an async function of an item
    :param iterable: the items
    """
    async with Source(iterable) as items:
        del iterable
        async for item in items:
            if not await predicate(item):
                return
            yield item


async def zip_longest(
    *iterables: Iterable[object] | AsyncIterable[object], fillvalue: object = None
) -> AsyncGenerator[tuple[object, ...], None]:
    """Yield tuples of one item of each iterable, until the longest of them is used up.

    :param iterables: each of them sync or async
    :param fillvalue: what stands for the items of those that are used up
    """
    sources: list[Source[object]] = [Source(each) for each in iterables]
    del iterables
    active = set(range(len(sources)))
    if not active:
        await ready_checkpoint()
    try:
        while active:
            row = [fillvalue] * len(sources)
            for place in sorted(active):
                item = await anext(sources[place], _END)
                if item is _END:
                    active.discard(place)
                else:
                    row[place] = item
            if active:
                yield tuple(row)
    finally:
        await close_all(sources)


def _one_by_one(iterables: list[T]) -> Iterator[T]:
    """Yield them, letting go of each."""
    iterables.reverse()
    while iterables:
        yield iterables.pop()


def _chosen(args: tuple[int | None, ...]) -> Iterator[tuple[int, bool]]:
    """Return the numbers of the items to yield; then, as not wanted, that of the last to pull."""
    _itertools.islice((), *args)  # says what is wrong with them
    span = slice(*args)
    start = index(span.start or 0)
    step = index(span.step or 1)
    if span.stop is None:
        return ((number, True) for number in _itertools.count(start, step))
    stop = index(span.stop)
    wanted = ((number, True) for number in range(start, stop, step))
    return _itertools.chain(wanted, ((max(start, stop) - 1, False),))
