"""A million tasks that wait in one group: spawned, cancelled and joined; time and memory against asyncio's.

Each library has a process of its own, for memory that was used once makes the next library look cheap:
``python -m benchmarks.million LIBRARY TASKS`` prints the seconds of CPU time, and the bytes that
the resident set has grown by for each waiting task. Time is judged against bare asyncio, ``create_task``,
``cancel`` of each and ``wait``; memory against ``asyncio.TaskGroup``, which keeps its tasks as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from .growth import OnTrio, Portable
from .model import ANYIO, ASYNCIO, CRECHE, TRIO
from .special import ENVIRONMENT

TASKS = 1_000_000
QUICK_TASKS = 100_000
MOST_TIME, MOST_MEMORY = 1.5, 1.3
"""Times what asyncio takes."""
TASK_GROUP = "TaskGroup"

clock = time.process_time


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def in_a_group(lib: Any, size: int) -> tuple[float, float]:
    event = lib.Event()
    before, begun = resident(), clock()
    async with lib.create_task_group() as group:
        for _ in range(size):
            group.start_soon(event.wait)
        await passes(lib.sleep)
        grown = resident() - before
        group.cancel_scope.cancel()
    return clock() - begun, grown / size


async def on_asyncio(size: int) -> tuple[float, float]:
    event = asyncio.Event()
    before, begun = resident(), clock()
    tasks = [asyncio.create_task(event.wait()) for _ in range(size)]
    await passes(asyncio.sleep)
    grown = resident() - before
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return clock() - begun, grown / size


async def in_a_native_group(size: int) -> tuple[float, float]:
    event = asyncio.Event()
    before, begun = resident(), clock()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(event.wait()) for _ in range(size)]
        await passes(asyncio.sleep)
        grown = resident() - before
        for task in tasks:
            task.cancel()
    return clock() - begun, grown / size


async def passes(sleep: Callable[[float], Awaitable[object]]) -> None:
    for _ in range(3):
        await sleep(0)


def probe(library: str, size: int) -> tuple[float, float]:
    if library == ASYNCIO:
        return asyncio.run(on_asyncio(size))
    if library == TASK_GROUP:
        return asyncio.run(in_a_native_group(size))
    lib: Any = OnTrio() if library == TRIO else Portable(library)
    return lib.run(in_a_group, lib, size)  # type: ignore[no-any-return]  # what the probe returns


def measured(library: str, size: int) -> tuple[float, float] | None:
    """Measure a library in a process of its own, None where that failed."""
    command = [sys.executable, "-m", f"{__package__}.million", library, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        return None
    seconds, each = json.loads(done.stdout)
    return seconds, each


def report(subject: str = CRECHE, *, only_peers: bool = False, quick: bool = False) -> bool:
    """Print the section; return whether the subject meets it."""
    size = QUICK_TASKS if quick else TASKS
    modules = {} if only_peers else {CRECHE: subject}
    modules |= {name: name for name in (ASYNCIO, TASK_GROUP, ANYIO, TRIO)}
    print(f"\n{size:,} tasks wait in one group: spawned, cancelled and joined")
    print(f"at most {MOST_TIME:g} of asyncio's time, and {MOST_MEMORY:g} of its group's memory")
    print(f"  {'':10}{'seconds':>12}{'bytes each':>12}")
    found = {label: measured(module, size) for label, module in modules.items()}
    for label, figures in found.items():
        cells = "failed" if figures is None else f"{figures[0]:12.2f}{figures[1]:12,.0f}"
        print(f"  {label:10}{cells}", flush=True)
    ours, bare, grouped = found.get(CRECHE), found[ASYNCIO], found[TASK_GROUP]
    if ours is None or bare is None or grouped is None:
        return only_peers
    time_taken, memory = ours[0] / bare[0], ours[1] / grouped[1]
    print(
        f"  {CRECHE} takes {time_taken:.2f} of asyncio's time, {memory:.2f} of its group's memory"
    )
    return time_taken <= MOST_TIME and memory <= MOST_MEMORY


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1], int(sys.argv[2]))))
