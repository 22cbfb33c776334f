"""Signals: Ctrl-\\ shows the tasks and the program goes on; after Ctrl-C those that hold it up are shown."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from creche import insight

FLAGS = {
    "asyncio": ["--backend", "asyncio"],
    "uvloop": ["--uvloop"],
    "trio": ["--backend", "trio"],
}
on_each_loop = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
posix = pytest.mark.skipif(sys.platform == "win32", reason="these signals are POSIX's")

DEADLOCK = """
import creche

async def transfer(first, second):
    async with first:
        while not second.locked():  # The other one has it.
            await creche.sleep(0.001)
        async with second:
            pass

async def main():
    accounts, ledger = creche.Lock(), creche.Lock()
    async with creche.create_task_group() as group:
        group.start_soon(transfer, accounts, ledger)
        group.start_soon(transfer, ledger, accounts)
        while any(lock.statistics().tasks_waiting == 0 for lock in (accounts, ledger)):
            await creche.sleep(0.001)
        print("ready", flush=True)
"""

STUCK = """
import os
import creche

async def clean_up():
    try:
        await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            while not os.path.exists("seen"):
                await creche.sleep(0.01)

async def main():
    async with creche.create_task_group() as group:
        group.start_soon(clean_up)
        await creche.wait_all_tasks_blocked()
        print("ready", flush=True)
"""

BLOCKED = """
import time
import creche

async def busy_loop():
    print("ready", flush=True)
    while True:
        time.sleep(0.01)

async def main():
    async with creche.create_task_group() as group:
        group.start_soon(busy_loop)
        group.start_soon(creche.sleep_forever, name="sleeper")
"""


@contextmanager
def running(folder: Path, source: str, flags: list[str]) -> Iterator[subprocess.Popen[str]]:
    script = folder / "program.py"
    script.write_text(source)
    command = [sys.executable, "-m", "creche", "run", *flags, str(script)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def error_line(process: subprocess.Popen[str], wanted: str) -> str:
    """Read standard error up to a line that holds a text, and return all of it."""
    assert process.stderr is not None
    seen = ""
    while wanted not in seen:
        line = process.stderr.readline()
        assert line, f"{wanted!r} never came: {seen}"
        seen += line
    return seen


@posix
@on_each_loop
def test_ctrl_backslash_shows_a_deadlock_and_the_program_goes_on(
    tmp_path: Path, flags: list[str]
) -> None:
    with running(tmp_path, DEADLOCK, flags) as process:
        for _ in range(2):
            process.send_signal(signal.SIGQUIT)
            shown = error_line(process, "Deadlock: 2 tasks wait for each other")
            assert process.stderr is not None
            circle = process.stderr.readline() + process.stderr.readline()
            assert "Lock 'ledger'" in circle and "Lock 'accounts'" in circle
            assert shown.count("held by transfer") == 2
            assert shown.splitlines()[1].startswith("main ")
        assert process.poll() is None


@posix
@on_each_loop
def test_ctrl_backslash_shows_what_blocks_the_loop(tmp_path: Path, flags: list[str]) -> None:
    with running(tmp_path, BLOCKED, flags) as process:
        process.send_signal(signal.SIGQUIT)
        shown = error_line(process, "─ sleeper")
        (line,) = [
            line for line in shown.splitlines() if line.startswith(("├─ busy_loop", "└─ busy_loop"))
        ]
        assert "running" in line and "busy_loop" in line.split()[-1]


@posix
@on_each_loop
def test_after_ctrl_c_the_tasks_that_hold_it_up_are_shown(tmp_path: Path, flags: list[str]) -> None:
    with running(tmp_path, STUCK, flags) as process:
        process.send_signal(signal.SIGINT)
        shown = error_line(process, "clean_up")
        assert shown.startswith("cancelling; press again to stop at once\n")
        assert "not finished 2 s after it was cancelled:" in shown
        (tmp_path / "seen").touch()
        assert process.wait() == 130


@posix
def test_any_program_may_ask_for_it(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    try:
        insight.dump_on_signal(signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is not before
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_only_the_main_thread_may_ask() -> None:
    errors: list[RuntimeError] = []

    def ask() -> None:
        try:
            insight.dump_on_signal()
        except RuntimeError as exc:
            errors.append(exc)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    (error,) = errors
    assert "must be called in the main thread" in str(error)
