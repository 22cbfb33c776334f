"""What the cluster promises over any engine: the test plays the engine, so no process is started."""

from __future__ import annotations

import io
import itertools
import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterator

import _called
import pytest
from _played import WORKER, PlayedEngine, played

from creche import (
    create_task_group,
    current_time,
    fail_after,
    insight,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche._cluster.contract import Answer
from creche._cluster.remote.leases import DIED, GIVEN_UP
from creche._cluster.remote.perform import CANCELLED
from creche.cluster import (
    Cluster,
    ClusterError,
    ClusterLost,
    IncompatibleWorker,
    PayloadError,
    Placement,
    RemoteWorkerLost,
    WorkerInfo,
    WorkerUnreachable,
    open_cluster,
)
from creche.testing import virtual_time

# Outcomes


async def test_results_and_errors_come_back_with_the_place_they_were_raised_at() -> None:
    async with played() as (cluster, engine):
        assert await cluster.run_sync(divmod, 17, 5) == (3, 2)
        with pytest.raises(KeyError) as caught:
            await cluster.run_sync(_called.fail, "the row")
        assert caught.value.args == ("the row",)
        [note] = caught.value.__notes__
        assert f"Raised on worker {WORKER} on some host by fail()" in note and "in fail" in note
        assert cluster.calls() == []
        assert [lease for lease, _ in engine.placed] == engine.forgotten


async def test_what_cannot_be_pickled_is_an_error_that_names_it() -> None:
    async with played() as (cluster, engine):
        with pytest.raises(PayloadError, match=r"argument 2 \(of type _thread\.lock\)"):
            await cluster.run_sync(_called.beat, "", threading.Lock(), 1)  # type: ignore[arg-type]
        assert engine.placed == []
        with pytest.raises(PayloadError, match=r"returned an object of type _thread\.lock"):
            await cluster.run_sync(_called.give_a_lock)


async def test_bad_arguments_are_refused_before_anything_is_placed() -> None:
    async with played() as (cluster, engine):
        for grace in ((-1, 0), (1,), 3, ("a", "b")):
            with pytest.raises(ValueError, match="grace must be two numbers"):
                await cluster.run_sync(abs, 1, grace=grace)  # type: ignore[arg-type]
        for retries in (-1, 1.5, True):
            with pytest.raises(ValueError, match="retries must be a number of times"):
                await cluster.run_sync(abs, 1, retries=retries)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="func must be a function, not 3"):
            await cluster.run_sync(3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"deadline_here\(\) is async"):
            await cluster.run_sync(_called.deadline_here)  # type: ignore[unused-coroutine]
        with pytest.raises(TypeError, match="placement must be a Placement"):
            await cluster.run_sync(abs, 1, placement="w0")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"write \['w0'\]"):
            Placement(workers="w0")
        with pytest.raises(ValueError, match="grace must be two numbers"):
            cluster.map(abs, [], grace=(0, -1))
        with pytest.raises(TypeError, match="is async"):
            cluster.map(_called.rest, [])
        with pytest.raises(ClusterError, match="there is no worker 'elsewhere'"):
            await cluster.run_sync(abs, 1, placement=Placement(workers=["elsewhere"]))
        with pytest.raises(ValueError, match="leave out Placement"):
            await cluster.run(_called.deadline_here, placement=Placement(threads=True))
        assert engine.placed == []
    for ttl in (0.5, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="ttl must be 1 second or more"):
            async with open_cluster(ttl=ttl):
                pytest.fail("it was opened")
    for wrong in ({"ttl": "2"}, {"slots": 1.5}):
        with pytest.raises(TypeError, match="must be a"):
            async with open_cluster(**wrong):
                pytest.fail("it was opened")
    with pytest.raises(ClusterLost, match=r"was closed\. Open the cluster again"):
        await cluster.run_sync(abs, 1)


async def test_code_by_value_goes_to_workers_of_the_same_python_only() -> None:
    async with played() as (cluster, engine):
        engine.listener.worker_came(WorkerInfo("old", "old", "host", (3, 9, 1), 1))
        assert await cluster.run_sync(lambda: 5) == 5
        assert engine.placed[-1][1].workers == [WORKER]
        assert await cluster.run_sync(abs, -5) == 5
        assert list(engine.placed[-1][1].workers) == []
        with pytest.raises(IncompatibleWorker, match=r"does not run on Python 3\.9"):
            await cluster.run_sync(lambda: 5, placement=Placement(workers=["old"]))


@virtual_time
async def test_a_deadline_travels_as_the_time_that_is_left() -> None:
    async with played() as (cluster, engine):
        with fail_after(30):
            await cluster.run_sync(abs, 1)
        await cluster.run_sync(abs, 1)
    assert [options.remaining for _, _, options in engine.granted] == [30, float("inf")]


# Slots and cancellation


async def test_calls_beyond_the_slots_wait_here() -> None:
    async with played(slots=2, holds=True) as (cluster, engine):
        assert cluster.slots == 2
        async with create_task_group() as group:
            for number in range(5):
                group.start_soon(cluster.run_sync, abs, number)
            await wait_all_tasks_blocked()
            assert len(engine.placed) == 2
            assert [call.state for call in cluster.calls()] == ["running", "running"]
            engine.listener.worker_came(WorkerInfo("w1", "w1", "host", (3, 13, 0), 1))
            await wait_all_tasks_blocked()
            assert len(engine.placed) == 3
            group.cancel_scope.cancel()
        assert len(engine.placed) == 3, "one that waits for a slot never starts"
        assert len(engine.stopped) == 3


@virtual_time
async def test_a_cancelled_call_is_waited_for_and_reported_if_nobody_confirms_its_end() -> None:
    async with played(holds=True, deaf=True, ttl=7) as (cluster, engine):
        begin = current_time()
        with pytest.raises(WorkerUnreachable, match="has not confirmed it for 10 seconds"):
            with move_on_after(1):
                await cluster.run_sync(abs, 1, grace=(1, 2))
        assert current_time() == begin + 1 + 7 + 1 + 2
        assert engine.stopped == [(1, 2)]


async def test_a_cancelled_call_returns_when_its_end_is_confirmed() -> None:
    async with played(holds=True, deaf=True) as (cluster, engine):
        async with create_task_group() as group:
            handle = group.start_soon(cluster.run_sync, abs, 1)
            await wait_all_tasks_blocked()
            handle.cancel()
            await wait_all_tasks_blocked()
            assert [call.state for call in cluster.calls()] == ["being stopped"]
            engine.answer(Answer(CANCELLED, b""))
        assert cluster.calls() == []


async def test_a_result_that_comes_with_the_cancel_is_the_result() -> None:
    async with played(holds=True, deaf=True) as (cluster, engine):
        results: list[int] = []

        async def call() -> None:
            results.append(await cluster.run_sync(abs, -1))

        async with create_task_group() as group:
            group.start_soon(call)
            await wait_all_tasks_blocked()
            engine.answer(Answer(b"R", pickle.dumps(1)))
            group.cancel_scope.cancel()
        assert results == [1]


# Losses

LOSSES: list[tuple[Callable[[PlayedEngine], None], type[ClusterError], str]] = [
    (lambda engine: engine.listener.worker_left(WORKER), RemoteWorkerLost, "pass retries="),
    (lambda engine: engine.listener.silent(WORKER), WorkerUnreachable, "not heard of for the ttl"),
    (lambda engine: engine.listener.cluster_lost("the cable is cut"), ClusterLost, "cable is cut"),
    (lambda engine: engine.answer(Answer(DIED, b"", -9)), RemoteWorkerLost, "killed by SIGKILL"),
    (lambda engine: engine.answer(Answer(DIED, b"", 3)), RemoteWorkerLost, "exit code 3"),
    (lambda engine: engine.answer(Answer(GIVEN_UP, b"")), RemoteWorkerLost, "not heard of for 15"),
    (lambda engine: engine.answer(Answer(b"?", pickle.dumps(1))), ClusterError, "unknown kind"),
    (lambda engine: engine.answer(Answer(b"R", b"junk")), PayloadError, "cannot be opened here"),
]


@pytest.mark.parametrize(("strike", "kind", "text"), LOSSES)
async def test_a_loss_is_an_error_that_says_what_is_known(
    strike: Callable[[PlayedEngine], None], kind: type[ClusterError], text: str
) -> None:
    async with played(holds=True) as (cluster, engine):
        async with create_task_group() as group:

            async def call() -> None:
                with pytest.raises(kind, match=text) as caught:
                    await cluster.run_sync(abs, 1)
                if isinstance(caught.value, RemoteWorkerLost):
                    assert (caught.value.worker, caught.value.host) == (WORKER, "some host")
                    again = pickle.loads(pickle.dumps(caught.value))
                    assert (str(again), again.worker) == (str(caught.value), WORKER)

            group.start_soon(call)
            await wait_all_tasks_blocked()
            strike(engine)
        assert cluster.calls() == []


async def test_a_lease_that_the_engine_gives_up_is_an_error_unless_it_was_granted() -> None:
    async with played(holds=True) as (cluster, engine):
        async with create_task_group() as group:
            group.start_soon(cluster.run_sync, abs, 1)
            await wait_all_tasks_blocked()
            engine.listener.lost(engine.placed[0][0], "as it likes")
            await wait_all_tasks_blocked()
            assert [call.state for call in cluster.calls()] == ["running"]
            group.cancel_scope.cancel()
        engine.listener.asked(engine.placed[0][0], "a late offer", WORKER)
        assert engine.refused == [engine.placed[0][0]]


async def test_retries_are_for_lost_workers_only() -> None:
    async with played() as (cluster, engine):
        assert await cluster.run_sync(abs, -1, retries=3) == 1
        with pytest.raises(KeyError):
            await cluster.run_sync(_called.fail, "x", retries=3)
        assert len(engine.granted) == 2
        engine.holds = True
        async with create_task_group() as group:

            async def call() -> None:
                with pytest.raises(RemoteWorkerLost):
                    await cluster.run_sync(abs, 1, retries=2)

            group.start_soon(call)
            for _ in range(3):
                await wait_all_tasks_blocked()
                engine.answer(Answer(DIED, b"", 1))
        assert len(engine.granted) == 5


# What is shown


async def test_a_call_is_shown_with_the_task_that_waits_its_worker_and_its_lease() -> None:
    async with played(holds=True) as (cluster, engine):
        async with create_task_group() as group:
            group.start_soon(cluster.run_sync, _called.nap, 60.0, name="the one that waits")
            await wait_all_tasks_blocked()
            [call] = cluster.calls()
            assert (call.name, call.task, call.worker) == ("nap", "the one that waits", WORKER)
            assert call.lease == engine.placed[0][0] and call.age >= 0
            [task] = [
                task
                for loop in insight.snapshot().loops
                for task in loop.tasks
                if task.name == "the one that waits"
            ]
            assert task.wait is not None
            said = task.wait.what
            assert said.startswith(f"remote call of nap() on {WORKER}, running for ")
            assert said.endswith(f"lease {call.lease}")
            insight.print_tasks(file := io.StringIO())
            assert f"remote call of nap() on {WORKER}, running for " in file.getvalue()
            group.cancel_scope.cancel()


async def test_what_calls_print_and_log_comes_by_whole_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("test.cluster")
    with caplog.at_level(logging.INFO, "test.cluster"):
        async with played(holds=True, log=logger) as (cluster, engine):
            async with create_task_group() as group:
                group.start_soon(cluster.run_sync, _called.nap, 60.0)
                await wait_all_tasks_blocked()
                lease = engine.granted[0][0]
                record = ("of.the.call", logging.WARNING, "100% logged", 0.0, "f.py", 3, "f")
                for data in (b"one\ntw", b"o\nthr\xc3", b"\xa9e"):
                    engine.listener.printed(lease, data)
                engine.listener.logged(lease, pickle.dumps(record))
                engine.answer(Answer(b"R", pickle.dumps(None)))
    said = [(each.name, each.getMessage(), each.__dict__["worker"]) for each in caplog.records]
    assert said == [
        ("test.cluster", f"nap on {WORKER}: one", WORKER),
        ("test.cluster", f"nap on {WORKER}: two", WORKER),
        ("of.the.call", "100% logged", WORKER),
        ("test.cluster", f"nap on {WORKER}: thr\xe9e", WORKER),
    ]


# Maps


async def test_a_map_pulls_no_more_than_it_may_from_an_endless_source() -> None:
    pulled = 0

    def endless() -> Iterator[int]:
        nonlocal pulled
        for number in itertools.count():
            pulled += 1
            yield -number

    async with played() as (cluster, _):
        taken = 0
        async with cluster.map(abs, endless(), at_most=8, ordered=True) as results:
            async for result in results:
                assert result == taken
                taken += 1
                assert pulled <= taken + 8
                if taken == 100:
                    break
        assert cluster.calls() == []


async def test_errors_of_a_map_are_raised_or_returned() -> None:
    async with played() as (cluster, _):
        async with cluster.map(int, ["1", "x", "3"], ordered=True, errors="return") as results:
            pairs = [pair async for pair in results]
        assert [(item, outcome.error is None) for item, outcome in pairs] == [
            ("1", True),
            ("x", False),
            ("3", True),
        ]
        assert (results.total, results.done, results.failed, results.running) == (3, 3, 1, 0)
        with pytest.raises(ValueError, match="'x'"):
            async with cluster.map(int, ["x"]) as strict:
                async for _ in strict:
                    pytest.fail("there is no result")


@virtual_time
async def test_the_calls_of_a_map_start_at_a_rate() -> None:
    async with played() as (cluster, _):
        begin = current_time()
        async with cluster.map(abs, range(-9, 0), per_second=4) as results:
            assert {result async for result in results} == set(range(1, 10))
        assert current_time() == begin + 2


async def test_leaving_a_map_ends_its_calls() -> None:
    async with played(slots=4, holds=True) as (cluster, engine):
        with move_on_after(0.01) as scope:
            async with cluster.map(abs, [1, 2, 3]) as results:
                async for _ in results:
                    pytest.fail("there is no result")
        assert scope.cancelled_caught
        assert cluster.calls() == [] and len(engine.stopped) == 3


async def test_a_function_is_shown_by_its_name_whatever_it_is() -> None:
    async with played() as (cluster, _):
        assert str(cluster) == "<Cluster: 1 workers, 2 slots, 0 calls>"
        with pytest.raises(TypeError, match="func must be a function, not 3"):
            cluster.map(3, [])  # type: ignore[call-overload]
        assert await cluster.run_sync(os.getpid) == os.getpid()
        assert isinstance(cluster, Cluster)
