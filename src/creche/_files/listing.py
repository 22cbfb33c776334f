"""What is found in directories, fetched a batch at a time: the iterators of `Path`.

Owns the batch that was fetched and not yet asked for, and how large the next one may be. Knows
nothing of paths but what it is given: `Listing` fetches from a plain iterator, `Walk` goes over a
tree by itself.

    fresh --first item asked for--> fetching <--> handing out --nothing left--> used up
                                        `--an error: it is raised, and that is the end

Rules
-----
* A batch ends after `BATCH` entries or `SECONDS`, whichever comes first: a large directory costs
  one trip to a thread for many entries (`iterdir` in benchmarks), and a slow one does not keep
  what it has found to itself.
* A program that edits the tree as it goes sees what it would with pathlib. So nothing is looked at before
  the program asks for what comes after: a batch is what pathlib has read of one directory at once. What
  goes from one directory to the next (`walk`, patterns of several parts) is fetched one by one.
* Entries found before an error are handed out before the error is raised.
* Nothing has to be closed: an iterator that is dropped lets go of its directory by itself, and
  `aclose` does so at once. One task at a time may fetch.
* A top-down walk goes where the list of directories says when the next one is asked for: it is the
  caller's to change.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from time import monotonic
from typing import Any, Generic, NamedTuple, Self, TypeVar, final

from .._kernel import current_task
from .._sync import CapacityLimiter, ResourceGuard
from .thread import in_thread

T = TypeVar("T")

BATCH = 1024
"""Entries in a batch at most."""
SECONDS = 0.01
"""How long a thread goes on with a batch."""
CHUNK = 32
"""Entries between two looks at the clock."""


class _Batches(Generic[T]):
    """Hands out what `_fetch`, called in a thread, puts into `_found`."""

    __slots__ = ("__weakref__", "_error", "_found", "_guard", "_limiter", "_over")

    def __init__(self, limiter: CapacityLimiter | None) -> None:
        self._found: deque[T] = deque()
        self._error: BaseException | None = None
        self._over = False
        self._limiter = limiter
        self._guard = ResourceGuard("iterating over")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await current_task().ready_checkpoint()
        found = self._found
        if not found:
            with self._guard:
                while not found:
                    if self._over:
                        self._raise_error()
                        raise StopAsyncIteration
                    await in_thread(self._fetch_safely, limiter=self._limiter)
        return found.popleft()

    async def aclose(self) -> None:
        """Let go of the directory, and of what was not asked for. Not a checkpoint."""
        self._over = True
        self._found.clear()
        self._error = None
        self._let_go()

    def _fetch_safely(self) -> None:
        try:
            self._fetch()
        except Exception as exc:
            self._over = True
            self._error = exc
            self._let_go()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error

    def _fetch(self) -> None:
        raise NotImplementedError

    def _let_go(self) -> None:
        raise NotImplementedError


@final
class Listing(_Batches[T]):
    """An async iterator over what `make(entry)` returns for the entries of a plain iterator.

    :param begin: called in a thread, returns the iterator
    :param one_by_one: whether the iterator looks at the disk between two entries
    """

    __slots__ = ("_begin", "_iterator", "_make", "_most")

    def __init__(
        self,
        begin: Callable[[], Iterator[Any]],
        make: Callable[[Any], T],
        limiter: CapacityLimiter | None,
        *,
        one_by_one: bool = False,
    ) -> None:
        super().__init__(limiter)
        self._begin = begin
        self._make = make
        self._most = 1 if one_by_one else BATCH
        self._iterator: Iterator[Any] | None = None

    def _fetch(self) -> None:
        if self._iterator is None:
            self._iterator = self._begin()
        until = monotonic() + SECONDS
        batch: list[T] = []
        try:
            chunk = min(CHUNK, self._most)
            while not batch or (len(batch) < self._most and monotonic() < until):
                before = len(batch)
                batch.extend(map(self._make, islice(self._iterator, chunk)))
                if len(batch) < before + chunk:
                    self._over = True
                    self._let_go()
                    break
        finally:
            self._found.extend(batch)

    def _let_go(self) -> None:
        iterator, self._iterator = self._iterator, None
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


class Stop(NamedTuple):
    """A directory to be visited, and those that come after it."""

    path: str
    after: Stop | None


class Visit(NamedTuple):
    """A directory that was visited."""

    path: str
    directories: list[str]
    files: list[str]
    after: Stop | None
    """Where to go when all that is below has been visited."""
    error: OSError | None


@final
class Walk(_Batches[Visit]):
    """A walk over a tree, directories before what is in them."""

    __slots__ = ("_follow", "_last", "_stop")

    def __init__(self, top: str, follow: bool, limiter: CapacityLimiter | None) -> None:
        super().__init__(limiter)
        self._stop: Stop | None = Stop(top, None)
        self._follow = follow
        self._last: Visit | None = None

    async def __anext__(self) -> Visit:
        if self._last is not None:
            with self._guard:
                self._go_on(self._last)
        visit = self._last = await super().__anext__()
        return visit

    def _go_on(self, last: Visit) -> None:
        """Decide where to go from the directory that the caller got last."""
        self._last = None
        self._stop = below(last.path, last.directories, last.after)
        self._over = self._stop is None

    def _fetch(self) -> None:
        if self._stop is not None:
            self._found.append(look_into(self._stop, self._follow))

    def _let_go(self) -> None:
        self._stop = self._last = None


@final
class Tour(Generic[T]):
    """The async iterator that `Path.walk` returns: visits as it shows them."""

    __slots__ = ("_make", "_on_error", "_visits")

    def __init__(
        self,
        visits: Walk | Listing[Visit],
        make: Callable[[str], T],
        on_error: Callable[[OSError], object] | None,
    ) -> None:
        self._visits = visits
        self._make = make
        self._on_error = on_error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[T, list[str], list[str]]:
        while True:
            visit = await self._visits.__anext__()
            if visit.error is None:
                return self._make(visit.path), visit.directories, visit.files
            if self._on_error is not None:
                self._on_error(visit.error)

    async def aclose(self) -> None:
        """End the walk. Not a checkpoint."""
        await self._visits.aclose()


def below(path: str, directories: list[str], after: Stop | None) -> Stop | None:
    """Return the first stop of those below `path`, with all others behind it."""
    for name in reversed(directories):
        after = Stop(os.path.join(path, name), after)
    return after


def look_into(stop: Stop, follow: bool) -> Visit:
    """Read one directory; what goes wrong is told in the visit."""
    directories: list[str] = []
    files: list[str] = []
    error: OSError | None = None
    try:
        with os.scandir(stop.path) as entries:
            for entry in entries:
                (directories if leads_on(entry, follow) else files).append(entry.name)
    except OSError as exc:
        error = exc
        directories.clear()
        files.clear()
    return Visit(stop.path, directories, files, stop.after, error)


def leads_on(entry: os.DirEntry[str], follow: bool) -> bool:
    """Tell whether a walk goes into an entry."""
    try:
        if follow:
            return entry.is_dir()
        is_junction: Callable[[], bool] | None = getattr(entry, "is_junction", None)  # 3.12
        return entry.is_dir(follow_symlinks=False) and not (is_junction and is_junction())
    except OSError:
        return False


def upwards(top: str, follow: bool) -> Iterator[Visit]:
    """Walk over a tree, what is in a directory before the directory itself."""
    stack: list[Visit | str] = [top]
    while stack:
        here = stack.pop()
        if isinstance(here, Visit):
            yield here
        else:
            visit = look_into(Stop(here, None), follow)
            stack.append(visit)
            stack.extend(os.path.join(here, name) for name in reversed(visit.directories))
