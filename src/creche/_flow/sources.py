"""`Source`: one way to pull items, from an iterable or an async iterable.

Owns the iterator, and its end. Pulls one item at a time, when it is asked to.

    open --pull--> open      one item, or StopAsyncIteration
         --close-> closed    generators are closed, and whatever iterator was made here;
                             an async iterator that was passed in as it is, such as a stream, is not
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from inspect import isasyncgen, isgenerator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Source(Generic[T]):
    """The items of `items`, to be pulled.

    :raises TypeError: neither iterable nor async iterable
    """

    __slots__ = ("_async", "_closes", "_sync", "total")

    total: int | None
    """How many items there are, None if they have no length."""

    def __init__(self, items: Iterable[T] | AsyncIterable[T]) -> None:
        self._async: AsyncIterator[T] | None = None
        self._sync: Iterator[T] | None = None
        iterator: Any
        if hasattr(type(items), "__aiter__"):
            asynchronous: Any = items
            iterator = self._async = aiter(asynchronous)
        elif hasattr(type(items), "__iter__") or hasattr(type(items), "__getitem__"):
            synchronous: Any = items
            iterator = self._sync = iter(synchronous)
        else:
            raise TypeError(
                f"items must be an iterable or an async iterable, not {items!r}: pass a list, a "
                f"generator, or a stream of the items"
            )
        self._closes = iterator is not items or isasyncgen(iterator) or isgenerator(iterator)
        try:
            self.total = len(items)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # not all have one
        except TypeError:
            self.total = None

    async def pull(self) -> T:
        """Return the next item. Raises StopAsyncIteration at the end."""
        if self._sync is not None:
            for item in self._sync:
                return item
        elif self._async is not None:
            return await self._async.__anext__()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Let go of the iterator. A second call does nothing."""
        synchronous, asynchronous = self._sync, self._async
        self._sync = self._async = None
        if not self._closes:
            return
        close: Any = getattr(synchronous, "close", None)
        if close is not None:
            close()
        close = getattr(asynchronous, "aclose", None)
        if close is not None:
            await close()
