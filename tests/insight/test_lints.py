"""Lints show what is wrong, and nothing in a program that is right."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from itertools import count
from typing import Any

import pytest

import creche
from creche import insight
from creche._insight import lints, object_lints
from creche.insight import Lint


def shown(kind: str) -> list[Lint]:
    """Look twice, as a viewer does, and return the lints of one kind."""
    insight.snapshot()
    here = threading.current_thread().name
    # The newest: earlier tests may have left a loop with a task in it.
    *_, loop = (loop for loop in insight.snapshot().loops if loop.thread == here and loop.tasks)
    return [lint for lint in loop.lints if lint.kind == kind]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SWALLOWED", "HELD", "NO_TURN"):
        monkeypatch.setattr(lints, name, 0.0)
    for name in ("FULL", "OLD"):
        monkeypatch.setattr(object_lints, name, 0.0)
    monkeypatch.setattr(object_lints, "PATIENCE", 60.0)  # on a busy machine


@pytest.fixture
def no_garbage_collection() -> Generator[None]:
    """Keep a task that nothing refers to until the test has looked at it."""
    gc.disable()
    yield
    gc.enable()


async def test_a_circle_of_waits_is_shown() -> None:
    one, other = creche.Lock(name="one"), creche.Lock(name="other")

    async def takes(first: creche.Lock, second: creche.Lock) -> None:
        async with first:
            await creche.sleep(0)
            async with second:
                pass

    async with creche.create_task_group() as group:
        group.start_soon(takes, one, other, name="forth")
        group.start_soon(takes, other, one, name="back")
        while one.statistics().tasks_waiting + other.statistics().tasks_waiting < 2:
            await creche.sleep(0)
        (lint,) = shown("circle")
        assert lint.text == "forth, back wait for each other"
        assert lint.place is not None and lint.place.file.endswith("test_lints.py")
        group.cancel_scope.cancel()


async def test_a_lock_that_is_held_across_a_long_wait_is_shown() -> None:
    lock, never = creche.Lock(name="till"), creche.Event()

    async def holder() -> None:
        async with lock:
            await never.wait()

    async def waiter() -> None:
        async with lock:
            pass

    async with creche.create_task_group() as group:
        group.start_soon(holder, name="holder")
        await creche.wait_all_tasks_blocked()
        assert shown("held") == []  # Nobody else wants it.
        group.start_soon(waiter, name="waiter")
        await creche.wait_all_tasks_blocked()
        (lint,) = shown("held")
        assert lint.text.startswith(
            "holder holds Lock 'till', which 1 task waits for, and has waited"
        )
        group.cancel_scope.cancel()


async def test_a_full_stream_is_shown_when_the_last_receiver_has_ended() -> None:
    send, receive = creche.create_memory_object_stream[int](0)

    async def sender() -> None:
        await send.send(1)
        await send.send(2)

    async def receiver(end: creche.streams.memory.MemoryObjectReceiveStream[int]) -> None:
        await end.receive()
        await never.wait()

    never = creche.Event()
    async with send, receive, creche.create_task_group() as group:
        group.start_soon(receiver, receive, name="receiver")
        group.start_soon(sender, name="sender")
        await creche.wait_all_tasks_blocked()
        assert shown("full-stream") == []  # The receiver still has it.
        never.set()
        with creche.CancelScope() as scope:
            async with creche.create_task_group() as inner:
                inner.start_soon(look, scope)
        group.cancel_scope.cancel()


async def look(scope: creche.CancelScope) -> None:
    await creche.wait_all_tasks_blocked()
    (lint,) = shown("full-stream")
    assert lint.text.startswith("sender has waited for")
    scope.cancel()


async def test_a_swallowed_cancellation_is_shown() -> None:
    enough, begun = creche.Event(), creche.Event()

    async def stubborn() -> None:
        while not enough.is_set():
            try:
                await creche.sleep(0.001)
            except BaseException:
                begun.set()
                await creche.lowlevel.cancel_shielded_checkpoint()

    async def in_cancelled_scope() -> None:
        with creche.CancelScope() as scope:
            scope.cancel()
            async with creche.create_task_group() as group:
                group.start_soon(stubborn, name="stubborn")
                group.start_soon(tidies_up, name="tidy")

    async def tidies_up() -> None:
        with creche.CancelScope(shield=True):
            await enough.wait()

    async with creche.create_task_group() as group:
        group.start_soon(in_cancelled_scope, name="host")
        await begun.wait()
        assert shown("swallowed") == []  # It has not had its turn since the first look.
        for _ in range(3):
            await creche.sleep(0.001)
        found = shown("swallowed")
        enough.set()
    assert [lint.text.partition(" goes on")[0] for lint in found] == ["stubborn"]


@pytest.mark.backends("asyncio")
async def test_a_native_task_that_nothing_refers_to_is_shown(no_garbage_collection: None) -> None:
    async def waits_for_nobody() -> None:
        await asyncio.get_running_loop().create_future()

    async def sleeps() -> None:
        await asyncio.sleep(30)  # The loop has a timer for it.

    async def listens(queue: asyncio.Queue[int]) -> None:
        await queue.get()

    def start(name: str, coro: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(coro, name=name)

    queue = asyncio.Queue[int]()
    start("lost", waits_for_nobody())
    start("sleeps", sleeps())
    start("listens", listens(queue))
    kept = start("kept", waits_for_nobody())
    told = start("told", waits_for_nobody())
    told.add_done_callback(lambda _: None)
    del told
    await creche.wait_all_tasks_blocked()
    (lint,) = shown("unowned")
    assert "nothing refers to the native task lost" in lint.text
    mine = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in mine:
        task.cancel()
    await asyncio.wait(mine)
    del kept


async def test_a_scope_of_an_abandoned_generator_is_shown() -> None:
    async def numbers() -> AsyncGenerator[int]:
        with creche.CancelScope():
            yield 1
            yield 2

    async def abandons() -> None:
        generator = numbers()
        async for _ in generator:
            break
        await looks("open-scope", 1)
        await generator.aclose()

    async def iterates() -> None:
        async for _ in numbers():
            await looks("open-scope", 0)

    async def looks(kind: str, count: int) -> None:
        async with creche.create_task_group() as group:
            group.start_soon(expect, kind, count)

    await iterates()
    await abandons()


async def expect(kind: str, count: int) -> None:
    await creche.wait_all_tasks_blocked()
    assert len(shown(kind)) == count


async def test_a_lint_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    await creche.sleep(0)
    text = f"somebody holds something {next(number)}"
    snapshot = insight.snapshot()
    *_, loop = (loop for loop in snapshot.loops if loop.tasks)
    loop.lints = (Lint("held", text, None, None, 1.0),)
    with caplog.at_level(logging.WARNING, "creche.insight"):
        for _ in range(2):
            lints.log_lints(snapshot)
    told = [record.getMessage() for record in caplog.records if text in record.getMessage()]
    assert told == [f"{text} (lint: held)"]


number = count()


def loop_of(*tasks: insight.Task, state: str = "running") -> insight.Loop:
    blocked_for = 1.5 if state == "blocked" else None
    return insight.Loop(1, "asyncio", "main", False, state, blocked_for, tasks, (), ())


def task_of(number: int, name: str, state: str) -> insight.Task:
    return insight.Task(number, name, name, "child", state, None, None, None)


def test_a_blocked_loop_and_who_blocks_it_are_shown() -> None:
    loop = loop_of(task_of(1, "digs", "running"), task_of(2, "waits", "ready"), state="blocked")
    found = list(lints.lints_of(loop, (), {2: 9.0}))
    assert [(lint.kind, lint.text) for lint in found] == [
        ("blocked", "digs blocks its loop for 1.5 s")
    ]


def test_a_task_that_never_gets_its_turn_is_shown() -> None:
    loop = loop_of(task_of(1, "digs", "running"), task_of(2, "starves", "ready"))
    found = list(lints.lints_of(loop, (), {2: 2.0}))
    assert [(lint.kind, lint.task) for lint in found] == [("no-turn", 2)]


def test_a_task_that_waits_for_a_thread_or_its_children_has_not_swallowed_its_cancellation() -> (
    None
):
    host = task_of(1, "host", "cancelling")
    host.wait = insight.Wait("the end of", tasks=(2,))
    caller = task_of(2, "caller", "cancelling")
    worker = insight.Worker("thread", "worker", "read", 9.0, 2)
    assert list(lints.lints_of(loop_of(host, caller), (worker,), {1: 9.0, 2: 9.0})) == []
