"""SIGTERM and Ctrl-C on `creche run --grace`: the program stops, is cancelled, or is ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

STOPPING = "stopping; press again to cancel\n"
CANCELLING = "cancelling; press again to stop at once\n"

BACKENDS = {
    "asyncio": ["--backend", "asyncio"],
    "uvloop": ["--uvloop"],
    "trio": ["--backend", "trio"],
}
on_each_backend = pytest.mark.parametrize("flags", BACKENDS.values(), ids=BACKENDS)

TIDY = """
import creche


async def main():
    try:
        print("ready", flush=True)
        await creche.sleep_forever()
    finally:
        with creche.CancelScope(shield=True):
            await creche.sleep(0.01)
        print("cleaned up")
"""

DRAINING = """
import creche
from creche.services import until_stop


async def main():
    send, receive = creche.create_memory_object_stream(10)
    with send, receive:
        for item in range(3):
            await send.send(item)
        with until_stop():
            async for item in receive:
                if item == 0:
                    print("ready", flush=True)
                    await creche.services.wait_for_stop()
                print("handled", item)
        print("drained")
"""

DEAF = """
import creche


async def main():
    print("ready", flush=True)
    try:
        await creche.sleep_forever()
    finally:
        print("ready", flush=True)
        with creche.CancelScope(shield=True):
            await creche.sleep_forever()
"""


def signalled(
    folder: Path, source: str, *flags: str, signals: tuple[signal.Signals, ...]
) -> tuple[int, str, str]:
    """Run a program and send it a signal each time it says it is ready: status, stdout, stderr."""
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
            for signum in signals:
                assert process.stdout.readline() == "ready\n"
                process.send_signal(signum)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out, err


@on_each_backend
def test_sigterm_runs_the_finally_blocks(flags: list[str], tmp_path: Path) -> None:
    status, out, err = signalled(tmp_path, TIDY, *flags, signals=(signal.SIGTERM,))
    assert (status, out, err) == (143, "cleaned up\n", "")


@on_each_backend
def test_with_a_grace_sigterm_stops_and_the_program_drains(
    flags: list[str], tmp_path: Path
) -> None:
    status, out, err = signalled(
        tmp_path, DRAINING, *flags, "--grace", "60", signals=(signal.SIGTERM,)
    )
    assert (out, err) == ("handled 0\nhandled 1\nhandled 2\ndrained\n", "")
    assert status == 143


def test_a_program_that_does_not_stop_is_cancelled_when_its_grace_is_over(tmp_path: Path) -> None:
    status, out, err = signalled(tmp_path, TIDY, "--grace", "0.05", signals=(signal.SIGINT,))
    assert (status, out) == (130, "cleaned up\n")
    # The report names the program's task, and where it was.
    told, report = err.split("\n", 1)
    assert f"{told}\n" == STOPPING
    assert report.startswith(
        "stop (Ctrl-C): 1 task overran the grace of 0.05 s and was cancelled: "
    )
    assert "main' at script.py:" in report


TWICE = TIDY.replace("await creche.sleep_forever()", """
        await creche.services.wait_for_stop()
        print("ready", flush=True)
        await creche.sleep_forever()""")  # fmt: skip


@on_each_backend
def test_a_second_signal_cancels(flags: list[str], tmp_path: Path) -> None:
    status, out, err = signalled(
        tmp_path, TWICE, *flags, "--grace=60", signals=(signal.SIGTERM, signal.SIGTERM)
    )
    assert (status, out, err) == (143, "cleaned up\n", "")


def test_with_a_grace_each_ctrl_c_says_what_the_next_one_does(tmp_path: Path) -> None:
    status, out, err = signalled(
        tmp_path, TWICE, "--grace=60", signals=(signal.SIGINT, signal.SIGINT)
    )
    assert (status, out, err) == (130, "cleaned up\n", STOPPING + CANCELLING)


def test_a_third_signal_ends_the_process(tmp_path: Path) -> None:
    source = DEAF.replace(
        "    try:\n",
        "    await creche.services.wait_for_stop()\n    print('ready', flush=True)\n    try:\n",
    )
    three = (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM)
    status, _, err = signalled(tmp_path, source, "--grace=60", signals=three)
    assert (status, err) == (-signal.SIGTERM, "")


def test_without_a_grace_the_second_signal_is_final(tmp_path: Path) -> None:
    status, _, err = signalled(tmp_path, DEAF, signals=(signal.SIGINT, signal.SIGTERM))
    assert (status, err) == (-signal.SIGTERM, CANCELLING)


def test_a_grace_is_a_number_of_seconds(tmp_path: Path) -> None:
    status, _, err = signalled(tmp_path, TIDY, "--grace=-1", signals=())
    assert status == 2 and "invalid seconds value: '-1'" in err
