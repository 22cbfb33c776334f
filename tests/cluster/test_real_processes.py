"""Calls on `dask scheduler` and `dask worker` processes: that it is the same, and how much at a time."""

from __future__ import annotations

import os
import platform
import random
import time
from collections.abc import Iterator
from pathlib import Path

import _called
import psutil
import pytest
from _machines import Machines, other_python
from _watching import until

from creche import create_task_group, move_on_after, sleep
from creche.cluster import Cluster, IncompatibleWorker, Placement, open_cluster

pytestmark = pytest.mark.soak  # starts processes of Dask: minutes on a small machine


async def all_workers(cluster: Cluster, count: int) -> None:
    await until(lambda: len(cluster.workers) == count, 40)


async def test_calls_on_other_processes(machines: Machines) -> None:
    async with open_cluster(machines.address) as cluster:
        await all_workers(cluster, 2)
        assert cluster.slots == 4
        assert await cluster.run_sync(divmod, 17, 5) == (3, 2)
        assert await cluster.run_sync(lambda: _called.__name__) == "_called"
        one, other = cluster.workers
        for chosen in (one.address, other.name):
            place = Placement(workers=[chosen], threads=True)
            pid = await cluster.run_sync(_called.pid, placement=place)
            assert pid in {p.pid for p in psutil.process_iter()} - {os.getpid()}
        with pytest.raises(KeyError):
            await cluster.run_sync(_called.fail, "there")


async def test_large_arguments_and_results(machines: Machines) -> None:
    data = random.Random(1).randbytes(5_000_000)
    async with open_cluster(machines.address) as cluster:
        await all_workers(cluster, 2)
        assert await cluster.run_sync(_called.turn, data) == data[::-1]


async def test_a_stop_overtakes_a_large_argument(machines: Machines) -> None:
    data = bytes(60_000_000)
    async with open_cluster(machines.address) as cluster:
        await all_workers(cluster, 2)
        with move_on_after(0.05):
            await cluster.run_sync(_called.turn, data)
        assert await cluster.run_sync(abs, -3) == 3


async def race(cluster: Cluster, path: Path, calls: int, seed: int) -> None:
    """Cancel calls at random moments: none writes after its cancel has returned, none starts twice."""
    chance = random.Random(seed)
    ended: dict[int, int] = {}

    async def call(number: int, after: float) -> None:
        with move_on_after(after):
            await cluster.run_sync(
                _called.beat, str(path), number, chance.random() * 0.02, grace=(0, 0.05)
            )
        ended[number] = path.stat().st_size if path.exists() else 0

    async with create_task_group() as group:
        for number in range(calls):
            group.start_soon(call, number, chance.random() * calls * 0.005)
    data = path.read_bytes()
    starts = [line for line in data.splitlines() if line.startswith(b"start ")]
    names = [line.split()[1] for line in starts]
    assert len(names) == len(set(names)), "a call was started twice"
    for number, size in ended.items():
        late = [line for line in data[size:].splitlines() if line.split()[1] == b"%d" % number]
        assert not late, f"call {number} went on after it had returned"
    assert cluster.calls() == []


async def test_calls_cancelled_at_random_moments(machines: Machines, tmp_path: Path) -> None:
    async with open_cluster(machines.address) as cluster:
        await all_workers(cluster, 2)
        await race(cluster, tmp_path / "notes", 60, 1)


@pytest.mark.soak
@pytest.mark.time_limit(600)
async def test_two_thousand_calls_cancelled_at_random_moments(
    machines: Machines, tmp_path: Path
) -> None:
    async with open_cluster(machines.address) as cluster:
        await all_workers(cluster, 2)
        await race(cluster, tmp_path / "notes", 2000, 2)


@pytest.mark.soak
@pytest.mark.time_limit(600)
async def test_two_hundred_megabytes_there_and_back(machines: Machines) -> None:
    data = random.Random(1).randbytes(1000) * 200_000
    async with open_cluster(machines.address) as cluster:
        await all_workers(cluster, 2)
        async with create_task_group() as group:
            done: list[int] = []

            async def small() -> None:
                while not done:
                    await cluster.run_sync(abs, -1)
                    await sleep(0.05)

            group.start_soon(small)
            assert await cluster.run_sync(_called.turn, data) == data[::-1]
            done.append(1)


# Workers of another kind


@pytest.fixture(scope="module")
def strangers() -> Iterator[Machines]:
    """A worker that has no Creche, and one of another Python, if this machine has one that will do."""
    with Machines() as made:
        made.worker("--name", "bare", PYTHONPATH=str(Path(__file__).parent / "without_creche"))
        if found := other_python():
            made.worker("--name", "other", python=found[0], PYTHONPATH=found[1])
        yield made


async def test_a_worker_needs_no_creche(strangers: Machines, tmp_path: Path) -> None:
    async with open_cluster(strangers.address) as cluster:
        await until(lambda: "bare" in {worker.name for worker in cluster.workers}, 40)
        bare = Placement(workers=["bare"])
        assert await cluster.run_sync(divmod, 17, 5, placement=bare) == (3, 2)
        assert await cluster.run_sync(lambda x: x + 1, 1, placement=bare) == 2
        with pytest.raises(ModuleNotFoundError) as caught:
            await cluster.run_sync(_called.pid, placement=bare)
        assert "before it ran" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match="needs Creche on the worker"):

            async def nothing() -> None:
                pass

            await cluster.run(nothing, placement=bare)
        with move_on_after(0.3) as scope:
            await cluster.run_sync(time.sleep, 60, placement=bare, grace=(0, 1))
        assert scope.cancelled_caught


@pytest.mark.filterwarnings("ignore:Mismatched versions:Warning")  # Dask's own
async def test_code_by_value_stays_on_its_own_python(strangers: Machines) -> None:
    if other_python() is None:
        pytest.skip("this machine has no other Python that runs Dask")
    async with open_cluster(strangers.address) as cluster:
        await all_workers(cluster, 2)
        other = Placement(workers=["other"])
        assert await cluster.run_sync(divmod, 17, 5, placement=other) == (3, 2)
        version = await cluster.run_sync(platform.python_version, placement=other)
        assert version.split(".")[:2] != platform.python_version().split(".")[:2]
        with pytest.raises(IncompatibleWorker, match="travels by value"):
            await cluster.run_sync(lambda: 1, placement=other)
        for _ in range(10):  # Left to itself it finds the right one.
            assert await cluster.run_sync(lambda: 2) == 2
