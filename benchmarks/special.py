"""Rows that cannot be timed in rounds: CPU while waiting, memory per task, time to import.

* CPU: the process's own CPU time while a cancelled child waits for a sub-task that ignores
  cancellation for a second. A library that polls pays for the whole second.
* Memory: a fresh process per library spawns 20,000 tasks that wait for one event; the growth of
  what ``tracemalloc`` counts (exact, and what the target is about) or of the resident set.
* Import: fresh interpreters in turns, each timing its own ``import`` after ``import asyncio``,
  so that start-up noise, larger than the figure, stays out. Modules may put off work until it is
  needed, so a second row adds the first run of a task group.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from .model import ANYIO, ASYNCIO, CRECHE, LOOPS, Backend, Library, Settings, SpecialRow, Target
from .runner import load, run_portable

STUBBORN_SECONDS = 1.0
PROBE_TASKS = 20_000

# Some machines forbid Python to keep what it compiled: then the rows would time the compiler.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def portable_names(settings: Settings) -> dict[str, str]:
    """The column and the module of each library that has AnyIO's API."""
    return {ANYIO: ANYIO} if settings.only_peers else {CRECHE: settings.subject, ANYIO: ANYIO}


# CPU time while a cancelled child will not go


async def ignore_cancellation() -> None:
    end = time.monotonic() + STUBBORN_SECONDS
    while (left := end - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            pass


async def wait_for_stubborn() -> None:
    await asyncio.create_task(ignore_cancellation())


async def cancel_stubborn(lib: Library) -> float:
    async with lib.create_task_group() as group:
        group.start_soon(wait_for_stubborn)
        await lib.sleep(0.01)
        began, cpu = time.monotonic(), time.process_time()
        group.cancel_scope.cancel()
    waited = time.monotonic() - began
    if waited < STUBBORN_SECONDS * 0.9:
        raise RuntimeError(f"the group did not wait for its child: it ended after {waited:.2f} s")
    return time.process_time() - cpu


def stubborn_cpu(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    libraries = {label: load(name) for label, name in portable_names(settings).items()}
    figures: dict[str, list[float]] = {label: [] for label in libraries}
    for _ in range(1 if settings.quick else 3):
        for label, lib in libraries.items():
            figures[label].append(run_portable(lib, backend, cancel_stubborn, lib))
    return figures


# Memory per task


def probe_memory(module: str, backend: Backend, gauge: str) -> float:
    command = [sys.executable, "-m", f"{__package__}.memory_probe"]
    command += [module, backend, gauge, str(PROBE_TASKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def memory(gauge: str, backend: Backend, settings: Settings) -> dict[str, list[float]]:
    modules = portable_names(settings)
    native = LOOPS[backend].kernel
    modules[native] = f"native-{native}"
    figures: dict[str, list[float]] = {label: [] for label in modules}
    for _ in range(1 if settings.quick else 3):
        for label, module in modules.items():
            figures[label].append(probe_memory(module, backend, gauge))
    return figures


# Time to import, and to get going

IMPORT = """
import asyncio, time
began = time.perf_counter()
import {module}
print(time.perf_counter() - began)
"""

FIRST_USE = """
import asyncio, time
began = time.perf_counter()
import {module}
async def main():
    async with {module}.create_task_group() as group:
        group.start_soon({module}.sleep, 0)
{module}.run(main, backend={kernel!r}, backend_options={options!r})
print(time.perf_counter() - began)
"""

FIRST_USE_ASYNCIO = """
import asyncio, time
began = time.perf_counter()
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
asyncio.run(main())
print(time.perf_counter() - began)
"""


BARE_IMPORT = {
    "time": """
import time
import anyio
print(time.process_time())
""",
    "memory": """
import anyio
kilobytes = open("/proc/self/status").read().split("VmHWM:")[1].split()[0]
print(int(kilobytes) * 1.024)
""",
}
"""Of the whole process, for the drop-in is at work before the first line of a program."""


def said(program: str, environment: dict[str, str] = ENVIRONMENT) -> float:
    """Run a program that prints a number in a fresh interpreter."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def in_turns(
    measures: dict[str, Callable[[], float]], settings: Settings
) -> dict[str, list[float]]:
    for measure in measures.values():
        measure()  # compiles what was not yet compiled
    figures: dict[str, list[float]] = {label: [] for label in measures}
    for turn in range(8 if settings.quick else 30):
        for label in list(measures)[:: -1 if turn % 2 else 1]:
            figures[label].append(measures[label]() * 1e3)
    return figures


def programs_of(
    template: str, settings: Settings, **values: object
) -> dict[str, Callable[[], float]]:
    return {
        label: partial(said, template.format(module=module, **values))
        for label, module in portable_names(settings).items()
    }


def import_time(_backend: Backend, settings: Settings) -> dict[str, list[float]]:
    return in_turns(programs_of(IMPORT, settings), settings)


def first_use(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    loop = LOOPS[backend]
    programs = programs_of(FIRST_USE, settings, kernel=loop.kernel, options=dict(loop.options))
    if backend == ASYNCIO:
        programs[ASYNCIO] = partial(said, FIRST_USE_ASYNCIO)
    return in_turns(programs, settings)


def bare_import(what: str, _backend: Backend, settings: Settings) -> dict[str, list[float]]:
    measures: dict[str, Callable[[], float]] = {ANYIO: partial(said, BARE_IMPORT[what])}
    if not settings.only_peers:
        dropped_in = {**ENVIRONMENT, "CRECHE_AS_ANYIO": "1"}
        measures = {CRECHE: partial(said, BARE_IMPORT[what], dropped_in), **measures}
    return in_turns(measures, settings)


def memory_row(gauge: str, title: str, **more: Any) -> SpecialRow:
    return SpecialRow(
        key=f"memory-{gauge}",
        title=f"memory per task in Event.wait ({title})",
        label="memory per waiting task",
        unit="B",
        measure=partial(memory, gauge),
        **more,
    )


ROWS = (
    SpecialRow(
        key="stubborn-cpu",
        title="CPU while a cancelled child stays 1 s",
        unit="s",
        measure=stubborn_cpu,
        backends=("asyncio", "uvloop"),
        targets=(Target(None, 0.02, ("asyncio", "uvloop")),),
    ),
    memory_row("tracemalloc", "tracemalloc", targets=(Target(ASYNCIO, 1.25),), chart=("asyncio",)),
    memory_row("rss", "resident set"),
    SpecialRow(
        key="import",
        title="import, over a bare import asyncio",
        unit="ms",
        measure=import_time,
        backends=("asyncio",),
        targets=(Target(ANYIO, 0.7),),
    ),
    SpecialRow(
        key="first-use",
        title="import and a first run with a task group",
        unit="ms",
        measure=first_use,
        targets=(Target(ANYIO, 1.0, tuple(LOOPS)),),
    ),
    SpecialRow(
        key="bare-import",
        title="a process that imports anyio, with the drop-in and without",
        unit="ms",
        measure=partial(bare_import, "time"),
        backends=("asyncio",),
        targets=(Target(ANYIO, 2.0),),
    ),
    SpecialRow(
        key="bare-import-memory",
        title="the same, its memory",
        unit="B",
        measure=partial(bare_import, "memory"),
        backends=("asyncio",),
        targets=(Target(ANYIO, 2.0),),
    ),
)
