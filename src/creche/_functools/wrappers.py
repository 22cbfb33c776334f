"""`cache`, `lru_cache` and `reduce` for async functions, after the standard library's.

Owns how a function comes to be cached, and what is for the standard library to cache. What a cached
function does is in `_functools/lru_cache.py`.
"""

from __future__ import annotations

import functools as _functools
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, final, get_type_hints, overload

from .._itertools.sources import Source
from .lru_cache import AsyncCacheInfo as AsyncCacheInfo
from .lru_cache import AsyncCacheParameters as AsyncCacheParameters
from .lru_cache import AsyncLRUCacheWrapper as AsyncLRUCacheWrapper
from .lru_cache import lru_cache_items as lru_cache_items

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper  # pyright: ignore[reportPrivateUsage]  # typeshed's

T = TypeVar("T")
S = TypeVar("S")
P = ParamSpec("P")

# Evaluated already: a caller that asks for the hints would look the names up in the module that is given next.
AsyncLRUCacheWrapper.__annotations__ = get_type_hints(AsyncLRUCacheWrapper)
for _public in (AsyncCacheInfo, AsyncCacheParameters, AsyncLRUCacheWrapper):
    _public.__module__ = "creche.functools"  # where a pickle looks for them


@final
class _LRUCacheDecorator:
    """What `lru_cache(...)` without a function returns."""

    __slots__ = ("_options",)

    def __init__(self, options: AsyncCacheParameters) -> None:
        self._options = options

    @overload
    def __call__(  # type: ignore[overload-overlap]  # an async function is also a function
        self, func: Callable[P, Coroutine[Any, Any, T]], /
    ) -> AsyncLRUCacheWrapper[P, T]: ...

    @overload
    def __call__(self, func: Callable[..., T], /) -> _lru_cache_wrapper[T]: ...

    def __call__(self, func: Any, /) -> Any:
        return _wrap(func, self._options)


def _wrap(func: Any, options: AsyncCacheParameters) -> Any:
    if not callable(func):
        raise TypeError(
            f"the first argument must be callable, not {func!r}: write @lru_cache above a "
            "function, or @lru_cache(maxsize=...) to set its options"
        )
    if inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(type(func).__call__):
        made: AsyncLRUCacheWrapper[..., Any] = AsyncLRUCacheWrapper(cast("Any", func), **options)
        return made
    return _functools.lru_cache(options["maxsize"], options["typed"])(func)


@overload
def cache(  # type: ignore[overload-overlap]  # an async function is also a function
    func: Callable[P, Coroutine[Any, Any, T]], /
) -> AsyncLRUCacheWrapper[P, T]: ...


@overload
def cache(func: Callable[..., T], /) -> _lru_cache_wrapper[T]: ...


def cache(func: Callable[..., Any] | Callable[P, Coroutine[Any, Any, Any]], /) -> Any:
    """Cache all results of an async function: `lru_cache` with `maxsize=None`.

    ```python
    import creche
    from creche.functools import cache


    @cache
    async def square(number: int) -> int:
        await creche.sleep(0.01)
        return number * number


    async def main() -> None:
        print(await creche.gather(square(3), square(3)), square.cache_info().misses)


    creche.run(main)
    ```

    :param func: the function; a synchronous one is given to `functools.cache`
    :raises TypeError: not callable
    """
    return lru_cache(func, maxsize=None)


@overload
def lru_cache(  # type: ignore[overload-overlap]  # an async function is also a function
    func: Callable[P, Coroutine[Any, Any, T]],
    /,
    *,
    maxsize: int | None = ...,
    typed: bool = ...,
    always_checkpoint: bool = ...,
    ttl: int | None = ...,
) -> AsyncLRUCacheWrapper[P, T]: ...


@overload
def lru_cache(
    func: Callable[..., T],
    /,
    *,
    maxsize: int | None = ...,
    typed: bool = ...,
    always_checkpoint: bool = ...,
    ttl: int | None = ...,
) -> _lru_cache_wrapper[T]: ...


@overload
def lru_cache(
    func: None = None,
    /,
    *,
    maxsize: int | None = ...,
    typed: bool = ...,
    always_checkpoint: bool = ...,
    ttl: int | None = ...,
) -> _LRUCacheDecorator: ...


def lru_cache(
    func: Callable[..., Coroutine[Any, Any, Any]] | Callable[..., Any] | None = None,
    /,
    *,
    maxsize: int | None = 128,
    typed: bool = False,
    always_checkpoint: bool = False,
    ttl: int | None = None,
) -> Any:
    """Cache the results of an async function, by its arguments, for each event loop by itself.

    Callers that come while the function runs with the same arguments wait for that one call. If
    it raises, or its caller is cancelled, the next of them calls the function.

    :param func: the function, when used as a decorator without brackets; a synchronous one is
        given to `functools.lru_cache`, which knows only `maxsize` and `typed`
    :param maxsize: the most results to keep, dropping those that were not used for the longest
        time; None for no limit, 0 to keep none
    :param typed: whether arguments of different types count as different (`3` and `3.0`)
    :param always_checkpoint: whether every call is a checkpoint that lets others run; by default
        one that finds its result in the cache is not
    :param ttl: seconds after which a result is too old to be used; None for never
    :raises TypeError: the function is not callable, or `maxsize` is not a number
    """
    options: AsyncCacheParameters = {
        "maxsize": maxsize,
        "typed": typed,
        "always_checkpoint": always_checkpoint,
        "ttl": ttl,
    }
    return _LRUCacheDecorator(options) if func is None else _wrap(func, options)


@final
class _InitialMissingType:
    __slots__ = ()

    def __repr__(self) -> str:
        return "initial_missing"


initial_missing: _InitialMissingType = _InitialMissingType()
"""The default of `initial` in `reduce`: there is none."""


@overload
async def reduce(
    function: Callable[[T, S], Awaitable[T]],
    iterable: Iterable[S] | AsyncIterable[S],
    /,
    initial: T,
) -> T: ...


@overload
async def reduce(
    function: Callable[[T, T], Awaitable[T]], iterable: Iterable[T] | AsyncIterable[T], /
) -> T: ...


async def reduce(  # type: ignore[misc]  # the general signature is the one that is published
    function: Callable[[T, T], Awaitable[T]] | Callable[[T, S], Awaitable[T]],
    iterable: Iterable[T] | Iterable[S] | AsyncIterable[T] | AsyncIterable[S],
    /,
    initial: T | _InitialMissingType = initial_missing,
) -> T:
    """Combine the items to one value, from the left. A checkpoint for each item.

    :param function: an async function of what was combined so far and the next item
    :param iterable: the items, sync or async
    :param initial: what to begin with; without it, the first item
    :raises TypeError: the function is not callable, the iterable not iterable, or there is
        neither an item nor `initial`
    """
    if not callable(function):
        raise TypeError(f"the first argument must be callable, not {function!r}")
    try:
        source: Source[Any] = Source(iterable)
    except TypeError as exc:
        raise TypeError(
            f"reduce() argument 2 must be an iterable or async iterable, not {iterable!r}"
        ) from exc
    del iterable
    combine: Callable[[Any, Any], Awaitable[Any]] = function
    value: Any = initial
    async with source as items:
        async for item in items:
            value = item if value is initial_missing else await combine(value, item)
    if value is initial_missing:
        raise TypeError("reduce() of empty sequence with no initial value: pass `initial`")
    return value  # type: ignore[no-any-return]  # items are of any type until they are combined
