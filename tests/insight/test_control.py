"""Control from outside, where the program allows it: `creche cancel` and `creche stop`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import creche
from creche import insight, services
from creche._insight.ask import TargetError, connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no UNIX sockets")


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@contextmanager
def serving(*, control: bool = True) -> Iterator[None]:
    """Serve inside a test: nothing of it is left for the sweep after the test to find."""
    insight.serve(control=control)
    try:
        yield
    finally:
        insight.stop_serving()


def ask(do: str, **options: object) -> object:
    with connect(os.getpid()) as target:
        return target.ask(do, **options)


async def outside(do: str, **options: object) -> object:
    """Ask from a thread: as a viewer does, while the loop goes on."""
    return await creche.to_thread.run_sync(lambda: ask(do, **options))


async def test_a_task_is_cancelled_by_its_name_with_the_reason_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(), caplog.at_level(logging.WARNING, "creche.insight"):
        async with creche.create_task_group() as group:
            one = group.start_soon(creche.sleep_forever, name="one")
            group.start_soon(creche.sleep_forever, name="other")
            await creche.wait_all_tasks_blocked()
            assert await outside("cancel", task="one", reason="it leaks") == {"cancelled": "one"}
            await one.wait()
            assert "other" in {task.name for task in insight.snapshot().tasks}
            group.cancel_scope.cancel()
    assert "cancelling task 'one': it leaks" in caplog.text


async def test_what_cannot_be_cancelled_is_told() -> None:
    with serving():
        async with creche.create_task_group() as group:
            for _ in range(2):
                group.start_soon(creche.sleep_forever, name="twin")
            await creche.wait_all_tasks_blocked()
            for task, wrong in (
                ("nobody", "there is no task 'nobody'"),
                ("twin", "2 tasks are called 'twin'"),
            ):
                with pytest.raises(TargetError, match=wrong):
                    await outside("cancel", task=task)
            wrong_numbers: list[object] = [None, [], 10**9, -1, True]
            for number in wrong_numbers:
                with pytest.raises(TargetError, match="there is no task"):
                    await outside("cancel", task=number)
            group.cancel_scope.cancel()


async def test_a_program_is_asked_to_stop_and_finishes_what_it_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    async def service() -> None:
        await services.wait_for_stop()
        done.append("finished")

    with serving(), caplog.at_level(logging.WARNING, "creche.insight"):
        async with creche.create_task_group() as group:
            group.start_soon(service)
            await creche.wait_all_tasks_blocked()
            await outside("stop", reason="a new version", grace=60)
    assert done == ["finished"]
    assert "to stop, and cancelling it 60 s from now: a new version" in caplog.text


@pytest.mark.parametrize("grace", [-1, "x", float("nan"), None])
async def test_a_grace_that_is_no_time_is_told(grace: object) -> None:
    with serving():
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep_forever)
            with pytest.raises(TargetError, match="grace"):
                await outside("stop", reason="x", grace=grace)
            group.cancel_scope.cancel()


async def test_without_control_nothing_is_done() -> None:
    with serving(control=False):
        for do in ("cancel", "stop"):
            with pytest.raises(TargetError, match="looked at, not controlled"):
                await outside(do, task=1)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "creche", *arguments], capture_output=True, text=True, check=False
    )


async def test_the_commands_do_both() -> None:
    pid = str(os.getpid())
    results: list[subprocess.CompletedProcess[str]] = []
    with serving():
        async with creche.create_task_group() as group:
            one = group.start_soon(creche.sleep_forever, name="one")
            group.start_soon(creche.sleep_forever, name="other")
            await creche.wait_all_tasks_blocked()
            results.append(
                await creche.to_thread.run_sync(command, "cancel", pid, "one", "--reason", "x")
            )
            await one.wait()
            results.append(await creche.to_thread.run_sync(command, "cancel", pid, "one"))
            results.append(await creche.to_thread.run_sync(command, "stop", pid, "--grace", "0"))
    assert [result.returncode for result in results] == [0, 2, 0], results
    assert results[0].stdout == "cancelled: one\n"
    assert "there is no task 'one'" in results[1].stderr
    assert "asked to stop: " in results[2].stdout
    assert threading.active_count() < 20
