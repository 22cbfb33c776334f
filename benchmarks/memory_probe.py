"""A process of its own that prints the bytes one task costs while it waits for an event.

``python -m benchmarks.memory_probe MODULE BACKEND GAUGE TASKS``, where MODULE has AnyIO's API or
is ``native-asyncio`` or ``native-trio`` and GAUGE is ``tracemalloc`` or ``rss``. The group, its
tasks and whatever the library keeps for them are counted; the loop and the imports are not.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import trio

from .model import Backend, Library
from .runner import load, run_asyncio, run_portable, run_trio

SETTLING_PASSES = 5


def used(gauge: str) -> int:
    gc.collect()
    if gauge == "tracemalloc":
        return tracemalloc.get_traced_memory()[0]
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return resident_pages * os.sysconf("SC_PAGE_SIZE")


async def portable(lib: Library, gauge: str, tasks: int) -> float:
    event = lib.Event()
    before = used(gauge)
    async with lib.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(event.wait)
        for _ in range(SETTLING_PASSES):
            await lib.lowlevel.checkpoint()
        grown = used(gauge) - before
        event.set()
    return grown / tasks


async def on_asyncio(gauge: str, tasks: int) -> float:
    event = asyncio.Event()
    before = used(gauge)
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(event.wait())
        for _ in range(SETTLING_PASSES):
            await asyncio.sleep(0)
        grown = used(gauge) - before
        event.set()
    return grown / tasks


async def on_trio(gauge: str, tasks: int) -> float:
    event = trio.Event()
    before = used(gauge)
    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(event.wait)
        for _ in range(SETTLING_PASSES):
            await trio.lowlevel.checkpoint()
        grown = used(gauge) - before
        event.set()
    return grown / tasks


def probe(module: str, backend: Backend, gauge: str, tasks: int) -> Any:
    if module == "native-asyncio":
        return run_asyncio(backend, on_asyncio, gauge, tasks)
    if module == "native-trio":
        return run_trio(on_trio, gauge, tasks)
    lib = load(module)
    return run_portable(lib, backend, portable, lib, gauge, tasks)


def main() -> None:
    module, backend, gauge, tasks = sys.argv[1:]
    probe(module, backend, gauge, 10)  # first-use imports and caches
    if gauge == "tracemalloc":
        tracemalloc.start()
    print(probe(module, backend, gauge, int(tasks)))


if __name__ == "__main__":
    main()
