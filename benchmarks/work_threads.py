"""The work of worker threads, portals, worker processes and subinterpreters: small calls, both ways.

The function does nothing, so that a figure is the way there and back. Workers are there before the
clock starts.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

import trio

from .model import ANYIO, ASYNCIO, TRIO, Library, Row, Target, TimedRow, clock

AT_ONCE = 100

for name in ("from_thread", "to_interpreter", "to_process", "to_thread"):
    import_module(f"anyio.{name}")  # `import anyio` does not bring them all


def nothing() -> None:
    pass


# One call after the other


async def calls(call: Callable[[], Any], n: int) -> float:
    await call()
    begin = clock()
    for _ in range(n):
        await call()
    return clock() - begin


async def to_thread(lib: Library, n: int) -> float:
    return await calls(partial(lib.to_thread.run_sync, nothing), n)


async def to_thread_asyncio(n: int) -> float:
    return await calls(partial(asyncio.to_thread, nothing), n)


async def to_thread_trio(n: int) -> float:
    return await calls(partial(trio.to_thread.run_sync, nothing), n)


async def to_process(lib: Library, n: int) -> float:
    # AnyIO's workers load the main module by its file, and this one's cannot be loaded like that.
    vars(sys.modules["__main__"]).pop("__file__", None)
    return await calls(partial(lib.to_process.run_sync, nothing), n)


async def to_process_asyncio(n: int) -> float:
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(1) as executor:
        return await calls(partial(loop.run_in_executor, executor, nothing), n)


async def to_interpreter(lib: Library, n: int) -> float:
    return await calls(partial(lib.to_interpreter.run_sync, nothing), n)


# A hundred at once


async def at_once(lib: Library, n: int) -> float:
    seconds = 0.0
    for warm in range(n // AT_ONCE + 1):
        begin = clock()
        async with lib.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(lib.to_thread.run_sync, nothing)
        seconds += clock() - begin if warm else 0.0
    return seconds


async def at_once_asyncio(n: int) -> float:
    loop = asyncio.get_running_loop()
    seconds = 0.0
    for warm in range(n // AT_ONCE + 1):
        begin = clock()
        await asyncio.gather(*(loop.run_in_executor(None, nothing) for _ in range(AT_ONCE)))
        seconds += clock() - begin if warm else 0.0
    return seconds


async def at_once_trio(n: int) -> float:
    seconds = 0.0
    for warm in range(n // AT_ONCE + 1):
        begin = clock()
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(trio.to_thread.run_sync, nothing)
        seconds += clock() - begin if warm else 0.0
    return seconds


# From threads


def repeated(call: Callable[[], object], n: int) -> float:
    call()
    begin = clock()
    for _ in range(n):
        call()
    return clock() - begin


async def from_thread_sync(lib: Library, n: int) -> float:
    call = partial(lib.from_thread.run_sync, nothing)
    seconds: float = await lib.to_thread.run_sync(repeated, call, n)
    return seconds


async def from_thread_sync_asyncio(n: int) -> float:
    loop = asyncio.get_running_loop()

    async def nothing_async() -> None:
        pass

    def call() -> None:
        asyncio.run_coroutine_threadsafe(nothing_async(), loop).result()

    return await asyncio.to_thread(repeated, call, n)


async def from_thread_sync_trio(n: int) -> float:
    call = partial(trio.from_thread.run_sync, nothing)
    return await trio.to_thread.run_sync(repeated, call, n)


async def from_thread_async(lib: Library, n: int) -> float:
    call = partial(lib.from_thread.run, lib.sleep, 0)
    seconds: float = await lib.to_thread.run_sync(repeated, call, n)
    return seconds


async def from_thread_async_trio(n: int) -> float:
    call = partial(trio.from_thread.run, trio.sleep, 0)
    return await trio.to_thread.run_sync(repeated, call, n)


async def portal_call(lib: Library, n: int) -> float:
    async with lib.from_thread.BlockingPortal() as portal:
        call = partial(portal.call, lib.sleep, 0)
        seconds: float = await lib.to_thread.run_sync(repeated, call, n)
    return seconds


ROWS = (
    TimedRow(
        key="to-thread",
        title="to_thread.run_sync, there and back",
        portable=to_thread,
        asyncio=to_thread_asyncio,
        trio=to_thread_trio,
        targets=(Target(ASYNCIO, 0.85), Target(ANYIO, 0.75), Target(TRIO, 1.0, ("trio",))),
        chart=("asyncio",),
    ),
    TimedRow(
        key="to-thread-100",
        title="to_thread.run_sync, 100 at once",
        portable=at_once,
        asyncio=at_once_asyncio,
        trio=at_once_trio,
        batch=AT_ONCE,
        targets=(Target(ASYNCIO, 0.8),),
    ),
    TimedRow(
        key="from-thread-sync",
        title="from_thread.run_sync",
        portable=from_thread_sync,
        asyncio=from_thread_sync_asyncio,
        trio=from_thread_sync_trio,
        targets=(Target(ANYIO, 0.8),),
    ),
    TimedRow(
        key="from-thread-run",
        title="from_thread.run",
        portable=from_thread_async,
        trio=from_thread_async_trio,
    ),
    TimedRow(
        key="portal-call",
        title="Call through a portal",
        portable=portal_call,
        targets=(Target(ANYIO, 0.8),),
    ),
    TimedRow(
        key="to-process",
        title="to_process.run_sync, a small call",
        portable=to_process,
        asyncio=to_process_asyncio,
        targets=(Target(ANYIO, 0.7), Target(ASYNCIO, 1.0)),
        max_rounds=7,
        chart=("asyncio",),
    ),
)

INTERPRETER_ROWS: tuple[Row, ...] = ()
if sys.version_info >= (3, 13):
    INTERPRETER_ROWS = (
        TimedRow(
            key="to-interpreter",
            title="to_interpreter.run_sync, a small call",
            portable=to_interpreter,
            max_rounds=5,
        ),
    )
