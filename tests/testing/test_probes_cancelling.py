"""`cancel_at_each_checkpoint`: every point is found, and what is left behind there."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any
from unittest import mock

import pytest

import creche
from _harness import on_asyncio, on_each_simulated_loop
from creche import lowlevel, testing
from creche.testing import _cancelling, _leftovers, cancel_at_each_checkpoint

Operation = Callable[[], Coroutine[Any, Any, object]]


def lines(operation: Callable[..., object], *offsets: int) -> list[str]:
    """The places of lines of an operation, counted from its `def`."""
    first = inspect.getsourcelines(operation)[1]
    return [f"test_probes_cancelling.py:{first + offset}" for offset in offsets]


async def places(operation: Operation, **options: Any) -> list[str]:
    report = await cancel_at_each_checkpoint(operation, **options)
    assert report.points == len(report.places)
    return [place.rpartition("/")[2] for place in report.places]


async def test_each_checkpoint_is_a_point_also_if_it_need_not_wait() -> None:
    lock = creche.Lock()
    send, receive = creche.create_memory_object_stream[int](1)

    async def operation() -> None:
        async with lock:
            await send.send(1)
            await receive.receive()
        await lowlevel.checkpoint()
        await creche.sleep(0.001)

    def check() -> bool:
        if receive.statistics().current_buffer_used:
            receive.receive_nowait()
        return lock.locked()

    with send, receive:
        found = await places(operation, check=check)
    # A timer that fires a little early makes two points of the sleep.
    assert list(dict.fromkeys(found)) == lines(operation, 1, 2, 3, 4, 5)


async def test_points_of_a_groups_tasks_count() -> None:
    reached: list[str] = []

    async def child() -> None:
        await lowlevel.checkpoint()
        reached.append("child")
        await lowlevel.checkpoint()

    async def started(*, task_status: Any) -> None:
        await lowlevel.checkpoint()
        task_status.started()

    async def operation() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(child)
            await group.start(started)

    found = await places(operation)
    assert set(lines(child, 1, 3)) <= set(found)
    assert lines(started, 1)[0] in found
    assert lines(operation, 3)[0] in found
    assert "child" in reached


async def test_tasks_beside_the_operation_are_left_alone() -> None:
    counted = 0

    async def beside() -> None:
        nonlocal counted
        async with creche.create_task_group() as group:
            while True:
                group.start_soon(lowlevel.checkpoint)
                await lowlevel.checkpoint()
                counted += 1

    async def operation() -> None:
        await lowlevel.checkpoint()

    async def names() -> int:
        return len(await places(operation))

    async with creche.create_task_group() as group:
        handle = group.start_soon(names)
        assert await handle == 1
        group.start_soon(beside)
        await lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert counted <= 2


async def test_an_operation_without_checkpoints_has_no_points() -> None:
    async def operation() -> None:
        pass

    assert await places(operation) == []


async def test_the_first_use_of_something_is_not_left_behind() -> None:
    opened: list[socket.socket] = []

    async def operation() -> None:
        if not opened:
            opened.append(socket.socket())
        await lowlevel.checkpoint()

    assert await places(operation) == lines(operation, 3)
    opened[0].close()


async def fails(operation: Operation, **options: Any) -> str:
    impatient = mock.patch.object(_leftovers, "_PAUSES", (0.0,))
    with impatient, pytest.raises(AssertionError) as caught:
        await cancel_at_each_checkpoint(operation, **options)
    return str(caught.value)


async def test_a_descriptor_left_behind_is_told_with_the_point() -> None:
    kept: list[int] = []

    async def operation() -> None:
        ends = os.pipe()
        kept.append(ends[0])
        await lowlevel.checkpoint()
        os.close(ends[1])
        await lowlevel.checkpoint()
        os.close(kept.pop())

    text = await fails(operation)
    where = f"tests/testing/{lines(operation, 3)[0]}"
    assert f"{operation.__qualname__}(), cancelled at point 1, {where}, leaves something" in text
    assert text.count("\n  descriptor '") == 2
    assert "pipe:" in text
    os.close(kept[0])
    os.close(next(n for n in range(kept[0], kept[0] + 3) if _is_open(n)))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


async def test_a_lock_left_held_is_told_by_the_check() -> None:
    lock = creche.Lock()

    async def operation() -> None:
        await lock.acquire()
        await lowlevel.checkpoint()
        lock.release()

    text = await fails(operation, check=lock.locked)
    assert f"point 2, tests/testing/{lines(operation, 2)[0]}" in text
    assert text.endswith("\n  the check says True, and before it said False")
    lock.release()


async def test_a_check_may_raise_itself() -> None:
    async def operation() -> None:
        await lowlevel.checkpoint()

    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        assert calls < 3, "the third call"

    assert await fails(operation, check=check) == "the third call\nassert 3 < 3"


async def test_a_thread_left_behind_is_told() -> None:
    go_on = threading.Event()

    async def operation() -> None:
        thread = threading.Thread(target=go_on.wait, name="straggler")
        thread.start()
        await lowlevel.checkpoint()
        go_on.set()
        thread.join()
        go_on.clear()

    text = await fails(operation)
    go_on.set()
    assert "\n  thread 'straggler' is left" in text


async def test_a_call_in_a_worker_thread_left_behind_is_told() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        go_on.wait()

    async def abandon() -> None:
        await creche.to_thread.run_sync(call, abandon_on_cancel=True)

    async def operation() -> None:
        begun.clear()
        go_on.clear()
        async with creche.create_task_group() as group:
            group.start_soon(abandon)
            while not begun.is_set():
                await creche.sleep(0.001)
            await lowlevel.checkpoint()
            go_on.set()

    text = await fails(operation)
    go_on.set()
    assert "\n  thread 'creche worker' is left" in text


def nothing() -> None:
    pass


async def test_threads_that_wait_for_a_call_are_not_left_behind() -> None:
    async def operation() -> None:
        async with creche.create_task_group() as group:
            for _ in range(3):
                group.start_soon(creche.to_thread.run_sync, nothing)

    assert len(await places(operation)) >= 3


@on_asyncio
async def test_a_task_left_behind_is_told() -> None:
    stragglers: list[asyncio.Task[Any]] = []

    async def operation() -> None:
        task = asyncio.create_task(asyncio.sleep(3600), name="straggler")
        stragglers.append(task)
        await lowlevel.checkpoint()
        task.cancel()

    text = await fails(operation)
    assert "\n  task 'straggler' is left" in text
    stragglers[-1].cancel()


async def test_what_goes_soon_is_waited_for() -> None:
    async def operation() -> None:
        thread = threading.Thread(target=pause.wait, args=(0.02,))
        thread.start()
        await lowlevel.checkpoint()

    pause = threading.Event()
    assert await places(operation) == lines(operation, 3)


async def test_something_left_by_a_whole_run_is_told() -> None:
    kept: list[int] = []

    async def operation() -> None:
        kept.extend(os.pipe())

    text = await fails(operation)
    assert text.startswith(f"{operation.__qualname__}(), left to itself, leaves something behind:")
    for number in kept:
        os.close(number)


async def test_an_error_of_the_operation_names_the_point() -> None:
    async def operation() -> None:
        try:
            await lowlevel.checkpoint()
        except BaseException:
            raise LookupError("badly cleaned up") from None

    with pytest.raises(LookupError) as caught:
        await cancel_at_each_checkpoint(operation)
    (note,) = caught.value.__notes__
    where = f"tests/testing/{lines(operation, 2)[0]}"
    assert note == f"raised by {operation.__qualname__}(), cancelled at point 1, {where}"


async def test_an_operation_that_never_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cancelling, "MOST", 20)

    async def operation() -> None:
        if first:
            first.clear()
            return
        while True:
            await lowlevel.checkpoint()

    first = [True]
    assert f"has more than 20 points, the last at tests/testing/{lines(operation, 5)[0]}" in (
        await fails(operation)
    )


async def test_settle_is_awaited_after_each_round() -> None:
    rounds: list[str] = []

    async def operation() -> None:
        rounds.append("run")
        await lowlevel.checkpoint()

    async def settle() -> None:
        rounds.append("settle")

    await cancel_at_each_checkpoint(operation, settle=settle)
    assert rounds == ["run", "settle"] * 3


async def test_groups_are_themselves_again_afterwards() -> None:
    kernel = creche._kernel.current_kernel()
    before = dict(vars(kernel))

    async def operation() -> None:
        await lowlevel.checkpoint()

    await cancel_at_each_checkpoint(operation)
    assert vars(kernel).keys() - before.keys() <= {"run_vars"}


@on_each_simulated_loop
def test_the_backend_and_the_clock_are_chosen_by_run(loop: str) -> None:
    async def operation() -> None:
        await creche.sleep(3600)

    report = testing.run(cancel_at_each_checkpoint, operation, backend=loop)
    assert report.points == 1
    assert creche.run(cancel_at_each_checkpoint, lowlevel.checkpoint, backend=loop).points == 1
