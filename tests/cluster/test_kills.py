"""Everything that can be killed or frozen, at every step of a call.

    asking     the lease has a slot, and its question is on its way
    granted    the grant is on its way
    running    the function runs
    answered   the answer has just arrived

A call that is in the middle of this ends with an error or with its result, starts once, and leaves no
process behind. A few of these run always, and all of them in `make soak`.
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
from creche.cluster import (
    ClusterError,
    ClusterLost,
    RemoteWorkerLost,
    WorkerUnreachable,
    open_cluster,
)

pytestmark = pytest.mark.soak  # starts processes of Dask: minutes on a small machine

TTL = 2.0
STEPS = ("asking", "granted", "running", "answered")


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

    def before(kind: Any, name: str) -> None:
        real = getattr(kind, name)

        def replaced(self: Any, *args: Any) -> Any:
            once()
            return real(self, *args)

        monkeypatch.setattr(kind, name, replaced)

    if step == "asking":
        before(DaskEngine, "place")
    elif step == "granted":
        before(DaskEngine, "grant")
    elif step == "answered":
        before(Calls, "answered")
    return struck


async def struck_call(
    step: str, victim: str, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes"
    with Machines() as machines:
        worker = machines.worker(slots=1)
        async with open_cluster(machines.address, ttl=TTL) as cluster:
            await until(lambda: cluster.workers, 40)
            child = await cluster.run_sync(_called.pid)  # There is a warm child to strike.
            [server] = [each for each in below(worker) if each.pid != child]
            pids = {"child": child, "fork server": server.pid, "worker": worker.pid,
                    "scheduler": machines.scheduler.pid}  # fmt: skip
            struck = strike_at(step, lambda: os.kill(pids[victim], number), monkeypatch)
            seconds = 0.2 if step == "answered" else 30.0
            outcome: list[object] = []

            async def call() -> None:
                try:
                    outcome.append(
                        await cluster.run_sync(_called.beat, str(path), 1, seconds, grace=(0, 0.2))
                    )
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
            starts = [line for line in noted(path) if line.startswith("start")]
            assert len(starts) <= 1
            if outcome and not isinstance(outcome[0], int):
                assert isinstance(outcome[0], RemoteWorkerLost | ClusterLost), outcome
            # A child that has answered stays warm, whoever else is frozen then.
            if number == signal.SIGKILL or (victim != "child" and step != "answered"):
                running = [int(line.split()[2]) for line in starts]
                await until(lambda: not any(map(alive, running)), TTL + 6)
            if number == signal.SIGSTOP and alive(pids[victim]):
                os.kill(pids[victim], signal.SIGCONT)  # So that it can end.


@pytest.mark.soak
@pytest.mark.time_limit(120)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("victim", ["child", "fork server", "worker", "scheduler"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_part_is_struck_at_a_step(
    step: str,
    victim: str,
    number: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await struck_call(step, victim, number, tmp_path, monkeypatch)


# Some that always run, with how long it may take


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


@pytest.mark.soak
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
import sys, creche, _called
from creche.cluster import open_cluster

async def main():
    async with open_cluster(sys.argv[1], ttl=float(sys.argv[3])) as cluster:
        while not cluster.workers:
            await creche.sleep(0.01)
        await cluster.run_sync(_called.beat, sys.argv[2], 1, 60)

creche.run(main)
"""


@pytest.mark.parametrize(
    ("embedded", "number"),
    [
        (True, signal.SIGKILL),
        pytest.param(True, signal.SIGSTOP, marks=pytest.mark.soak),
        pytest.param(False, signal.SIGKILL, marks=pytest.mark.soak),
        pytest.param(False, signal.SIGSTOP, marks=pytest.mark.soak),
    ],
)
def test_a_call_does_not_outlive_its_caller(
    embedded: bool, number: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    with Machines() as machines:
        code = CALLER
        if embedded:
            code = code.replace("sys.argv[1],", "None,")
        else:
            machines.worker(slots=1)
        caller = machines.start([sys.executable, "-c", code, machines.address, str(path), str(TTL)])
        wait_for(lambda: noted(path), 40)
        child = int(noted(path)[0].split()[2])
        os.kill(caller.pid, number)
        if number == signal.SIGKILL:
            caller.wait()
        wait_for(lambda: not alive(child), 2 if number == signal.SIGKILL else TTL + 1)
        assert len([line for line in noted(path) if line.startswith("start")]) == 1


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds + 1  # one for a busy machine
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.005)


@pytest.mark.soak
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
