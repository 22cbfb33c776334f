"""The work of files, paths and cached functions.

The files are small and lie in the system's cache: what is measured is the way to the thread and
back, not the disk. They are made once for each process, in a temporary directory, and are not part
of the time. aiofiles takes part on asyncio.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path

import aiofiles
import trio

from .model import ANYIO, BACKENDS, Backend, Library, Target, TimedRow, clock

FILES = 1000
ENTRIES = 10_000
CONTENT = "a line of text\n" * 50
AIOFILES = "aiofiles"
ON_ASYNCIO: tuple[Backend, ...] = ("asyncio", "uvloop")


@cache
def small_files() -> list[str]:
    """Make the files that are read."""
    directory = new_directory()
    paths = [directory / str(number) for number in range(FILES)]
    for path in paths:
        path.write_text(CONTENT)
    return [str(path) for path in paths]


@cache
def crowded_directory() -> str:
    """Make the directory that is listed."""
    directory = new_directory()
    for number in range(ENTRIES):
        (directory / str(number)).touch()
    return str(directory)


def new_directory() -> Path:
    directory = tempfile.mkdtemp(prefix="creche-benchmark-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)


def check(length: int) -> None:
    if length != len(CONTENT):
        raise RuntimeError(f"a file is {length} characters long, not {len(CONTENT)}")


# Reading: open, read all, close


async def read_files(lib: Library, n: int) -> float:
    paths = small_files()
    begin = clock()
    for number in range(n):
        async with await lib.open_file(paths[number % FILES]) as file:
            check(len(await file.read()))
    return clock() - begin


async def read_files_aiofiles(n: int) -> float:
    paths = small_files()
    begin = clock()
    for number in range(n):
        async with aiofiles.open(paths[number % FILES]) as file:
            check(len(await file.read()))
    return clock() - begin


async def read_files_trio(n: int) -> float:
    paths = small_files()
    begin = clock()
    for number in range(n):
        async with await trio.open_file(paths[number % FILES]) as file:
            check(len(await file.read()))
    return clock() - begin


# The same, each file in one call


async def read_texts(lib: Library, n: int) -> float:
    paths = [lib.Path(path) for path in small_files()]
    begin = clock()
    for number in range(n):
        check(len(await paths[number % FILES].read_text()))
    return clock() - begin


async def read_texts_asyncio(n: int) -> float:
    paths = [Path(path) for path in small_files()]
    begin = clock()
    for number in range(n):
        check(len(await asyncio.to_thread(paths[number % FILES].read_text)))
    return clock() - begin


async def read_texts_trio(n: int) -> float:
    paths = [trio.Path(path) for path in small_files()]
    begin = clock()
    for number in range(n):
        check(len(await paths[number % FILES].read_text()))
    return clock() - begin


# Listing a directory; one operation is an entry


async def list_directory(lib: Library, n: int) -> float:
    path = lib.Path(crowded_directory())
    begin = clock()
    for _ in range(n // ENTRIES):
        found = [entry async for entry in path.iterdir()]
        if len(found) != ENTRIES:
            raise RuntimeError(f"{len(found)} entries were found, not {ENTRIES}")
    return clock() - begin


async def list_directory_trio(n: int) -> float:
    path = trio.Path(crowded_directory())
    begin = clock()
    for _ in range(n // ENTRIES):
        found = list(await path.iterdir())
        if len(found) != ENTRIES:
            raise RuntimeError(f"{len(found)} entries were found, not {ENTRIES}")
    return clock() - begin


# A result that is in the cache


async def slow_double(number: int) -> int:
    return number * 2


async def cached_call(lib: Library, n: int) -> float:
    functools = import_module(f"{lib.__name__}.functools")
    double = functools.lru_cache(slow_double)
    await double(21)
    begin = clock()
    for _ in range(n):
        await double(21)
    return clock() - begin


ROWS = (
    TimedRow(
        key="files-read",
        title="open, read and close a small file (1,000 of them)",
        portable=read_files,
        trio=read_files_trio,
        extras={AIOFILES: read_files_aiofiles},
        fixed=FILES,
        targets=(Target(ANYIO, 0.8, ON_ASYNCIO), Target(AIOFILES, 0.8, ON_ASYNCIO)),
        label="read a small file",
    ),
    TimedRow(
        key="path-read-text",
        title="Path.read_text of a small file",
        portable=read_texts,
        asyncio=read_texts_asyncio,
        trio=read_texts_trio,
        fixed=FILES,
        targets=(Target(ANYIO, 0.8, ON_ASYNCIO),),
    ),
    TimedRow(
        key="iterdir",
        title="Path.iterdir over 10,000 entries, per entry",
        portable=list_directory,
        trio=list_directory_trio,
        fixed=ENTRIES,
        max_rounds=5,
        targets=(Target(ANYIO, 0.3, BACKENDS),),
        label="Path.iterdir, per entry",
    ),
    TimedRow(
        key="lru-cache-hit",
        title="lru_cache, a result that is in the cache",
        portable=cached_call,
        targets=(Target(ANYIO, 0.6, BACKENDS),),
    ),
)
