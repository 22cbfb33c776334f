"""`AsyncLRUCacheWrapper`: an async function that remembers results, for each event loop by itself.

Owns what was cached and which calls are under way. Knows the loop only by the contract, and nothing
of how a function came to be wrapped (`functools.py`).

The states of one key in one loop:

    absent  --call--> under way    the first caller runs the function, those that come later wait
    under way --returns--> cached  all waiting callers get the same value
              --raises---> absent  the caller gets it; if others wait the first of them runs it anew
    cached  --evicted, expired, cleared--> absent

Rules
-----
* What a loop has cached goes when the loop goes, or the cached function does: `lru_cache_items`
  is a variable of the loop, and holds the functions weakly.
* A failed or cancelled call leaves nothing behind, and what was under way when `cache_clear` was
  called is not put into the cache any more: it may be from before whatever was the reason to clear.
* Loops in several threads share a function. Each has a store of its own, its counters included, and
  only its own thread writes there; so a hit takes no lock, and no count is lost on a Python without a
  global lock either. What is shared is written under `_lock`: the list of stores, and what was counted
  in loops that are gone. `_last` is a hint, and checked: whichever store a thread finds there.
* A hit is no checkpoint, unless `always_checkpoint` asks for it: it costs a look into a dictionary
  (`lru-cache-hit` in benchmarks).
"""

from __future__ import annotations

import functools as _functools
import inspect
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from operator import index
from types import MethodType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    NamedTuple,
    ParamSpec,
    TypeAlias,
    TypedDict,
    TypeVar,
    final,
)

from .._exceptions import NoEventLoopError
from .._kernel import current_kernel, current_task
from .._loop.run_var import RunVar
from .._sync import Lock

if TYPE_CHECKING:
    from .._kernel.contract import Kernel

T = TypeVar("T")
P = ParamSpec("P")

_KEYWORDS = object()
"""Stands between positional and keyword arguments in a key."""
_ABSENT: Any = object()


class AsyncCacheInfo(NamedTuple):
    """How well a cache does: its hits and misses in all loops, and its size in this one."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int
    ttl: int | None


class AsyncCacheParameters(TypedDict):
    """What `lru_cache` was called with."""

    maxsize: int | None
    typed: bool
    always_checkpoint: bool
    ttl: int | None


class _Call:
    """A call under way: `lock` is held by the one caller that runs the function."""

    __slots__ = ("callers", "lock", "value")

    def __init__(self) -> None:
        self.lock = Lock()
        self.value = _ABSENT
        self.callers = 0


class _Counts:
    """The hits and misses of one loop. Outlives its store, until somebody has added them up."""

    __slots__ = ("hits", "misses", "store")

    def __init__(self, store: _Store) -> None:
        self.hits = self.misses = 0
        self.store = weakref.ref(store)


class _Store:
    """What one loop has cached of one function, and what is under way."""

    __slots__ = ("__weakref__", "calls", "counts", "items", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = weakref.ref(kernel)  # the kernel holds this, not the other way round
        self.counts = _Counts(self)
        self.items: OrderedDict[Any, tuple[Any, float | None]] = OrderedDict()
        self.calls: dict[Any, _Call] = {}


_Stores: TypeAlias = "weakref.WeakKeyDictionary[AsyncLRUCacheWrapper[..., Any], _Store]"

lru_cache_items: RunVar[_Stores] = RunVar("lru_cache_items")
"""What is cached in the running event loop, for each cached function that is alive."""


@final
class AsyncLRUCacheWrapper(Generic[P, T]):
    """An async function that remembers results. Made by `lru_cache` and `cache`.

    Works for methods too: `self` is then a part of the key, and kept alive by the cache.
    """

    __wrapped__: Callable[P, Awaitable[T]]
    """The function itself, to call it past the cache."""

    def __init__(
        self,
        func: Callable[P, Awaitable[T]],
        maxsize: int | None,
        typed: bool,
        always_checkpoint: bool,
        ttl: int | None,
    ) -> None:
        self._maxsize = None if maxsize is None else max(0, index(maxsize))
        self._typed = typed
        self._always_checkpoint = always_checkpoint
        self._ttl = ttl
        self._bounded = maxsize is not None
        self._lock = threading.Lock()
        self._counts: list[_Counts] = []
        self._hits_before = self._misses_before = (
            0  # Of loops that are gone, less what was cleared.
        )
        self._last: Callable[[], _Store | None] = _no_store
        _functools.update_wrapper(self, func)
        if sys.version_info >= (3, 12):
            inspect.markcoroutinefunction(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what is cached for these arguments, else what the function returns.

        A checkpoint if the function has to run or is running for another caller, and on every
        call with `always_checkpoint`.

        :raises TypeError: an argument is not hashable
        :raises RuntimeError: the function calls itself with the arguments it is running with
        """
        task = current_task()
        if self._always_checkpoint:
            await task.checkpoint()
        kernel = task.kernel
        store = self._last()
        if store is None or store.kernel() is not kernel:
            store = self._find_store(kernel)
        key = self._key(args, kwargs) if kwargs or self._typed else args
        value, expires = store.items.get(key, _NOTHING)
        if value is _ABSENT or (expires is not None and expires <= kernel.now()):
            return await self._share(store, key, args, kwargs)
        store.counts.hits += 1
        if self._bounded:
            store.items.move_to_end(key)
        return value  # type: ignore[no-any-return]  # the values of a store are of any type

    async def _share(self, store: _Store, key: Any, args: Any, kwargs: Any) -> T:
        """Run the function, or wait for the caller that does."""
        if self._maxsize == 0:
            store.counts.misses += 1
            return await self._call(args, kwargs)
        call = store.calls.get(key)
        if call is None:
            call = store.calls[key] = _Call()
        call.callers += 1
        try:
            async with call.lock:
                if call.value is _ABSENT:
                    store.counts.misses += 1
                    call.value = await self._call(args, kwargs)
                    if store.calls.get(key) is call:
                        del store.calls[key]
                        self._keep(store, key, call.value)
                else:
                    store.counts.hits += 1
                value: T = call.value
                return value
        finally:
            call.callers -= 1
            if not call.callers and store.calls.get(key) is call:
                del store.calls[key]

    def _call(self, args: Any, kwargs: Any) -> Awaitable[T]:
        function: Callable[..., Awaitable[T]] = self.__wrapped__
        return function(*args, **kwargs)

    def _keep(self, store: _Store, key: Any, value: T) -> None:
        """Cache a value, at the cost of the one that was not used for the longest time."""
        kernel = store.kernel()
        assert kernel is not None, "a loop in which a call has just returned is alive"
        items = store.items
        items[key] = (value, None if self._ttl is None else kernel.now() + self._ttl)
        items.move_to_end(key)
        if self._maxsize is not None and len(items) > self._maxsize:
            items.popitem(last=False)

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        key = args
        if kwargs:
            key = (*args, _KEYWORDS, *kwargs.items())
        if self._typed:
            types = map(type, (*args, *kwargs.values()))
            key = (*key, _KEYWORDS, *types)
        return key

    def _find_store(self, kernel: Kernel) -> _Store:
        stores: _Stores | None = lru_cache_items.get(None)
        if stores is None:
            made: _Stores = weakref.WeakKeyDictionary()
            lru_cache_items.set(stores := made)
        store = stores.get(self)
        if store is None:
            store = stores[self] = _Store(kernel)
            self._count(store.counts)
        self._last = weakref.ref(store)
        return store

    def _count(self, counts: _Counts) -> None:
        """Add the counts of one more loop, and add up those of loops that are gone."""
        with self._lock:
            before, self._counts = self._counts, [counts]
            for each in before:
                if each.store() is None:
                    self._hits_before += each.hits
                    self._misses_before += each.misses
                else:
                    self._counts.append(each)

    def _total(self) -> tuple[int, int]:
        """Return the hits and misses of all loops. Under the lock."""
        hits = self._hits_before + sum(each.hits for each in self._counts)
        return hits, self._misses_before + sum(each.misses for each in self._counts)

    def cache_info(self) -> AsyncCacheInfo:
        """Return the hits and misses so far, the limits, and how many results are cached.

        Hits and misses are those of all event loops since `cache_clear`; the size is that of the
        running loop, 0 outside any.
        """
        try:
            size = len(self._find_store(current_kernel()).items)
        except NoEventLoopError:
            size = 0
        with self._lock:
            hits, misses = self._total()
        return AsyncCacheInfo(hits, misses, self._maxsize, size, self._ttl)

    def cache_parameters(self) -> AsyncCacheParameters:
        """Return what `lru_cache` was called with."""
        return {
            "maxsize": self._maxsize,
            "typed": self._typed,
            "always_checkpoint": self._always_checkpoint,
            "ttl": self._ttl,
        }

    def cache_clear(self) -> None:
        """Forget what is cached in the running event loop, and the hits and misses.

        Calls under way go on, and their callers get what they return, but it is not cached.

        :raises NoEventLoopError: no event loop runs in this thread
        """
        store = self._find_store(current_kernel())
        store.items.clear()
        store.calls.clear()
        with self._lock:  # Other loops go on counting: take off what they have so far.
            hits, misses = self._total()
            self._hits_before -= hits
            self._misses_before -= misses

    def __get__(self, instance: object, owner: type | None = None) -> AsyncLRUCacheWrapper[..., T]:
        """Bind to an instance, as functions do: a cached method is called without `self`."""
        # A method's result has its type, as with AnyIO, and its arguments are not checked: class and static
        # methods come here as well, and what type checkers tell apart by them, the others call wrongly.
        bound: Any = self if instance is None else MethodType(self, instance)
        return bound  # type: ignore[no-any-return]  # it calls, and has the attributes, of this one

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {getattr(self, '__qualname__', self.__wrapped__)}>"


_NOTHING: tuple[Any, float | None] = (_ABSENT, None)


def _no_store() -> _Store | None:
    return None
