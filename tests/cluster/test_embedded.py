"""An embedded cluster: opening and closing, what its children are, what they print, and its fork server's death.

What calls do is in `test_calls`, on a worker that is started once; each of these starts a cluster of its own, in
this process, which takes a tenth of a second.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import _called
import pytest
from _watching import alive, fork_servers, noted, until

from creche import create_task_group, move_on_after
from creche.cluster import (
    ClusterError,
    ClusterLost,
    Placement,
    RemoteWorkerLost,
    open_cluster,
)

# The engine has a loop of its own, so the two kernels say it all.
pytestmark = pytest.mark.backends("asyncio", "trio")

THREADS = Placement(threads=True)


async def test_a_call_is_made_in_the_main_thread_of_another_process_which_is_used_again() -> None:
    async with open_cluster(slots=2) as cluster:
        first = await cluster.run_sync(_called.pid)
        assert first != os.getpid()
        assert await cluster.run_sync(_called.pid) == first
        assert await cluster.run_sync(_called.pid, reuse=False) != first
        assert await cluster.run_sync(_called.in_main_thread)
        assert await cluster.run_sync(_called.pid, placement=THREADS) == os.getpid()
        assert not await cluster.run_sync(_called.in_main_thread, placement=THREADS)
        assert [worker.slots for worker in cluster.workers] == [2] and cluster.slots == 2


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("tcp://192.0.2.1:8786", "another machine"),
        ("192.0.2.1:8786", "another machine"),
        ("tcp://scheduler.example:8786", "another machine"),
        ("tls://192.0.2.1:8786", "needs certificates"),
        ("http://127.0.0.1:8786", "no address"),
        ("tcp://", "no address"),
        ("", "no address"),
    ],
)
async def test_an_address_that_is_unsafe_or_none_is_refused(address: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        async with open_cluster(address):
            pytest.fail("it was opened")


async def test_a_cluster_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ClusterError, match=r"cannot open tcp://127.0.0.1:1: "):
        import dask

        with dask.config.set({"distributed.comm.timeouts.connect": "0.3s"}):
            async with open_cluster("tcp://127.0.0.1:1"):
                pytest.fail("it was opened")


async def test_opening_can_be_cancelled() -> None:
    with move_on_after(0.2) as scope:
        async with open_cluster("tcp://127.0.0.1:1"):
            pytest.fail("it was opened")
    assert scope.cancelled_caught


async def test_leaving_the_block_ends_what_runs(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with create_task_group() as group:

        async def call() -> None:
            with pytest.raises(ClusterLost):
                await cluster.run_sync(_called.ignore, str(path))

        async with open_cluster(slots=1) as cluster:
            group.start_soon(call)
            await until(lambda: noted(path))
        assert not alive(int(noted(path)[0].split()[1]))


async def test_the_fork_server_can_die(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    before = {process.pid for process in fork_servers()}
    async with open_cluster(slots=1) as cluster:
        await cluster.run_sync(abs, 1)
        async with create_task_group() as group:

            async def call() -> None:
                with pytest.raises(RemoteWorkerLost):
                    await cluster.run_sync(_called.heed, str(path))

            group.start_soon(call)
            await until(lambda: noted(path))
            child = int(noted(path)[0].split()[1])
            [server] = [p for p in fork_servers() if p.pid not in {*before, child}]
            server.kill()
        await until(lambda: not alive(child), 2)
        assert await cluster.run_sync(abs, -1) == 1


# Output


async def test_what_a_call_prints_and_logs_arrives(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.cluster")
    with caplog.at_level(logging.INFO, "test.cluster"):
        async with open_cluster(slots=1, log=logger) as cluster:
            await cluster.run_sync(_called.speak, "hello")
            worker = cluster.workers[0].address
    printed = [r.getMessage() for r in caplog.records if r.name == "test.cluster"]
    for line in ("hello", "from a program", "no end of line"):
        assert f"speak on {worker}: {line}" in printed
    [record] = [r for r in caplog.records if r.name == "of.the.call"]
    assert record.getMessage() == "logged hello" and record.__dict__["worker"] == worker


async def test_context_variables_do_not_travel() -> None:
    _called.variable.set("set by the caller")
    async with open_cluster(slots=1) as cluster:
        assert await cluster.run_sync(_called.variable_here) == "default"
        assert await cluster.run_sync(_called.variable_here, placement=THREADS) == "default"


async def test_two_clusters_at_once() -> None:
    async with open_cluster(slots=1) as one, open_cluster(slots=1) as other:
        async with create_task_group() as group:
            for cluster in (one, other):
                group.start_soon(cluster.run_sync, _called.nap, 0.1)
        assert await one.run_sync(_called.pid) != await other.run_sync(_called.pid)


async def test_a_child_is_clean_of_what_the_program_has_loaded() -> None:
    async with open_cluster(slots=1) as cluster:
        modules = await cluster.run_sync(lambda: sorted(__import__("sys").modules))
    assert not {"pytest", "distributed", "creche", "asyncio"} & set(modules)
