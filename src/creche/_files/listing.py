"""The iterators of `Path`: the entries of directories, fetched a batch at a time.

Owns the batch that was fetched and not asked for yet, and how large the next one may be. Knows of paths
only what it is given: `Listing` fetches from a plain iterator, `Walk` goes over a
tree by itself.

    fresh --first item asked for--> fetching <--> handing out --nothing left--> used up
                                        `--an error: it is raised, and that is the end

Rules
-----
* A batch ends after `BATCH` entries or `SECONDS`, whichever comes first: a large directory costs
  one call in a thread for many entries (`iterdir` in benchmarks), and a slow one hands out early what
  it has found.
* A program that edits the tree as it goes sees what it would with pathlib. So nothing is read before
  the program asks for what comes after: a batch is what pathlib reads of one directory at once. What
  goes from one directory to the next (`walk`, patterns of several parts) is fetched one by one.
* Entries found before an error are handed out before the error is raised.
* Nothing has to be closed: an iterator that is dropped lets go of its directory by itself, and
  `aclose` does so at once. One task at a time may fetch.
* A top-down walk goes where the list of directories says when the next one is asked for: the caller
  may change it.
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
"""How long a thread may take for a batch."""
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
        self._release()

    def _fetch_safely(self) -> None:
        try:
            self._fetch()
        except Exception as exc:
            self._over = True
            self._error = exc
            self._release()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error

    def _fetch(self) -> None:
        raise NotImplementedError

    def _release(self) -> None:
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
                    self._release()
                    break
        finally:
            self._found.extend(batch)

    def _release(self) -> None:
        iterator, self._iterator = self._iterator, None
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


class Pending(NamedTuple):
    """A directory that is still to be read, and those to read after it: a stack."""

    path: str
    rest: Pending | None


class Directory(NamedTuple):
    """A directory that was read: the names of what is in it, or why it could not be read."""

    path: str
    directories: list[str]
    files: list[str]
    rest: Pending | None
    """What to read when all that is below has been read."""
    error: OSError | None


@final
class Walk(_Batches[Directory]):
    """A walk over a tree, directories before what is in them."""

    __slots__ = ("_follow", "_last", "_pending")

    def __init__(self, top: str, follow: bool, limiter: CapacityLimiter | None) -> None:
        super().__init__(limiter)
        self._pending: Pending | None = Pending(top, None)
        self._follow = follow
        self._last: Directory | None = None

    async def __anext__(self) -> Directory:
        if self._last is not None:
            with self._guard:
                self._advance(self._last)
        directory = self._last = await super().__anext__()
        return directory

    def _advance(self, last: Directory) -> None:
        """Put what is below the directory that the caller got last before all that is pending."""
        self._last = None
        self._pending = last.rest
        for name in reversed(last.directories):
            self._pending = Pending(os.path.join(last.path, name), self._pending)
        self._over = self._pending is None

    def _fetch(self) -> None:
        if self._pending is not None:
            self._found.append(read_directory(self._pending, self._follow))

    def _release(self) -> None:
        self._pending = self._last = None


@final
class PathWalk(Generic[T]):
    """The async iterator that `Path.walk` returns: directories as it shows them."""

    __slots__ = ("_directories", "_make", "_on_error")

    def __init__(
        self,
        directories: Walk | Listing[Directory],
        make: Callable[[str], T],
        on_error: Callable[[OSError], object] | None,
    ) -> None:
        self._directories = directories
        self._make = make
        self._on_error = on_error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[T, list[str], list[str]]:
        while True:
            found = await self._directories.__anext__()
            if found.error is None:
                return self._make(found.path), found.directories, found.files
            if self._on_error is not None:
                self._on_error(found.error)

    async def aclose(self) -> None:
        """End the walk. Not a checkpoint."""
        await self._directories.aclose()


def read_directory(pending: Pending, follow: bool) -> Directory:
    """Read one directory; what goes wrong is in the result."""
    directories: list[str] = []
    files: list[str] = []
    error: OSError | None = None
    try:
        with os.scandir(pending.path) as entries:
            for entry in entries:
                (directories if is_subdirectory(entry, follow) else files).append(entry.name)
    except OSError as exc:
        error = exc
        directories.clear()
        files.clear()
    return Directory(pending.path, directories, files, pending.rest, error)


def is_subdirectory(entry: os.DirEntry[str], follow: bool) -> bool:
    """Tell whether an entry is a directory that a walk goes into."""
    try:
        if follow:
            return entry.is_dir()
        is_junction: Callable[[], bool] | None = getattr(entry, "is_junction", None)  # 3.12
        return entry.is_dir(follow_symlinks=False) and not (is_junction and is_junction())
    except OSError:
        return False


def bottom_up(top: str, follow: bool) -> Iterator[Directory]:
    """Walk over a tree, what is in a directory before the directory itself."""
    stack: list[Directory | str] = [top]
    while stack:
        here = stack.pop()
        if isinstance(here, Directory):
            yield here
        else:
            directory = read_directory(Pending(here, None), follow)
            stack.append(directory)
            stack.extend(os.path.join(here, name) for name in reversed(directory.directories))
