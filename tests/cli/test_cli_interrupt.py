"""Ctrl-C on `creche run`: the program is cancelled, cleans up, and leaves status 130."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from _harness import on_each_command_line

TOLD = "cancelling; press again to stop at once\n"

TIDY = """
import creche


async def child(task_status):
    try:
        task_status.started()
        await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            await creche.sleep(0.01)
        print("the child cleaned up")


async def main():
    try:
        async with creche.create_task_group() as tg:
            await tg.start(lambda *, task_status: child(task_status))
            print("ready", flush=True)
            await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            await creche.sleep(0.01)
        print("the host cleaned up")
"""

BUSY = """
import creche


async def main():
    print("ready", flush=True)
    while True:  # never blocks, but for its checkpoints
        await creche.lowlevel.checkpoint()
"""

OBSTINATE = """
import creche


async def main():
    try:
        print("ready", flush=True)
        await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            print("ready", flush=True)
            await creche.sleep_forever()
"""

CLUMSY = """
import creche


async def main():
    try:
        print("ready", flush=True)
        await creche.sleep_forever()
    finally:
        raise ValueError("the clean-up failed")
"""

SLOW_TO_LOAD = """
import time

print("ready", flush=True)
time.sleep(60)
"""


def interrupt(folder: Path, source: str, *flags: str, presses: int = 1) -> tuple[int, str, str]:
    """Run a program and press Ctrl-C each time it says it is ready: status, stdout, stderr."""
    script = folder / "script.py"
    script.write_text(source)
    with subprocess.Popen(
        [sys.executable, "-m", "creche", "run", *flags, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background ignores SIGINT, and its children would inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            for _ in range(presses):
                line = process.stdout.readline()
                if line != "ready\n":
                    break
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out, err


@on_each_command_line
def test_ctrl_c_cancels_the_program_and_lets_it_clean_up(flags: list[str], tmp_path: Path) -> None:
    status, out, err = interrupt(tmp_path, TIDY, *flags)
    assert err == TOLD
    assert out == "the child cleaned up\nthe host cleaned up\n"
    assert status == 130


@on_each_command_line
def test_ctrl_c_ends_a_program_that_never_blocks(flags: list[str], tmp_path: Path) -> None:
    assert interrupt(tmp_path, BUSY, *flags) == (130, "", TOLD)


@on_each_command_line
def test_a_second_ctrl_c_ends_a_program_that_will_not_go(flags: list[str], tmp_path: Path) -> None:
    assert interrupt(tmp_path, OBSTINATE, *flags, presses=2) == (-signal.SIGINT, "", TOLD)


def test_an_error_while_cleaning_up_after_ctrl_c_is_shown(tmp_path: Path) -> None:
    status, _, err = interrupt(tmp_path, CLUMSY)
    assert err.endswith("ValueError: the clean-up failed\n")
    assert status == 1


def test_ctrl_c_while_a_program_is_loaded_leaves_no_traceback(tmp_path: Path) -> None:
    assert interrupt(tmp_path, SLOW_TO_LOAD) == (130, "", "")
