"""Everything that can be killed or frozen, at every step of a call.

    asking     the lease has a slot, and its question is on its way
    granted    the grant is on its way
    running    the function runs
    fetching   the answer is on its way: the first half megabyte of it is here
    answered   the answer has just arrived

A call that is in the middle of this ends with an error or with its result, starts once, and leaves no
process behind. Each starts a scheduler and a worker, so all of them run in `make soak`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _called
import psutil
import pytest
from _machines import Machines
from _watching import alive, fork_servers, noted, until

from creche import CancelScope, create_task_group, current_time, move_on_after
from creche._cluster.calls import Calls
from creche._cluster.dask.engine import DaskEngine
from creche._cluster.dask.plugin import Link
from creche.cluster import (
    ClusterError,
    ClusterLost,
    RemoteWorkerLost,
    WorkerUnreachable,
    open_cluster,
)

pytestmark = pytest.mark.soak  # starts processes of Dask: minutes on a small machine

TTL = 2.0
STEPS = ("asking", "granted", "running", "fetching", "answered")
VICTIMS = ("child", "fork server", "worker", "nanny", "scheduler")
SIZE = 30_000_000
"""Bytes of an answer that takes its time."""


def below(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the fork server of a worker, and its children."""
    try:
        mine = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        return []
    known = {each.pid for each in fork_servers()}
    return [each for each in mine if each.pid in known]


def strike_at(
    step: str, strike: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """Have `strike` called at a step, once; return when, as soon as it has been."""
    struck: list[float] = []

    def once() -> None:
        if not struck:
            struck.append(time.monotonic())
            strike()

    def before(kind: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
        real = getattr(kind, name)

        def replaced(self: Any, *args: Any) -> Any:
            if when(*args):
                once()
            return real(self, *args)

        monkeypatch.setattr(kind, name, replaced)

    if step == "asking":
        before(DaskEngine, "place")
    elif step == "granted":
        before(DaskEngine, "grant")
    elif step == "fetching":
        before(Link, "join", lambda sender, message: message[0] == "part")
    elif step == "answered":
        before(Calls, "answered")
    return struck


def parts_of(worker: subprocess.Popen[bytes], child: int) -> dict[str, int]:
    """Return the processes of a worker with a nanny, by what they are."""
    [server] = [each for each in below(worker) if each.pid != child]
    return {
        "child": child,
        "fork server": server.pid,
        "worker": server.ppid(),
        "nanny": worker.pid,
    }


async def struck_call(
    step: str, victim: str, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes"
    with Machines() as machines:
        worker = machines.worker(slots=1, nanny=True)
        async with open_cluster(machines.address, ttl=TTL) as cluster:
            await until(lambda: cluster.workers, 40)
            child = await cluster.run_sync(_called.pid)  # There is a warm child to strike.
            pids = parts_of(worker, child) | {"scheduler": machines.scheduler.pid}
            struck = strike_at(step, lambda: os.kill(pids[victim], number), monkeypatch)
            seconds = 0.2 if step in {"fetching", "answered"} else 30.0
            size = SIZE if step == "fetching" else 0
            outcome: list[object] = []

            async def call() -> None:
                try:
                    result = await cluster.run_sync(
                        _called.beat_and_give, str(path), seconds, size, grace=(0, 0.2)
                    )
                    outcome.append(len(result))
                except ClusterError as exc:
                    outcome.append(exc)

            async with create_task_group() as group:
                group.start_soon(call)
                if step == "running":
                    await until(lambda: noted(path))
                    os.kill(pids[victim], number)
                    struck.append(time.monotonic())
                await until(lambda: struck)
                with move_on_after(3 * TTL):
                    await until(lambda: outcome)
                begun = current_time()
                group.cancel_scope.cancel()
            assert current_time() - begun < TTL + 0.2 + 2, (
                "a cancelled call took longer than it may"
            )
            check_outcome(outcome, size)
            starts = [line for line in noted(path) if line.startswith("start")]
            assert len(starts) <= 1
            # A child that has answered stays warm, whoever else is frozen then.
            answering = step in {"fetching", "answered"}
            if number == signal.SIGKILL or (victim != "child" and not answering):
                running = [int(line.split()[2]) for line in starts]
                if victim != "nanny" or number == signal.SIGKILL:
                    await until(lambda: not any(map(alive, running)), TTL + 6)
            if number == signal.SIGSTOP and alive(pids[victim]):
                os.kill(pids[victim], signal.SIGCONT)  # So that it can end.


def check_outcome(outcome: list[object], size: int) -> None:
    """See that a call has ended as it may: by the cancel, with its whole result, or with a loss."""
    for each in outcome:
        assert each == size or isinstance(each, RemoteWorkerLost | ClusterLost), outcome


@pytest.mark.time_limit(120)
@pytest.mark.backends("asyncio", "trio")  # The engine has a loop of its own.
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_part_is_struck_at_a_step(
    step: str,
    victim: str,
    number: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await struck_call(step, victim, number, tmp_path, monkeypatch)


# How long it may take


@pytest.mark.backends("asyncio", "trio")  # the other two in `make soak`, by the matrix above
async def test_a_worker_that_is_killed_is_an_error_at_once_and_its_child_dies(
    tmp_path: Path,
) -> None:
    path = tmp_path / "notes"
    with Machines() as machines:
        worker = machines.worker(slots=1)
        async with open_cluster(machines.address) as cluster:
            await until(lambda: cluster.workers, 40)
            async with create_task_group() as group:

                async def call() -> None:
                    with pytest.raises(RemoteWorkerLost, match="connection to it has broken"):
                        await cluster.run_sync(_called.beat, str(path), 1, 60)
                    ended.append(time.monotonic())

                ended: list[float] = []
                group.start_soon(call)
                await until(lambda: noted(path))
                worker.kill()
                killed = time.monotonic()
                await until(lambda: ended, 5)
                assert ended[0] - killed < 2  # 50 ms where nothing else runs; see benchmarks
                await until(lambda: not alive(int(noted(path)[0].split()[2])), 5)
            assert len([line for line in noted(path) if line.startswith("start")]) == 1
            # Dask runs the lease again on the next worker, where it is refused.
            machines.worker(slots=1)
            await until(lambda: cluster.workers, 40)
            assert await cluster.run_sync(abs, -1) == 1
            assert len([line for line in noted(path) if line.startswith("start")]) == 1


async def test_a_scheduler_that_is_killed_is_cluster_lost(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    with Machines() as machines:
        machines.worker(slots=1)
        async with open_cluster(machines.address) as cluster:
            await until(lambda: cluster.workers, 40)
            async with create_task_group() as group:

                async def call() -> None:
                    with pytest.raises(ClusterLost):
                        await cluster.run_sync(_called.beat, str(path), 1, 60)

                group.start_soon(call)
                await until(lambda: noted(path))
                machines.scheduler.kill()
            with pytest.raises(ClusterLost, match="Open the cluster again"):
                await cluster.run_sync(abs, 1)
            await until(lambda: not alive(int(noted(path)[0].split()[2])), 3)


CALLER = """
import sys, os, creche, _called
from creche.cluster import open_cluster
from creche._cluster.calls import Calls
from creche._cluster.dask.engine import DaskEngine
from creche._cluster.dask.plugin import Link

address, path, ttl, step, number = sys.argv[1:]

def strike_before(kind, name, when=lambda *_: True):
    real = getattr(kind, name)

    def replaced(self, *args):
        if when(*args):
            _called.note(path + ".struck", step)
            os.kill(os.getpid(), int(number))
        return real(self, *args)

    setattr(kind, name, replaced)

async def main():
    async with open_cluster(address or None, ttl=float(ttl)) as cluster:
        while not cluster.workers:
            await creche.sleep(0.01)
        _called.note(path + ".child", str(await cluster.run_sync(_called.pid)))
        if step == "asking":
            strike_before(DaskEngine, "place")
        elif step == "granted":
            strike_before(DaskEngine, "grant")
        elif step == "fetching":
            strike_before(Link, "join", lambda sender, message: message[0] == "part")
        elif step == "answered":
            strike_before(Calls, "answered")
        answers = step in {"fetching", "answered"}
        size = 30_000_000 if step == "fetching" else 0
        await cluster.run_sync(_called.beat_and_give, path, 0.2 if answers else 60, size)

creche.run(main)
"""


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("embedded", [True, False])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_call_does_not_outlive_its_caller(
    embedded: bool, number: signal.Signals, step: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    with Machines() as machines:
        if not embedded:
            machines.worker(slots=1)
        address = "" if embedded else machines.address
        caller = machines.start([
            sys.executable, "-c", CALLER, address, str(path), str(TTL), step, str(int(number)),
        ])  # fmt: skip
        if step == "running":
            wait_for(lambda: noted(path), 40)
            os.kill(caller.pid, number)
        else:
            wait_for(lambda: noted(Path(f"{path}.struck")), 40)
        if number == signal.SIGKILL:
            caller.wait()
        limit = 2 if number == signal.SIGKILL else TTL + 1
        child = int(noted(Path(f"{path}.child"))[0].split()[0])
        if step in {"granted", "running"} or embedded:
            # On a worker of its own a warm child is the worker's, and stays.
            wait_for(lambda: not any(map(alive, began(path))), limit)
        if embedded:
            wait_for(lambda: not alive(child), limit)
        assert len([line for line in noted(path) if line.startswith("start")]) <= 1


def began(path: Path) -> list[int]:
    return [int(line.split()[2]) for line in noted(path) if line.startswith("start")]


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds + 1  # one for a busy machine
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.005)


async def test_a_call_on_a_frozen_worker_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    with Machines() as machines:
        worker = machines.worker(slots=1)
        async with open_cluster(machines.address, ttl=TTL) as cluster:
            await until(lambda: cluster.workers, 40)
            async with create_task_group() as group:

                async def call() -> None:
                    with pytest.raises(WorkerUnreachable), scope:
                        await cluster.run_sync(_called.beat, str(path), 1, 60, grace=(0, 0))

                scope = CancelScope()
                group.start_soon(call)
                await until(lambda: noted(path))
                worker.send_signal(signal.SIGSTOP)
                scope.cancel()
            # The fork server is alive, and ends what its worker does not look after.
            await until(lambda: not alive(int(noted(path)[0].split()[2])), TTL + 2)
