"""`tee`: one source, read by several iterators, each at its own pace.

Owns the items that some of the iterators have had and others not: a chain of links, each holding
the next, so that what all have passed is gone. Pulls from the source under a lock: of several
tasks that want the next item one pulls, and the others find it in the chain.

    open --the source ends--> used up
         --aclose-----------> closed       each iterator for itself; the last closes the source

Rules
-----
* An item is in the chain before a task gets it, so a cancelled task loses none.
* The task that pulls gets what the source raises; the others then ask the source again.
* `tee` of one of the iterators makes more of the same kind, at the place where that one is.
"""

# pyright: reportPrivateUsage=false
# `tee` of one of its iterators splits it, which is nothing for users.

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from operator import index
from typing import Any, Generic, Self, TypeVar, final

from .._sync import Lock
from .._tasks.checkpoint import ready_checkpoint
from .sources import Source

T = TypeVar("T")


class _Link(Generic[T]):
    """A place in the chain: the item after it, and the place after that, once they are known."""

    __slots__ = ("following", "item")

    item: T

    def __init__(self) -> None:
        self.following: _Link[T] | None = None


class _Stem(Generic[T]):
    """What the iterators share."""

    __slots__ = ("lock", "open", "source")

    def __init__(self, source: Source[T]) -> None:
        self.source = source
        self.lock = Lock()
        self.open = 0

    async def grow(self, link: _Link[T]) -> None:
        """Pull the item after `link`, unless it is there by the time the lock is."""
        async with self.lock:
            if link.following is None:
                link.item = await anext(self.source)
                link.following = _Link()


@final
class _TeeIterator(Generic[T]):
    """One of the iterators that `tee` returns."""

    __slots__ = ("_closed", "_link", "_stem")

    def __init__(self, stem: _Stem[T], link: _Link[T]) -> None:
        stem.open += 1
        self._stem = stem
        self._link = link
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await ready_checkpoint()
        while not self._closed:
            link = self._link
            if link.following is not None:
                self._link = link.following
                return link.item
            await self._stem.grow(link)
        raise StopAsyncIteration

    def _split(self, n: int) -> tuple[AsyncIterator[T], ...]:
        """Make more iterators that begin where this one is."""
        if self._closed:
            return tee((), n)
        return tuple(_TeeIterator(self._stem, self._link) for _ in range(n))

    async def aclose(self) -> None:
        """Close this iterator; if all the others are closed, close the source too."""
        if not self._closed:
            self._closed = True
            self._stem.open -= 1
            if not self._stem.open:
                await self._stem.source.aclose()


def tee(iterable: Iterable[T] | AsyncIterable[T], n: int = 2) -> tuple[AsyncIterator[T], ...]:
    """Return `n` iterators over the same items, each of which can go at its own pace.

    Several tasks may use them at the same time. Items wait in memory until the slowest iterator
    has had them. Each has an `aclose` method; the last one closed closes an iterator that
    nobody else holds. Not a checkpoint itself.

    :param iterable: the items; do not take any from it yourself meanwhile
    :param n: how many iterators to return
    :raises ValueError: `n` is negative
    :raises TypeError: not iterable, or `n` is not an integer
    """
    n = index(n)
    if n < 0:
        raise ValueError(f"n must be >= 0, not {n}")
    if isinstance(iterable, _TeeIterator):
        mine: _TeeIterator[T] = iterable
        return mine._split(n)
    stem: _Stem[T] = _Stem(Source(iterable))
    link: _Link[Any] = _Link()
    return tuple(_TeeIterator(stem, link) for _ in range(n))
