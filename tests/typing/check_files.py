"""What type checkers know of files, paths, cached functions and the async tools.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, assert_type

from creche import (
    AsyncFile,
    NamedTemporaryFile,
    Path,
    SpooledTemporaryFile,
    TemporaryDirectory,
    TemporaryFile,
    mkdtemp,
    mkstemp,
    open_file,
    wrap_file,
)
from creche.functools import AsyncCacheInfo, AsyncLRUCacheWrapper, cache, lru_cache, reduce
from creche.itertools import (
    accumulate,
    batched,
    chain,
    groupby,
    islice,
    pairwise,
    starmap,
    tee,
)


async def check_files(mode: str) -> None:
    assert_type(await open_file("x"), AsyncFile[str])
    assert_type(await open_file("x", "w"), AsyncFile[str])
    binary = assert_type(await open_file("x", "rb"), AsyncFile[bytes])
    text = assert_type(wrap_file(io.StringIO()), AsyncFile[str])
    assert_type(await open_file("x", mode), AsyncFile[Any])
    assert_type(await binary.read(), bytes)
    assert_type(await text.readlines(), list[str])
    assert_type([line async for line in text], list[str])
    await text.write("x")
    await text.write(b"x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await text.read1()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    async with binary as entered:
        assert_type(entered, AsyncFile[bytes])


async def check_temporary_files() -> None:
    async with TemporaryFile() as binary:
        assert_type(binary, AsyncFile[bytes])
    async with NamedTemporaryFile("w+") as text:
        assert_type(text, AsyncFile[str])
    async with SpooledTemporaryFile(mode="w+") as spooled:
        assert_type(spooled, SpooledTemporaryFile[str])
    async with TemporaryDirectory[str]() as name:
        assert_type(name, str)
    assert_type(await mkdtemp(b"x"), bytes)
    assert_type(await mkstemp("x"), tuple[int, str])


async def check_paths(path: Path) -> None:
    assert_type(path / "x", Path)
    assert_type(await path.resolve(), Path)
    assert_type(await path.open("wb"), AsyncFile[bytes])
    assert_type(await path.open(), AsyncFile[str])
    assert_type(path.iterdir(), AsyncIterator[Path])
    assert_type([each async for each in path.glob("*")], list[Path])
    async for top, directories, files in path.walk():
        assert_type(top, Path)
        assert_type((directories, files), tuple[list[str], list[str]])


@cache
async def double(number: int) -> int:
    return number * 2


@lru_cache(maxsize=3)
async def length(text: str, *, extra: int = 0) -> int:
    return len(text) + extra


class Shop:
    @lru_cache(maxsize=3)
    async def price(self, item: str, *, taxed: bool = True) -> int:
        return len(item)

    @cache
    async def name(self) -> str:
        return ""

    @classmethod
    @lru_cache
    async def of_class(cls, item: str) -> bytes:
        return item.encode()

    @staticmethod
    @lru_cache
    async def static(item: str) -> float:
        return len(item)


class CornerShop(Shop):
    pass


@lru_cache
def synchronous(number: int) -> str:
    return str(number)


async def check_caches() -> None:
    wrapper: AsyncLRUCacheWrapper[[int], int] = double
    assert_type(await wrapper(1), int)
    assert_type(double.cache_info(), AsyncCacheInfo)
    assert_type(await length("a", extra=1), int)
    assert_type(synchronous(1), str)
    assert_type(await Shop().price("tea"), int)
    assert_type(await CornerShop().price("tea", taxed=False), int)
    assert_type(await Shop().name(), str)
    assert_type(await Shop.price(Shop(), "tea"), int)
    assert_type(await CornerShop.of_class("tea"), bytes)
    assert_type(await CornerShop().of_class("tea"), bytes)
    assert_type(await Shop.static("tea"), float)
    assert_type(await Shop().static("tea"), float)
    assert_type(Shop.price.cache_info(), AsyncCacheInfo)
    assert_type(CornerShop().price.cache_info(), AsyncCacheInfo)
    Shop.of_class.cache_clear()
    await double("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await length("1", other=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def add(total: int, item: int) -> int:
    return total + item


async def collect(items: list[str], item: int) -> list[str]:
    return [*items, str(item)]


async def check_tools(numbers: AsyncIterator[int]) -> None:
    assert_type(await reduce(add, numbers), int)
    nothing: list[str] = []
    assert_type(await reduce(collect, [1, 2], nothing), list[str])
    assert_type(chain([1], numbers), AsyncGenerator[int, None])
    assert_type(chain.from_iterable([[1], [2]]), AsyncGenerator[int, None])
    assert_type(batched("abc", 2), AsyncGenerator[tuple[str, ...], None])
    assert_type(islice(numbers, 1, 2), AsyncGenerator[int, None])
    assert_type(pairwise(numbers), AsyncGenerator[tuple[int, int], None])
    assert_type(accumulate(numbers, add, initial=1), AsyncGenerator[int, None])
    assert_type(groupby(numbers), AsyncGenerator[tuple[object, list[int]], None])
    assert_type(starmap(add, [(1, 2)]), AsyncGenerator[int, None])
    assert_type(tee(numbers, 3), tuple[AsyncIterator[int], ...])
