"""`Source`: the input of an async tool, a plain iterable or an async one, behind one interface.

Owns the iterator it opened, the checkpoint of each item, and when the iterator is closed. Knows no tool.

    open --pull--> open          one item, or the end
         --close-> closed        for good

Rules
-----
* No item is pulled before it is asked for, and an item that was pulled is returned to the caller:
  checkpoint first, then pull, so that a cancel loses no item.
* The holder of an iterator decides when it ends, as with the standard library's tools. One that only
  the source holds (`islice(numbers(), 3)`, or what `__aiter__` made) is closed with it, at once and
  in the same task. One that somebody else holds too is left as it is, to go on with.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from sys import getrefcount
from typing import Any, Generic, Self, TypeVar

from .._abc.resources import AsyncResource
from .._kernel import current_task

T = TypeVar("T")

_OURS = 2
"""References to an iterator that nobody else holds: the slot below, the argument of the call."""


class Source(AsyncResource, Generic[T]):
    """An async iterator over `iterable`, closed at the end of an `async with` block.

    The code that makes one drops its own reference to the iterable (`del`), or it would count as held by others.

    :raises TypeError: neither iterable nor async iterable
    """

    __slots__ = ("_async", "_sync")

    _async: AsyncIterator[T] | None
    _sync: Iterator[T] | None

    def __init__(self, iterable: Iterable[T] | AsyncIterable[T]) -> None:
        if hasattr(type(iterable), "__aiter__"):
            asynchronous: Any = iterable
            self._async, self._sync = aiter(asynchronous), None
        else:
            synchronous: Any = iterable
            self._async, self._sync = None, iter(synchronous)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await current_task().ready_checkpoint()
        if self._sync is not None:
            for item in self._sync:
                return item
        elif self._async is not None:
            return await self._async.__anext__()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let go of the iterator, and close it if nobody else holds it."""
        self._sync = None
        if self._async is not None and getrefcount(self._async) == _OURS:
            close = getattr(self._async, "aclose", None)
            self._async = None
            if close is not None:
                await close()
        self._async = None


async def close_all(sources: Iterable[Source[Any]]) -> None:
    """Close each of them, also if closing one of them fails."""
    remaining = iter(sources)
    for source in remaining:
        try:
            await source.aclose()
        finally:
            await close_all(remaining)


async def all_of(source: Source[T]) -> list[T]:
    """Pull all items."""
    async with source as items:
        return [item async for item in items]
