"""The work of subprocesses: a program that does nothing, and output that is streamed.

A run is from the command to the code, with both outputs read to their end. The standard input is
ours in every library, so that none has a pipe more than the others.
"""

from __future__ import annotations

import asyncio
import subprocess

import trio

from .model import ANYIO, ASYNCIO, TRIO, Library, Target, TimedRow, clock

NOTHING = ["true"]
CHUNK = 65536
FLOOD = ["head", "-c"]
AT_ONCE = 20


# One program after the other


async def run(lib: Library, n: int) -> float:
    begin = clock()
    for _ in range(n):
        await lib.run_process(NOTHING)
    return clock() - begin


async def one_asyncio() -> None:
    process = await asyncio.create_subprocess_exec(
        *NOTHING, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await process.communicate()


async def run_asyncio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        await one_asyncio()
    return clock() - begin


async def one_trio() -> None:
    await trio.run_process(NOTHING, stdin=None, capture_stdout=True, capture_stderr=True)


async def run_trio(n: int) -> float:
    begin = clock()
    for _ in range(n):
        await one_trio()
    return clock() - begin


# Many at once


async def at_once(lib: Library, n: int) -> float:
    begin = clock()
    for _ in range(n // AT_ONCE):
        async with lib.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(lib.run_process, NOTHING)
    return clock() - begin


async def at_once_asyncio(n: int) -> float:
    begin = clock()
    for _ in range(n // AT_ONCE):
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(one_asyncio())
    return clock() - begin


async def at_once_trio(n: int) -> float:
    begin = clock()
    for _ in range(n // AT_ONCE):
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(one_trio)
    return clock() - begin


# What one program writes, 64 KiB of it each time


def flood(n: int) -> list[str]:
    return [*FLOOD, str(n * CHUNK), "/dev/zero"]


async def stream(lib: Library, n: int) -> float:
    left = n * CHUNK
    async with await lib.open_process(flood(n), stdin=None, stderr=None) as process:
        begin = clock()
        while left:
            left -= len(await process.stdout.receive(CHUNK))
        return clock() - begin


async def stream_asyncio(n: int) -> float:
    left = n * CHUNK
    process = await asyncio.create_subprocess_exec(*flood(n), stdout=subprocess.PIPE)
    assert process.stdout is not None
    begin = clock()
    while left:
        left -= len(await process.stdout.read(CHUNK))
    end = clock()
    await process.wait()
    return end - begin


async def stream_trio(n: int) -> float:
    left = n * CHUNK
    process = await trio.lowlevel.open_process(flood(n), stdout=subprocess.PIPE)
    assert process.stdout is not None
    begin = clock()
    while left:
        left -= len(await process.stdout.receive_some(CHUNK))
    end = clock()
    await process.stdout.aclose()
    await process.wait()
    return end - begin


ROWS = (
    TimedRow(
        key="process-run",
        title='run_process(["true"])',
        portable=run,
        asyncio=run_asyncio,
        trio=run_trio,
        targets=(Target(ASYNCIO, 0.8), Target(TRIO, 1.0, ("trio",)), Target(ANYIO, 0.8)),
        chart=("asyncio",),
    ),
    TimedRow(
        key="process-run-20",
        title="run_process, 20 at once",
        portable=at_once,
        asyncio=at_once_asyncio,
        trio=at_once_trio,
        batch=AT_ONCE,
    ),
    TimedRow(
        key="process-stream",
        title="Read 64 KiB of a process",
        portable=stream,
        asyncio=stream_asyncio,
        trio=stream_trio,
    ),
)
