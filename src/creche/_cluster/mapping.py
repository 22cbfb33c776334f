"""`Cluster.map`: a call for each of many items, so many at a time.

Owns the tasks of one map and what their calls have returned. The shape is that of a bounded map: an async
context manager that gives an async iterator.

    entered --> running --the items have run out, or an error--> finishing --the last call has ended--> over
                   `--the block is left--> the calls are cancelled and awaited, the source is closed

Rules
-----
* A slot is taken before an item is pulled, and is free again when its result is taken. So an endless source
  will do, and no more than `at_most` items are pulled ahead of the reader.
* An error cancels the other calls, and comes out of the iteration when they have ended: as it is, or in a
  group if there are several; or out of the block, if that is left first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sized
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from .._sync.event import Event
from .._sync.semaphore import Semaphore
from .._tasks.group import create_task_group
from .._tasks.scope import CancelScope

R_co = TypeVar("R_co", covariant=True)


class Results(Generic[R_co]):
    """What the calls of a map return, as an async iterator. For one task, or several that share them."""

    def __init__(
        self,
        call: Callable[[Any], Awaitable[Any]],
        items: Iterable[Any] | AsyncIterable[Any],
        at_most: int,
        ordered: bool,
    ) -> None:
        self.total = len(items) if isinstance(items, Sized) else None
        """How many items there are, None if that is not known."""
        self.done = 0
        """How many calls have ended, those that failed among them."""
        self.failed = 0
        """How many calls have raised."""
        self.running = 0
        """How many calls run or wait for a slot of the cluster now."""
        self._call = call
        self._items = items
        self._ordered = ordered
        self._room = Semaphore(at_most)
        self._scope = CancelScope()
        self._ready: deque[Any] = deque()
        self._early: dict[int, Any] = {}
        self._next = 0
        self._errors: list[Exception] = []
        self._over = False
        self._news = Event()

    def __aiter__(self) -> Results[R_co]:
        return self

    async def __anext__(self) -> R_co:
        while not self._ready:
            if self._over:
                self._raise_errors()
                raise StopAsyncIteration
            await self._news.wait()
        result: R_co = self._ready.popleft()
        self._room.release()
        return result

    def _raise_errors(self) -> None:
        errors, self._errors = self._errors, []
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("several calls of a map have failed", errors)

    # What the tasks do

    async def _run(self) -> None:
        try:
            with self._scope:
                async with create_task_group() as group:
                    async for number, item in self._pulled():
                        self.running += 1
                        group.start_soon(self._make, number, item, name=f"map item {number}")
        finally:
            self._over = True
            self._tell()

    async def _pulled(self) -> AsyncGenerator[tuple[int, Any], None]:
        """Pull items while there is room for their results."""
        number = 0
        pull, close = _source(self._items)
        try:
            while not self._errors:
                await self._room.acquire()
                try:
                    item = await pull()
                except StopAsyncIteration:
                    return
                except Exception as exc:
                    self._fail(exc)
                    return
                yield number, item
                number += 1
        finally:
            with CancelScope(shield=True):
                await close()

    async def _make(self, number: int, item: Any) -> None:
        try:
            result = await self._call(item)
        except Exception as exc:
            self.failed += 1
            self._fail(exc)
        else:
            self._keep(number, result)
        finally:
            self.running -= 1
        self.done += 1

    def _keep(self, number: int, result: Any) -> None:
        if not self._ordered:
            self._ready.append(result)
        else:
            self._early[number] = result
            while self._next in self._early:
                self._ready.append(self._early.pop(self._next))
                self._next += 1
        self._tell()

    def _fail(self, error: Exception) -> None:
        self._errors.append(error)
        self._scope.cancel()

    def _tell(self) -> None:
        news, self._news = self._news, Event()
        news.set()


def _source(
    items: Iterable[Any] | AsyncIterable[Any],
) -> tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[None]]]:
    """Return what pulls the next item, and what closes the iterator that was made here."""
    if isinstance(items, AsyncIterable):
        iterator: Any = aiter(items)

        async def close_async() -> None:
            if iterator is not items and hasattr(iterator, "aclose"):
                await iterator.aclose()

        return iterator.__anext__, close_async
    plain: Any = iter(items)

    async def pull() -> Any:
        for item in plain:
            return item
        raise StopAsyncIteration

    async def close() -> None:
        if plain is not items and hasattr(plain, "close"):
            plain.close()

    return pull, close


@asynccontextmanager
async def map_calls(results: Results[R_co]) -> AsyncGenerator[Results[R_co], None]:
    """Run a map for as long as the block is not left."""
    error: BaseException | None = None
    async with create_task_group() as group:
        group.start_soon(results._run, name="map")  # pyright: ignore[reportPrivateUsage]  # its own
        try:
            yield results
        except BaseException as exc:
            error = exc
        results._scope.cancel()  # pyright: ignore[reportPrivateUsage]
    if error is not None:
        raise error
    results._raise_errors()  # pyright: ignore[reportPrivateUsage]
