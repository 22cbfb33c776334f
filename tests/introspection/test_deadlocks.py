"""Deadlocks by name: DeadlockError in simulated runs, `find_deadlocks` in ordinary ones."""

from __future__ import annotations

import gc
import inspect
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import creche
from _harness import on_each_simulated_loop
from creche import debug, testing, to_thread

both = on_each_simulated_loop


async def in_two_tasks(*functions: Callable[[], Awaitable[Any]]) -> None:
    async with creche.create_task_group() as group:
        for number, function in enumerate(functions):
            group.start_soon(_await, function, name=f"worker-{'ab'[number]}")


async def _await(function: Callable[[], Awaitable[Any]]) -> None:
    await function()


async def locks() -> None:
    db, cache = creche.Lock(), creche.Lock()

    async def take(first: creche.Lock, second: creche.Lock) -> None:
        async with first:
            await creche.sleep(1)
            async with second:
                pass

    await in_two_tasks(lambda: take(db, cache), lambda: take(cache, db))


def tasks_of(main: Callable[[], Awaitable[Any]], loop: str) -> list[tuple[str, str, str]]:
    with pytest.raises(testing.DeadlockError) as caught:
        testing.run(main, backend=loop)
    return [(row.task, row.waits_for, ", ".join(row.held_by)) for row in caught.value.tasks]


@both
def test_an_inversion_names_tasks_locks_holders_and_places(loop: str) -> None:
    with pytest.raises(testing.DeadlockError) as caught:
        testing.run(locks, backend=loop)
    first, one, other = str(caught.value).splitlines()
    assert first == "2 tasks can never proceed"
    assert one.startswith("  worker-a  waits for Lock 'cache'  held by worker-b  ")
    assert other.startswith("  worker-b  waits for Lock 'db'     held by worker-a  ")
    _, line = inspect.getsourcelines(locks)
    place = f"test_deadlocks.py:{line + 6}"
    assert one.endswith(place) and other.endswith(place)


@both
def test_every_primitive_is_named(loop: str) -> None:
    async def main() -> None:
        lock, semaphore, limiter = creche.Lock(), creche.Semaphore(0), creche.CapacityLimiter(1)
        event, condition, box = creche.Event(), creche.Condition(), {"future": creche.Future[int]()}
        named = creche.Future[int](name="answer")
        send, receive = creche.create_memory_object_stream[int](1)
        other_send, other_receive = creche.create_memory_object_stream[int](1)
        send.send_nowait(0)
        await lock.acquire()
        await limiter.acquire()

        async def starts(*, task_status: object) -> None:
            await event.wait()

        async def notified() -> None:
            async with condition:
                await condition.wait()

        async def waits_for_start() -> None:
            async with creche.create_task_group() as group:
                await group.start(starts, name="service")

        with send, receive, other_send, other_receive:
            async with creche.create_task_group() as group:
                for function in (
                    lock.acquire, semaphore.acquire, limiter.acquire, event.wait, notified,
                    box["future"].wait, named.wait, lambda: send.send(1), other_receive.receive,
                    waits_for_start, creche.sleep_forever,
                ):  # fmt: skip
                    group.start_soon(_await, function)

    rows = tasks_of(main, loop)
    empty = "which is empty and has 1 open senders"
    assert [(what, held) for _, what, held in rows] == [
        ("the end of " + ", ".join(["_await", *(f"_await #{n}" for n in range(2, 12))]), ""),
        ("Lock 'lock'", "main"),
        ("Semaphore 'semaphore'", ""),
        ("CapacityLimiter 'limiter'", "main"),
        ("Event 'event'", ""),
        ("a notify of Condition 'condition'", ""),
        ("Future \"box['future']\"", ""),
        ("Future 'answer'", ""),
        ("room in MemoryObjectSendStream 'send', which has 1 of 1 items", ""),
        (
            f"an item from MemoryObjectReceiveStream 'other_receive', {empty}",
            "",
        ),
        ("creche.sleep_forever()", ""),
        ("Event 'event'", ""),
    ]


@both
def test_a_task_that_waits_for_itself_through_a_group_is_shown(loop: str) -> None:
    async def main() -> None:
        lock = creche.Lock()
        async with lock, creche.create_task_group() as group:
            group.start_soon(lock.acquire, name="child")

    assert tasks_of(main, loop) == [
        ("main", "the end of child", ""),
        ("child", "Lock 'lock'", "main"),
    ]


@both
def test_cleaning_up_goes_on_after_a_deadlock(loop: str) -> None:
    steps: list[str] = []

    async def main() -> None:
        try:
            await creche.Event().wait()
        finally:
            with creche.CancelScope(shield=True):
                await creche.sleep(5)
            steps.append("cleaned up")

    assert len(tasks_of(main, loop)) == 1
    assert steps == ["cleaned up"]


@both
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_task_that_cannot_be_cancelled_does_not_keep_the_error_back(loop: str) -> None:
    async def main() -> None:
        with creche.CancelScope(shield=True):
            await creche.Event().wait()

    ((_, what, _),) = tasks_of(main, loop)
    assert what.startswith("Event made at ")
    gc.collect()


async def test_find_deadlocks_reports_a_circle_and_nothing_else() -> None:
    db, cache, go = creche.Lock(), creche.Lock(), creche.Event()

    async def take(first: creche.Lock, second: creche.Lock) -> None:
        async with first:
            await go.wait()
            async with second:
                pass

    async with creche.create_task_group() as group:
        group.start_soon(take, db, cache, name="worker-a")
        group.start_soon(take, cache, db, name="worker-b")
        await creche.wait_all_tasks_blocked()
        group.start_soon(db.acquire, name="bystander")
        await creche.wait_all_tasks_blocked()
        assert debug.find_deadlocks() == []
        go.set()
        await creche.wait_all_tasks_blocked()
        (found,) = debug.find_deadlocks()
        waits = {(row.task, row.waits_for, row.held_by) for row in found.tasks}
        assert waits == {
            ("worker-a", "Lock 'cache'", ("worker-b",)),
            ("worker-b", "Lock 'db'", ("worker-a",)),
            ("bystander", "Lock 'db'", ("worker-a",)),
        }
        assert "waits for Lock 'cache'  held by worker-b" in str(found)
        group.cancel_scope.cancel()
    assert debug.find_deadlocks() == []


async def test_find_deadlocks_does_not_count_what_a_deadline_will_free() -> None:
    one, other = creche.Lock(), creche.Lock()

    async def take(first: creche.Lock, second: creche.Lock) -> None:
        async with first:
            await creche.wait_all_tasks_blocked()
            with creche.move_on_after(3600):
                await second.acquire()

    async with creche.create_task_group() as group:
        group.start_soon(take, one, other)
        group.start_soon(take, other, one)
        await creche.wait_all_tasks_blocked()
        await creche.wait_all_tasks_blocked()
        assert debug.find_deadlocks() == []
        group.cancel_scope.cancel()


async def test_find_deadlocks_does_not_count_what_a_deadline_around_the_group_will_free() -> None:
    one, other = creche.Lock(), creche.Lock()

    async def take(first: creche.Lock, second: creche.Lock) -> None:
        async with first:
            await creche.wait_all_tasks_blocked()
            await second.acquire()

    with creche.move_on_after(3600):
        async with creche.create_task_group() as group:
            group.start_soon(take, one, other)
            group.start_soon(take, other, one)
            await creche.wait_all_tasks_blocked()
            await creche.wait_all_tasks_blocked()
            assert debug.find_deadlocks() == []
            group.cancel_scope.cancel()


async def test_a_server_that_waits_for_connections_is_no_deadlock() -> None:
    gate, log = creche.Lock(), creche.Lock()

    async def serve(listener: Any) -> None:
        async with gate, log:
            await listener.serve(lambda _: creche.sleep(0))

    async with await creche.create_tcp_listener(local_host="127.0.0.1") as listener:
        async with creche.create_task_group() as group:
            group.start_soon(serve, listener)
            # Or Trio may let the other task have the lock first, and end with it.
            await creche.wait_all_tasks_blocked()
            group.start_soon(gate.acquire)
            group.start_soon(log.acquire)
            group.start_soon(creche.Event().wait)
            await creche.wait_all_tasks_blocked()
            assert debug.find_deadlocks() == []
            group.cancel_scope.cancel()


async def test_a_thread_that_still_runs_is_no_deadlock() -> None:
    gate, goes_on, runs = creche.Lock(), threading.Event(), threading.Event()

    def work() -> None:
        runs.set()
        goes_on.wait()

    async def hold() -> None:
        async with gate:
            await to_thread.run_sync(work)

    async with creche.create_task_group() as group:
        group.start_soon(hold)
        while not runs.is_set():
            await creche.sleep(0.001)
        group.start_soon(gate.acquire)
        await creche.wait_all_tasks_blocked()
        assert debug.find_deadlocks() == []
        goes_on.set()


async def test_a_receiver_of_signals_is_no_deadlock() -> None:
    gate = creche.Lock()

    async def receive() -> None:
        async with gate:
            with creche.open_signal_receiver(signal.SIGHUP) as signals:
                async for _ in signals:
                    break

    async with creche.create_task_group() as group:
        group.start_soon(receive)
        await creche.wait_all_tasks_blocked()
        group.start_soon(gate.acquire)
        await creche.wait_all_tasks_blocked()
        assert debug.find_deadlocks() == []
        signal.raise_signal(signal.SIGHUP)


async def test_find_deadlocks_bears_objects_that_raise_whatever_one_asks() -> None:
    class Thorny:
        def __getattribute__(self, name: str) -> Any:
            raise OSError(f"no {name} now")

        def __eq__(self, other: object) -> bool:
            raise OSError("nor this")

        __hash__ = None  # type: ignore[assignment]

        def __repr__(self) -> str:
            raise OSError("nor that")

    thorny = [Thorny()]
    pool = {"locks": [creche.Lock(), creche.Lock()]}
    one, other = pool["locks"]

    async def take(first: creche.Lock, second: creche.Lock) -> None:
        held = [Thorny(), *thorny]
        async with first:
            await creche.wait_all_tasks_blocked()
            async with second:
                held.clear()

    async with creche.create_task_group() as group:
        group.start_soon(take, one, other)
        group.start_soon(take, other, one)
        await creche.wait_all_tasks_blocked()
        await creche.wait_all_tasks_blocked()
        (found,) = debug.find_deadlocks()
        assert {row.waits_for for row in found.tasks} == {"Lock 'other'", "Lock 'one'"}
        group.cancel_scope.cancel()


def test_find_deadlocks_finds_none_where_no_loop_runs() -> None:
    assert debug.find_deadlocks() == []
