"""Rows of `creche.cluster`, beside raw Dask on the same scheduler and workers, in one run.

Owns eight workers with 25 slots each, as processes on loopback, for the time of one row. Creche's calls and
Dask's own (`submit`, then await) take turns, so that what the machine does meanwhile meets both.

A cancel is measured from `cancel()` to the moment in which the call has returned, which it does when the
process group is reaped.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import distributed as dask_distributed
import psutil

import creche
from creche import CancelScope, create_task_group, move_on_after, run, sleep
from creche.cluster import (
    Cluster,
    ClusterLost,
    Placement,
    RemoteWorkerLost,
    open_cluster,
)

from .cluster_functions import ask, ignore, nap
from .model import CRECHE, Backend, Settings, SpecialRow, Target

DASK = "dask"
WORKERS, SLOTS = 8, 25
THREADS = Placement(threads=True)

distributed: Any = dask_distributed


@contextmanager
def machines(count: int = WORKERS) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and workers; return its address, and their processes, its own being the first."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        common = {
            "env": environment,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
            "cwd": folder,
        }
        where = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
        dask = [sys.executable, "-m", "dask"]
        processes = [
            subprocess.Popen([*dask, "scheduler", "--port", "0", "--scheduler-file", str(file), *where], **common)  # type: ignore[call-overload]
        ]  # fmt: skip
        try:
            while not file.exists() or not file.read_text():
                time.sleep(0.05)
            address = json.loads(file.read_text())["address"]
            workers = [
                subprocess.Popen([*dask, "worker", address, "--no-nanny", "--nthreads", str(SLOTS), *where], **common)  # type: ignore[call-overload]
                for _ in range(count)
            ]  # fmt: skip
            processes += workers
            yield address, processes
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


class RawDask:
    """A Dask client in a loop and a thread of its own."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client: Any = self.do(self._open(address))

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self, address: str) -> Any:
        return await distributed.Client(address, asynchronous=True, set_as_default=False)

    async def calls(self, count: int) -> list[float]:
        times: list[float] = []
        for number in range(count):
            begin = time.perf_counter()
            await self._client.submit(abs, -number, pure=False)
            times.append(time.perf_counter() - begin)
        return times

    async def many(self, count: int) -> float:
        begin = time.perf_counter()
        await self._client.gather([self._client.submit(abs, -n, pure=False) for n in range(count)])
        return time.perf_counter() - begin

    async def _close(self) -> None:
        await self._client.close()

    def close(self) -> None:
        self.do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


Work = Callable[
    [Cluster, RawDask, list[subprocess.Popen[bytes]], Settings], Awaitable[dict[str, list[float]]]
]


@asynccontextmanager
async def clusters(address: str) -> AsyncIterator[tuple[Cluster, RawDask]]:
    raw = await creche.to_thread.run_sync(RawDask, address)
    try:
        async with open_cluster(address) as cluster:
            while len(cluster.workers) < WORKERS:
                await sleep(0.05)
            async with create_task_group() as group:  # Warm children, and warm threads.
                for _ in range(cluster.slots):
                    group.start_soon(cluster.run_sync, abs, 1)
            yield cluster, raw
    finally:
        await creche.to_thread.run_sync(raw.close)


def measure(work: Work, backend: Backend, settings: Settings) -> dict[str, list[float]]:
    async def main() -> dict[str, list[float]]:
        async with clusters(address) as (cluster, raw):
            return await work(cluster, raw, processes, settings)

    with machines() as (address, processes):
        return run(main, backend=backend)


# Calls


async def calls(
    placement: Placement | None, cluster: Cluster, raw: RawDask, _: object, settings: Settings
) -> dict[str, list[float]]:
    """One call after the other: the median of each round, in ms."""
    ours: list[float] = []
    theirs: list[float] = []
    for _round in range(3 if settings.quick else 9):
        times: list[float] = []
        for number in range(50):
            begin = time.perf_counter()
            await cluster.run_sync(abs, -number, placement=placement)
            times.append(time.perf_counter() - begin)
        ours.append(sorted(times)[25] * 1000)
        theirs.append(sorted(await in_thread(raw, raw.calls(50)))[25] * 1000)
    return {CRECHE: ours, DASK: theirs}


async def in_thread(raw: RawDask, work: Any) -> Any:
    return await creche.to_thread.run_sync(raw.do, work)


async def thousand(
    cluster: Cluster, raw: RawDask, _: object, settings: Settings
) -> dict[str, list[float]]:
    ours: list[float] = []
    theirs: list[float] = []
    for _round in range(2 if settings.quick else 5):
        begin = time.perf_counter()
        async with create_task_group() as group:
            for number in range(1000):
                group.start_soon(cluster.run_sync, abs, -number)
        ours.append((time.perf_counter() - begin) * 1000)
        theirs.append(await in_thread(raw, raw.many(1000)) * 1000)
    return {CRECHE: ours, DASK: theirs}


# Cancels


class Begun:
    """A file that calls say in that they run."""

    def __init__(self, folder: str) -> None:
        self.path = str(Path(folder) / "begun")

    async def wait(self, count: int) -> None:
        """Wait until so many calls run, and begin to count anew."""
        while not os.path.exists(self.path) or os.path.getsize(self.path) < count:  # noqa: ASYNC240
            await sleep(0.005)
        os.unlink(self.path)
        await sleep(0.1)  # for their processes to come to rest


@contextmanager
def begun() -> Generator[Begun, None, None]:
    with tempfile.TemporaryDirectory() as folder:
        yield Begun(folder)


async def cancels(
    func: Callable[[str], None],
    grace: tuple[float, float],
    cluster: Cluster,
    raw: RawDask,
    _: object,
    settings: Settings,
) -> dict[str, list[float]]:
    """How long a call takes to return after its cancel, beyond its graces: the 99th percentile, in ms."""
    times: list[float] = []
    count = 20 if settings.quick else 100
    at_once = 5

    async def call(path: str, scope: CancelScope, cancelled: list[float]) -> None:
        with scope:
            await cluster.run_sync(func, path, grace=grace)
        times.append(time.perf_counter() - cancelled[0])

    with begun() as calls_run:
        for _round in range(count // at_once):
            async with create_task_group() as group:
                scopes = [(CancelScope(), list[float]()) for _ in range(at_once)]
                for scope, cancelled in scopes:
                    group.start_soon(call, calls_run.path, scope, cancelled)
                await calls_run.wait(at_once)
                for scope, cancelled in scopes:
                    cancelled.append(time.perf_counter())
                    scope.cancel()
                    await sleep(0.1)
    extra = sum(grace) if func is ignore else 0.0
    figures = {CRECHE: [(p99(times) - extra) * 1000]}
    if func is nap:
        figures["process"] = [p99(await creche.to_thread.run_sync(terminations, count)) * 1000]
    return figures


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99) - 1]


def terminations(count: int) -> list[float]:
    """How long a process of this machine takes to be gone after SIGTERM, with nothing in between."""
    times: list[float] = []
    for _ in range(count):
        with subprocess.Popen(["sleep", "60"]) as process:
            time.sleep(0.02)
            begin = time.perf_counter()
            process.terminate()
            process.wait()
            times.append(time.perf_counter() - begin)
    return times


async def all_at_once(
    cluster: Cluster, raw: RawDask, _: object, settings: Settings
) -> dict[str, list[float]]:
    count = WORKERS * SLOTS
    with begun() as calls_run:
        async with create_task_group() as group:
            for _ in range(count):
                group.start_soon(partial(cluster.run_sync, nap, calls_run.path, grace=(0, 0.5)))
            await calls_run.wait(count)
            begin = time.perf_counter()
            group.cancel_scope.cancel()
    return {CRECHE: [(time.perf_counter() - begin) * 1000]}


# Losses


async def nap_until_lost(cluster: Cluster, path: str, ended: list[float]) -> None:
    try:
        await cluster.run_sync(nap, path)
    except (RemoteWorkerLost, ClusterLost):
        ended.append(time.perf_counter())


async def worker_killed(
    cluster: Cluster, raw: RawDask, processes: list[subprocess.Popen[bytes]], settings: Settings
) -> dict[str, list[float]]:
    """From the kill of a worker to the error, and to the end of its children; the later of both, in ms."""
    times: list[float] = []
    for worker in processes[1:4]:
        children = psutil.Process(worker.pid).children(recursive=True)
        ended: list[float] = []
        with begun() as calls_run:
            async with create_task_group() as group:
                for _ in range(WORKERS * 4):  # so many that one is there
                    group.start_soon(nap_until_lost, cluster, calls_run.path, ended)
                await calls_run.wait(WORKERS * 4)
                begin = time.perf_counter()
                worker.kill()
                while any(map(alive, children)):
                    await sleep(0.001)
                gone = time.perf_counter()
                while not ended:
                    await sleep(0.001)
                times.append((max(gone, ended[0]) - begin) * 1000)
                group.cancel_scope.cancel()
    return {CRECHE: times}


def scheduler_killed(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """From the kill of the scheduler to the error, and to the end of the child, in ms."""
    figures: dict[str, list[float]] = {CRECHE: [], "child gone": []}

    async def main(address: str, processes: list[subprocess.Popen[bytes]]) -> None:
        ended: list[float] = []
        async with open_cluster(address) as cluster:
            while not cluster.workers:
                await sleep(0.05)
            with begun() as calls_run:
                async with create_task_group() as group:
                    group.start_soon(nap_until_lost, cluster, calls_run.path, ended)
                    await calls_run.wait(1)
                    children = psutil.Process(processes[1].pid).children(recursive=True)
                    child = max(children, key=psutil.Process.create_time)  # after its fork server
                    begin = time.perf_counter()
                    processes[0].kill()
                    while alive(child):
                        await sleep(0.001)
                    gone = time.perf_counter()
        figures[CRECHE].append((ended[0] - begin) * 1000)
        figures["child gone"].append((gone - begin) * 1000)

    for _ in range(2 if settings.quick else 5):
        with machines(1) as (address, processes):
            run(main, address, processes, backend=backend)
    return figures


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def opening(backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """How long an embedded cluster takes to open, once all is imported, in ms."""
    times: list[float] = []

    async def main() -> None:
        for _ in range(3 if settings.quick else 11):
            begin = time.perf_counter()
            async with open_cluster() as cluster:
                times.append((time.perf_counter() - begin) * 1000)
                assert cluster.slots

    run(main, backend=backend)
    return {CRECHE: times[1:]}


# Maps


async def lateness(
    cluster: Cluster, raw: RawDask, _: object, settings: Settings
) -> dict[str, list[float]]:
    """How late the loop is while a map of 20,000 items runs: the 99th percentile, in ms."""
    items = 2_000 if settings.quick else 20_000
    late: dict[str, list[float]] = {CRECHE: [], "no map": []}

    async def tick(column: list[float]) -> None:
        while True:
            begin = time.perf_counter()
            await sleep(0.005)
            column.append(time.perf_counter() - begin - 0.005)

    async with create_task_group() as group:
        group.start_soon(tick, late[CRECHE])
        async with cluster.map(abs, range(items), at_most=32) as results:
            async for _ in results:
                pass
        group.cancel_scope.cancel()
    with move_on_after(5):
        await tick(late["no map"])
    return {column: [p99(times) * 1000] for column, times in late.items()}


def row(key: str, title: str, work: Any, *targets: Target) -> SpecialRow:
    return alone(key, title, partial(measure, work), *targets)


def alone(key: str, title: str, measure: Any, *targets: Target) -> SpecialRow:
    """A row that starts the machines that it needs by itself."""
    return SpecialRow(
        key=f"cluster-{key}",
        title=title,
        unit="ms",
        measure=measure,
        targets=targets,
        backends=("asyncio", "trio"),
    )


BOTH: tuple[Backend, ...] = ("asyncio", "trio")

ROWS = (
    row("call", "A call in a warm child", partial(calls, None), Target(DASK, 1.5, BOTH)),
    row("call-threads", "A call in the worker's thread", partial(calls, THREADS), Target(DASK, 1.3, BOTH)),
    row("1000", "1,000 calls at once", thousand, Target(DASK, 2.5, BOTH)),
    row("cancel-asks", "Cancel to gone, p99: a function that asks", partial(cancels, ask, (5, 5)), Target(None, 25, BOTH)),
    row("cancel-term", "Cancel to gone, p99: SIGTERM", partial(cancels, nap, (0, 5)), Target(None, 15, BOTH)),
    row("cancel-kill", "Cancel to gone, p99: SIGKILL, over the graces", partial(cancels, ignore, (0, 0.1)), Target(None, 25, BOTH)),
    row("cancel-200", "200 calls cancelled at once", all_at_once, Target(None, 1000, BOTH)),
    row("worker-killed", "A worker killed: error, and children gone", worker_killed, Target(None, 50, BOTH)),
    alone("scheduler-killed", "The scheduler killed: the error", scheduler_killed, Target(None, 50, BOTH)),
    alone("open", "An embedded cluster opens, once imported", opening, Target(None, 100, BOTH)),
    row("map-late", "The loop's lateness during a map, p99", lateness, Target(None, 10, BOTH)),
)  # fmt: skip
