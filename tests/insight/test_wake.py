"""A process that is woken from outside goes on as it was: let go, with every signal that it was sent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from creche._insight import wake

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="there is no ptrace as Linux has it"
)

SLEEPER = """
import os, signal, time
signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"heard\\n"))
os.write(1, b"ready\\n")
while True:
    time.sleep(60)
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SLEEPER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def status(process: subprocess.Popen[str], field: str) -> str:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


def hears_signals(process: subprocess.Popen[str]) -> bool:
    process.send_signal(signal.SIGUSR1)
    assert process.stdout is not None
    return process.stdout.readline() == "heard\n"


def test_a_process_that_waits_is_woken_and_let_go(sleeper: subprocess.Popen[str]) -> None:
    for _ in range(20):
        assert wake.wake(sleeper.pid)
        assert status(sleeper, "TracerPid") == "0"
    assert hears_signals(sleeper)


def test_a_process_that_does_not_stop_in_time_is_let_go(
    sleeper: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "PATIENCE", 0.0)
    assert not wake.wake(sleeper.pid)
    while status(sleeper, "TracerPid") != "0":
        time.sleep(0.001)  # Linux lets it go as the thread ends.
    assert hears_signals(sleeper)


def test_a_signal_that_comes_meanwhile_is_not_lost(
    sleeper: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ptrace = wake._ptrace

    def with_a_signal_after_the_first(request: int, pid: int, data: int = 0) -> bool:
        done = ptrace(request, pid, data)
        if request == wake._SEIZE:
            sleeper.send_signal(signal.SIGUSR1)
            while status(sleeper, "State") != "t":
                time.sleep(0.001)
        return done

    monkeypatch.setattr(wake, "_ptrace", with_a_signal_after_the_first)
    assert wake.wake(sleeper.pid)
    assert sleeper.stdout is not None
    assert sleeper.stdout.readline() == "heard\n"


def test_a_process_that_has_ended_is_not_woken(sleeper: subprocess.Popen[str]) -> None:
    sleeper.kill()
    sleeper.wait()
    assert not wake.wake(sleeper.pid)
