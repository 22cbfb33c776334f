"""How long tasks have waited and how busy they are, in snapshots; and what workers run."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import creche
from creche import insight
from creche._insight.figures import Busy, figures
from creche._remote import processes


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Return a pipe: who reads it waits until somebody has written to it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


@contextmanager
def opened_at_the_end(gate: Path) -> Iterator[None]:
    """Let the reader of a pipe go on, whatever was found in the block."""
    try:
        yield
    finally:
        gate.write_bytes(b"")  # It waits until somebody reads.


def task_named(name: str) -> insight.Task:
    return next(task for task in insight.snapshot().tasks if task.name == name)


async def test_a_wait_is_as_old_as_the_first_snapshot_that_has_seen_it() -> None:
    event = creche.Event()

    async def waits_twice() -> None:
        await event.wait()
        await creche.sleep_forever()

    async with creche.create_task_group() as group:
        group.start_soon(waits_twice, name="waits")
        await creche.wait_all_tasks_blocked()
        began = time.monotonic()
        assert task_named("waits").since is None
        while (since := task_named("waits").since) is None or since < 0.02:
            await creche.sleep(0.001)
        assert time.monotonic() - began >= since >= 0.02
        event.set()
        await creche.wait_all_tasks_blocked()
        assert task_named("waits").since is None  # It is in another wait now.
        group.cancel_scope.cancel()


async def test_the_same_wait_in_a_loop_is_another_wait_each_time() -> None:
    events = [creche.Event() for _ in range(3)]

    async def waits() -> None:
        for event in events:
            await event.wait()

    async with creche.create_task_group() as group:
        group.start_soon(waits, name="waits")
        for event in events:
            await creche.wait_all_tasks_blocked()
            assert task_named("waits").since is None
            event.set()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="steps are seen through sys.monitoring")
async def test_who_looks_sees_how_busy_tasks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async def digs() -> None:
        while True:
            end = time.perf_counter() + 0.002
            while time.perf_counter() < end:
                pass
            await creche.sleep(0.001)

    async with creche.create_task_group() as group:
        group.start_soon(digs, name="digs")
        group.start_soon(creche.sleep_forever, name="idle")
        while not (digging := task_named("digs")).steps:
            # Again and again: a busy machine may have had no step in that time.
            monkeypatch.setattr(figures, "_next", 0.0)
            figures.look()
            await creche.sleep(0.01)
        while figures._watching_since is not None:
            await creche.sleep(0.001)
        digging, idle = task_named("digs"), task_named("idle")
        assert digging.steps and digging.busy is not None and digging.busy >= 0.002
        assert idle.busy is None or idle.busy < digging.busy
        *_, watched = (loop.watched for loop in insight.snapshot().loops if loop.tasks)
        assert watched is not None and watched >= 0.02
        while "creche insight steps" in [thread.name for thread in threading.enumerate()]:
            await creche.sleep(0.001)  # It ends by itself.
        group.cancel_scope.cancel()


async def test_a_task_does_not_inherit_what_an_ended_one_has_done() -> None:
    """Steps tell a task by its `id`, which the loop's object for another may have later."""

    class Native:
        pass

    ended, task = Native(), creche.get_current_task()
    seen = figures._busy[id(ended)] = Busy()
    seen.whose = weakref.ref(ended)
    assert figures.busy(ended) is seen
    figures._busy[id(task)] = seen
    assert figures.busy(task) is None
    figures._settle()
    assert not {id(ended), id(task)} & figures._busy.keys()


@pytest.mark.skipif(not processes.SUPPORTED, reason="there are no worker processes on Windows")
async def test_a_worker_process_has_its_call_and_the_task_that_waits(gate: Path) -> None:
    async with creche.create_task_group() as group:
        group.start_soon(creche.to_process.run_sync, gate.read_bytes, name="asks")
        found: list[insight.Worker] = []
        while not found:
            await creche.sleep(0.01)
            found = [worker for worker in insight.snapshot().workers if worker.kind == "process"]
        with opened_at_the_end(gate):
            (worker,) = found
            assert worker.call is not None and worker.call.endswith("read_bytes")
            assert worker.name.startswith("process ")
            assert worker.task == task_named("asks").id
    assert not [worker for worker in insight.snapshot().workers if worker.kind == "process"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="subinterpreters need Python 3.13")
async def test_an_interpreter_has_its_call_and_is_no_thread_besides(gate: Path) -> None:
    async with creche.create_task_group() as group:
        group.start_soon(creche.to_interpreter.run_sync, gate.read_bytes, name="asks")
        found: tuple[insight.Worker, ...] = ()
        while "interpreter" not in [worker.kind for worker in found]:
            await creche.sleep(0.005)
            found = insight.snapshot().workers
        with opened_at_the_end(gate):
            (worker,) = [worker for worker in found if worker.task == task_named("asks").id]
            assert worker.kind == "interpreter"
            assert worker.call is not None and worker.call.endswith("read_bytes")
    assert "interpreter" not in [worker.kind for worker in insight.snapshot().workers]
