"""Insight: what it costs to be recorded, to be looked at, and to look.

Peers are Creche's own without it: the two sides take turns in one run. What is off costs nothing that could be
measured here: the points at which steps are seen are functions that nothing was added to. Compare two checkouts
with `benchmarks/instructions.py` to see that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, TypeAlias

from .model import CRECHE, Backend, Settings, SpecialRow, Target, clock
from .work_web import probe

NUMBER = 1_000
TASKS = 10_000
STEPS = 20
PLAIN = "not watched"
WEB = "fastapi-middleware"
PSTREE = "python -m asyncio pstree"
SECOND = 1.0
"""Seconds that a sample beside a viewer takes: the viewer looks once in each."""
VIEWER = """
import sys, time
from creche._insight.ask import connect
with connect(int(sys.argv[1])) as target:
    while True:
        target.snapshot()
        print(flush=True)
        time.sleep(1)
"""
Main: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


def run(main: Main, backend: Backend) -> None:
    import creche

    options = {"use_uvloop": True} if backend == "uvloop" else {}
    kernel = "trio" if backend == "trio" else "asyncio"
    creche.run(main, backend=kernel, backend_options=options)


async def nothing() -> None:
    pass


async def spawn_and_join() -> float:
    """Return the seconds that 1,000 tasks take which do nothing."""
    from creche import create_task_group

    begin = clock()
    async with create_task_group() as group:
        for _ in range(NUMBER):
            group.start_soon(nothing)
    return clock() - begin


async def steps() -> float:
    """Return the seconds that 100 tasks take for `STEPS` steps each."""
    from creche import create_task_group, sleep

    async def work() -> None:
        for _ in range(STEPS - 1):
            await sleep(0)

    begin = clock()
    async with create_task_group() as group:
        for _ in range(100):
            group.start_soon(work)
    return clock() - begin


def recorded(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Return microseconds for each task, recorded and not, in turns."""
    from creche import insight

    found: dict[str, list[float]] = {CRECHE: [], PLAIN: []}

    async def main() -> None:
        for _ in range(1 + (3 if settings.quick else settings.rounds)):
            with insight.flight_recorder():
                await spawn_and_join()
                found[CRECHE].append(await spawn_and_join() / NUMBER * 1e6)
            await spawn_and_join()
            found[PLAIN].append(await spawn_and_join() / NUMBER * 1e6)

    run(main, backend)
    return {name: figures[1:] for name, figures in found.items()}


def event(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Return what recording adds for each begin and end of a step, in nanoseconds."""
    from creche import insight

    added: list[float] = []

    async def main() -> None:
        for _ in range(1 + (3 if settings.quick else settings.rounds)):
            await steps()
            plain = await steps()
            with insight.flight_recorder():
                await steps()
                added.append((await steps() - plain) / (100 * STEPS * 2) * 1e9)

    run(main, backend)
    return {CRECHE: added[1:]}


def start_viewer(pid: int, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", VIEWER, str(pid)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def viewed(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Return microseconds for each task beside 1,000 that wait, with a viewer that looks once a second."""
    from creche import create_task_group, insight, sleep_forever

    found: dict[str, list[float]] = {CRECHE: [], PLAIN: []}

    async def sample() -> float:
        end, count, spent = perf_counter() + SECOND, 0, 0.0
        while perf_counter() < end:
            spent += await spawn_and_join()
            count += NUMBER
        return spent / count * 1e6

    async def main() -> None:
        async with create_task_group() as group:
            for _ in range(NUMBER):
                group.start_soon(sleep_forever)
            for _ in range(3 if settings.quick else settings.rounds):
                with start_viewer(os.getpid()) as viewer:
                    assert viewer.stdout is not None, "asked for"
                    reader = threading.Thread(target=viewer.stdout.readline)
                    reader.start()
                    while reader.is_alive():  # Its start is not what this is about.
                        await spawn_and_join()
                    found[CRECHE].append(await sample())
                    viewer.kill()
                found[PLAIN].append(await sample())
            group.cancel_scope.cancel()

    insight.serve()
    try:
        run(main, backend)
    finally:
        insight.stop_serving()
    return found


def viewed_web(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Return microseconds for each request to FastAPI, with a viewer that looks once a second, and without."""
    found: dict[str, list[float]] = {CRECHE: [], PLAIN: []}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        opened = {**os.environ, "CRECHE_INSIGHT": "1", "XDG_RUNTIME_DIR": folder}
        asks: dict[str, Callable[[int], float]] = {}
        for name, environment in ((CRECHE, opened), (PLAIN, dict(os.environ))):
            running = probe("creche", backend, WEB, environment=environment)
            asks[name] = stack.enter_context(running)[1]
            asks[name](50)
        (socket,) = Path(folder).glob("creche/*.sock")
        viewer = stack.enter_context(start_viewer(int(socket.stem), opened))
        stack.callback(viewer.kill)
        assert viewer.stdout is not None, "asked for"
        viewer.stdout.readline()
        number = round(SECOND / max(ask(50) / 50 for ask in asks.values()))
        for _ in range(3 if settings.quick else settings.rounds):
            for name, ask in asks.items():
                found[name].append(ask(number) / number * 1e6)
    return found


def snapshots(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Return the milliseconds of CPU of a snapshot of 10,000 tasks, made in another thread."""
    from creche import Lock, create_task_group, insight, sleep, sleep_forever

    taken: list[float] = []

    async def request(lock: Lock) -> None:
        async with lock:
            await sleep_forever()

    def look() -> None:
        for _ in range(1 + (3 if settings.quick else settings.rounds)):
            begin = thread_time()
            insight.snapshot()
            taken.append((thread_time() - begin) * 1e3)

    async def main() -> None:
        lock = Lock()
        async with create_task_group() as group:
            for _ in range(TASKS):
                group.start_soon(request, lock)
            await sleep(0.1)
            thread = threading.Thread(target=look)
            thread.start()
            while thread.is_alive():
                await sleep(0.001)
            group.cancel_scope.cancel()

    run(main, backend)
    return {CRECHE: taken[1:]}


def stop(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Return the milliseconds of the longest stop of a loop while 10,000 of its tasks are looked at."""
    from creche import create_task_group, insight, sleep, sleep_forever

    longest: list[float] = []

    async def main() -> None:
        async with create_task_group() as group:
            for _ in range(TASKS):
                group.start_soon(sleep_forever)
            await sleep(0.1)
            for _ in range(1 + (3 if settings.quick else settings.rounds)):
                thread = threading.Thread(target=lambda: insight.snapshot().to_json())
                thread.start()
                stops, before = [0.0], perf_counter()
                while thread.is_alive():
                    await sleep(0)
                    before, past = perf_counter(), before
                    stops.append((before - past) * 1e3)
                longest.append(max(stops))
            group.cancel_scope.cancel()

    run(main, backend)
    return {CRECHE: longest[1:]}


CROWD = """
import sys
import creche
from creche import insight

async def main():
    async with creche.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(creche.sleep_forever)
        await creche.wait_all_tasks_blocked()
        print("ready", flush=True)

insight.serve()
creche.run(main)
"""


def asked(_backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Return the milliseconds from a command to what it says of 1,000 tasks, asyncio's own from 3.14 on."""
    commands = {CRECHE: ["creche", "tree"]}
    if sys.version_info >= (3, 14):
        commands[PSTREE] = ["asyncio", "pstree"]
    found: dict[str, list[float]] = {name: [] for name in commands}
    with subprocess.Popen([sys.executable, "-c", CROWD], stdout=subprocess.PIPE) as target:
        assert target.stdout is not None, "asked for"
        target.stdout.readline()
        try:
            for _ in range(3 if settings.quick else settings.rounds):
                for name, command in commands.items():
                    begin = perf_counter()
                    subprocess.run(
                        [sys.executable, "-m", *command, str(target.pid)],
                        check=True, stdout=subprocess.DEVNULL,
                    )  # fmt: skip
                    found[name].append((perf_counter() - begin) * 1e3)
        finally:
            target.kill()
    return found


ROWS = (
    SpecialRow(
        key="recorded",
        title="spawn and join of 1,000 tasks, recorded",
        measure=recorded,
        targets=(Target(PLAIN, 1.15),),
    ),
    SpecialRow(
        key="recorded-event",
        title="a begin or end of a step, recorded",
        unit="ns",
        measure=event,
        targets=(Target(None, 150),),
    ),
    SpecialRow(
        key="viewed",
        title="spawn and join, with a viewer that looks once a second at 1,000 tasks more",
        measure=viewed,
        targets=(Target(PLAIN, 1.03),),
    ),
    SpecialRow(
        key="viewed-web",
        title="FastAPI, one BaseHTTPMiddleware, with a viewer that looks once a second",
        measure=viewed_web,
        targets=(Target(PLAIN, 1.03),),
    ),
    SpecialRow(
        key="snapshot",
        title="snapshot of 10,000 tasks, CPU",
        unit="ms",
        measure=snapshots,
        targets=(Target(None, 200),),
    ),
    SpecialRow(
        key="snapshot-stop",
        title="longest stop of the loop meanwhile",
        unit="ms",
        measure=stop,
        targets=(Target(None, 5),),
    ),
    SpecialRow(
        key="asked",
        title="command that shows 1,000 tasks",
        unit="ms",
        measure=asked,
        backends=("asyncio",),
    ),
)
