"""Nothing is left of a process: after a cancel at every await, after many, after many at once."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from _commands import FOREVER, children

import creche
from _harness import cancel_at_each_checkpoint, on_asyncio, open_descriptors
from creche import create_task_group, open_process, run_process
from creche._subprocess import spawner


async def test_run_process_cancelled_at_each_await(way: str) -> None:
    async def operation() -> None:
        data = b"x" * 300_000
        assert (await run_process("cat; echo e >&2", input=data)).stdout == data

    assert await cancel_at_each_checkpoint(operation, files=children) >= 3


async def test_run_process_without_pipes_cancelled_at_each_await(way: str) -> None:
    async def operation() -> None:
        await run_process(["sleep", "0.01"], stdout=None, stderr=None)

    assert await cancel_at_each_checkpoint(operation, files=children) >= 3


async def test_a_conversation_cancelled_at_each_await(way: str) -> None:
    async def operation() -> None:
        async with await open_process(["cat"]) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for _ in range(2):
                await process.stdin.send(b"ping")
                assert await process.stdout.receive() == b"ping"
            await process.stdin.aclose()
            assert await process.wait() == 0

    assert await cancel_at_each_checkpoint(operation, files=children) >= 8


async def test_aclose_of_a_process_that_does_not_end_cancelled_at_each_await(way: str) -> None:
    async def operation() -> None:
        process = await open_process(FOREVER)
        try:
            await creche.sleep(0)
        finally:
            with creche.move_on_after(0.01):
                await process.aclose()
            assert process.returncode == -9

    assert await cancel_at_each_checkpoint(operation, files=children) >= 2


@on_asyncio
async def test_native_cancels_do_not_lose_a_process(way: str) -> None:
    import asyncio

    before = open_descriptors()

    async def body() -> None:
        async with await open_process(FOREVER) as process:
            await process.wait()

    for cancels in (1, 2):
        task = asyncio.create_task(body())
        await creche.wait_all_tasks_blocked()
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert children() == []
    assert open_descriptors() == before


async def test_others_run_between_two_starts() -> None:
    order: list[str] = []

    async def other() -> None:
        for _ in range(3):
            order.append("other")
            await creche.lowlevel.checkpoint()

    async with create_task_group() as tg:
        tg.start_soon(other)
        for _ in range(3):
            async with await open_process(["true"]):
                order.append("start")
    assert order.index("other") < len(order) - 1 - order[::-1].index("start")


async def test_fifty_at_once() -> None:
    before = open_descriptors()
    outputs: set[bytes] = set()

    async def one(number: int) -> None:
        outputs.add((await run_process(["echo", str(number)])).stdout)

    async with create_task_group() as tg:
        for number in range(50):
            tg.start_soon(one, number)
    assert outputs == {f"{number}\n".encode() for number in range(50)}
    assert (open_descriptors(), children()) == (before, [])


async def test_fifty_at_once_all_killed_by_a_cancel() -> None:
    before = open_descriptors()
    with creche.CancelScope() as scope:
        async with create_task_group() as tg:
            for _ in range(50):
                tg.start_soon(run_process, FOREVER)
            while len(children()) < 50:
                await creche.sleep(0.01)
            scope.cancel()
    assert (open_descriptors(), children()) == (before, [])


async def test_sixty_one_after_the_other() -> None:
    before = open_descriptors()
    for number in range(60):
        assert (await run_process(["echo", str(number)])).stdout == f"{number}\n".encode()
    assert (open_descriptors(), children()) == (before, [])


@pytest.mark.soak
@pytest.mark.time_limit(300)
async def test_a_thousand_one_after_the_other(way: str) -> None:
    before = open_descriptors()
    for number in range(1000):
        done = await run_process(["cat"], input=b"x" * number)
        assert len(done.stdout) == number
    assert (open_descriptors(), children()) == (before, [])


async def test_a_process_that_was_dropped_while_it_runs_warns_and_is_reaped_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts: list[object] = []  # As the thread that starts processes, which may let go of them late.
    ask = spawner._spawner.ask

    def ask_and_keep(start: Any) -> None:
        starts.append(start)
        ask(start)

    monkeypatch.setattr(spawner._spawner, "ask", ask_and_keep)
    process = await open_process(FOREVER)
    pid = process.pid
    process.kill()
    with pytest.warns(ResourceWarning, match=f"subprocess {pid} is still running"):
        del process
    while pid in children():
        subprocess.Popen(["true"]).wait()  # reaps those that nobody has waited for
        await creche.sleep(0.001)


async def test_a_failed_start_leaves_no_child_behind(tmp_path: os.PathLike[str]) -> None:
    before = open_descriptors()
    for _ in range(20):
        with pytest.raises(FileNotFoundError):
            await run_process(["/nonexistent"])
        with pytest.raises(PermissionError):
            await run_process([os.fspath(tmp_path)])
    assert (open_descriptors(), children()) == (before, [])
