"""Calls: outcomes, errors, cancellation, what is left.

In an embedded cluster, and in `make soak` also on a worker of its own, which all of these share.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import signal
import sys
import threading
from pathlib import Path

import _called
import pytest
from _machines import Machines, opened
from _watching import alive, noted, until

from creche import create_task_group, fail_after, move_on_after
from creche._introspection.waits import Waits
from creche._kernel import current_kernel
from creche.cluster import ClusterError, ClusterLost, PayloadError, Placement, RemoteWorkerLost

# The engine has a loop of its own, so the two kernels say it all.
pytestmark = pytest.mark.backends("asyncio", "trio")

THREADS = Placement(threads=True)


async def test_lambdas_closures_and_errors_travel(one_slot: Machines | None) -> None:
    offset = 3

    class Own(Exception):
        pass

    def fail() -> None:
        raise Own("here")

    async with opened(one_slot) as cluster:
        assert await cluster.run_sync(lambda x: x + offset, 4) == 7
        with pytest.raises(KeyError) as caught:
            await cluster.run_sync(_called.fail, "the row")
        assert caught.value.args == ("the row",)
        [text] = caught.value.__notes__
        assert "in fail" in text and f"worker {cluster.workers[0].address}" in text
        with pytest.raises(Own, match="here"):
            await cluster.run_sync(fail)
        with pytest.raises(KeyError, match="thread"):
            await cluster.run_sync(_called.fail, "thread", placement=THREADS)


async def test_what_cannot_be_pickled_is_a_clear_error_on_either_side(
    one_slot: Machines | None,
) -> None:
    async with opened(one_slot) as cluster:
        with pytest.raises(
            PayloadError, match=r"argument 2 \(of type _thread\.lock\) cannot be pickled"
        ):
            await cluster.run_sync(_called.beat, "", threading.Lock(), 1)  # type: ignore[arg-type]
        with pytest.raises(PayloadError, match=r"returned an object of type _thread\.lock"):
            await cluster.run_sync(_called.give_a_lock)
        with pytest.raises(PayloadError, match="1 and 2"):
            await cluster.run_sync(_called.fail_oddly)
        assert cluster.calls() == []


async def test_bad_arguments_are_refused_before_anything_is_sent(one_slot: Machines | None) -> None:
    async with opened(one_slot) as cluster:
        with pytest.raises(ValueError, match="grace must be two numbers"):
            await cluster.run_sync(abs, 1, grace=(-1, 0))
        with pytest.raises(ValueError, match="retries must be"):
            await cluster.run_sync(abs, 1, retries=-1)
        with pytest.raises(TypeError, match="func must be a function"):
            await cluster.run_sync(3)  # type: ignore[arg-type]
        with pytest.raises(ClusterError, match="cannot be placed"):
            await cluster.run_sync(abs, 1, placement=Placement(workers=["no such worker"]))
    with pytest.raises(ClusterLost, match="was closed"):
        await cluster.run_sync(abs, 1)


# Cancellation


async def test_a_function_that_asks_is_told(one_slot: Machines | None, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with opened(one_slot) as cluster:
        async with create_task_group() as group:
            group.start_soon(lambda: cluster.run_sync(_called.heed, str(path), grace=(20, 20)))
            await until(lambda: noted(path))
            group.cancel_scope.cancel()
        said = noted(path)
        assert [line.split()[0] for line in said] == ["running", "told"]
        assert not alive(int(said[0].split()[1]))


async def test_a_function_in_a_thread_is_told(one_slot: Machines | None, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with opened(one_slot) as cluster:
        async with create_task_group() as group:
            group.start_soon(lambda: cluster.run_sync(_called.heed, str(path), placement=THREADS))
            await until(lambda: noted(path))
            group.cancel_scope.cancel()
        said = noted(path)
        assert [line.split()[0] for line in said] == ["running", "told"]
        assert await cluster.run_sync(_called.pid, placement=THREADS) == int(said[0].split()[1])


async def test_a_function_that_does_not_ask_is_terminated_and_its_family_with_it(
    one_slot: Machines | None, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    async with opened(one_slot) as cluster:
        async with create_task_group() as group:
            group.start_soon(lambda: cluster.run_sync(_called.family, str(path), grace=(0, 20)))
            await until(lambda: len(noted(path)) == 2)
            group.cancel_scope.cancel()
        assert not alive(int(noted(path)[0].split()[1]))
        assert not alive(int(Path(f"{path}.child").read_text()))


async def test_a_function_that_ignores_sigterm_is_killed(
    one_slot: Machines | None, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    async with opened(one_slot) as cluster:
        async with create_task_group() as group:
            group.start_soon(lambda: cluster.run_sync(_called.ignore, str(path), grace=(0, 0.1)))
            await until(lambda: noted(path))
            group.cancel_scope.cancel()
        said = noted(path)
        assert [line.split()[0] for line in said] == ["running", "terminated"]
        assert not alive(int(said[0].split()[1]))


async def test_an_async_function_has_a_scope_there(
    one_slot: Machines | None, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    async with opened(one_slot) as cluster:
        with fail_after(30):
            assert 0 < await cluster.run(_called.deadline_here) < 30
        async with create_task_group() as group:
            group.start_soon(lambda: cluster.run(_called.rest, str(path), grace=(20, 20)))
            await until(lambda: noted(path))
            group.cancel_scope.cancel()
        assert [line.split()[0] for line in noted(path)] == ["running", "told"]
        with pytest.raises(ValueError, match="leave out"):
            await cluster.run(_called.rest, "", placement=THREADS)


async def test_a_call_that_waits_for_a_slot_never_starts(
    one_slot: Machines | None, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    async with opened(one_slot) as cluster:
        async with create_task_group() as group:
            group.start_soon(cluster.run_sync, _called.beat, str(path), 1, 0.3)
            await until(lambda: noted(path))
            assert [call.state for call in cluster.calls()] == ["running"]
            with move_on_after(0.05) as scope:
                await cluster.run_sync(_called.beat, str(path), 2, 0)
            assert scope.cancelled_caught
    assert not any(line.startswith("start 2") for line in noted(path))


async def test_a_slot_is_free_again_after_a_cancelled_call(one_slot: Machines | None) -> None:
    async with opened(one_slot) as cluster:
        for _ in range(5):
            with move_on_after(0.02):
                await cluster.run_sync(_called.nap, 30, grace=(0, 0))
            assert await cluster.run_sync(abs, -2) == 2


async def test_the_calls_that_run_are_shown(one_slot: Machines | None, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    async with opened(one_slot) as cluster:
        async with create_task_group() as group:
            group.start_soon(
                lambda: cluster.run_sync(_called.heed, str(path)), name="the one that waits"
            )
            await until(lambda: noted(path))
            [call] = cluster.calls()
            assert call.name == "heed" and call.state == "running" and call.age > 0
            assert call.worker == cluster.workers[0].address
            assert call.task == "the one that waits"
            waits = Waits(current_kernel())
            [wait] = [each for each in waits.all() if each.record.name == "the one that waits"]
            assert re.match(rf"remote call of heed\(\) on {call.worker}, running for ", wait.what)
            group.cancel_scope.cancel()


# Deaths


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_child_that_dies_is_an_error_that_says_how(
    one_slot: Machines | None, number: signal.Signals
) -> None:
    async with opened(one_slot) as cluster:
        with pytest.raises(RemoteWorkerLost, match=f"was killed by {number.name}") as caught:
            await cluster.run_sync(_called.die, number)
        assert caught.value.exit_code == -number
        assert caught.value.worker == cluster.workers[0].address and caught.value.host
        with pytest.raises(RemoteWorkerLost, match="exit code 3"):
            await cluster.run_sync(os._exit, 3)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.exit_code) == (str(caught.value), -number)


async def test_retries_run_it_again(one_slot: Machines | None, tmp_path: Path) -> None:
    path = tmp_path / "notes"

    def die_twice() -> int:
        _called.note(str(path), "start")
        if len(path.read_text().splitlines()) < 3:
            os._exit(1)
        return 3

    async with opened(one_slot) as cluster:
        with pytest.raises(RemoteWorkerLost):
            await cluster.run_sync(die_twice, retries=1)
        assert len(noted(path)) == 2
        assert await cluster.run_sync(die_twice, retries=0) == 3


async def test_a_program_that_a_call_leaves_behind_is_ended(one_slot: Machines | None) -> None:
    async with opened(one_slot) as cluster:
        child = await cluster.run_sync(_called.pid)
        left = await cluster.run_sync(_called.leave_a_program_behind)
        assert not alive(left)
        assert await cluster.run_sync(_called.pid) != child


async def test_a_module_that_only_this_process_knows_travels_by_value(
    one_slot: Machines | None, tmp_path: Path
) -> None:
    file = tmp_path / "some_file.py"
    file.write_text("def double(x):\n    return twice(x)\n\n\ndef twice(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("loaded_from_a_file", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        async with opened(one_slot) as cluster:
            assert await cluster.run_sync(module.double, 4) == 8
    finally:
        del sys.modules[spec.name]
