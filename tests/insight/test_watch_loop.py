"""`watch_loop`: what blocks a loop is logged while it does, and nothing else is."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import creche
from creche import insight


class Log(logging.Handler):
    """What was logged, and an event for the first record."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.first = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.first.set()


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    logger = logging.getLogger("creche.insight")
    logger.addHandler(handler)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.propagate = True


async def test_a_blocked_loop_is_told_while_it_is_blocked(log: Log) -> None:
    states: list[str] = []

    async def blocks() -> None:
        assert log.first.wait(20)
        states.append(insight.snapshot().loops[-1].state)

    with insight.watch_loop(threshold=0.3):  # long enough for a busy machine
        async with creche.create_task_group() as group:
            group.start_soon(blocks, name="blocker")
        while len(log.lines) < 2:
            await creche.sleep(0.001)
    during, after = log.lines
    assert during.startswith("task 'blocker' has blocked its event loop for 0.")
    assert "in blocks" in during and "log.first.wait(20)" in during
    assert "creche/_kernel" not in during
    assert after.startswith("task 'blocker' blocked its event loop for ")
    assert states == ["blocked"]


async def test_a_loop_that_turns_is_left_alone(log: Log) -> None:
    with insight.watch_loop(threshold=5):
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            await creche.sleep(0)
        await creche.sleep(0.1)
    assert log.lines == []


def test_the_end_of_the_loop_ends_the_watch(backend: object) -> None:
    async def main() -> None:
        insight.watch_loop()

    before = threading.active_count()
    backend.run(main)  # type: ignore[attr-defined]
    assert threading.active_count() == before


async def test_a_threshold_that_makes_no_sense_is_told() -> None:
    with pytest.raises(ValueError, match="threshold must be above 0 seconds, not 0"):
        insight.watch_loop(0)


STOPPED = """
import logging, os, sys
import creche
from creche import insight

async def main():
    logging.basicConfig()
    with insight.watch_loop(0.5):
        print("ready", flush=True)
        while not os.path.exists("stop"):
            await creche.sleep(0)

creche.run(main, backend=sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP")
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_process_that_was_stopped_is_no_alarm(loop: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED, loop],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(3):
            time.sleep(0.2)  # somewhere in the middle
            process.send_signal(signal.SIGSTOP)
            time.sleep(2)  # what must not be taken for a step
            process.send_signal(signal.SIGCONT)
        (tmp_path / "stop").touch()
        _, error = process.communicate(timeout=30)
    assert error == ""
