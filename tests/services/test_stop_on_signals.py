"""`stop_on_signals`: the first signal stops the group, the second cancels it, the third is final."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from signal import SIGINT, SIGTERM, raise_signal
from typing import Any

import pytest

from creche import CancelScope, create_task_group, current_time, sleep, sleep_forever, to_thread
from creche.services import stop_on_signals, stop_requested, wait_for_stop


async def test_the_first_signal_stops_and_the_second_cancels() -> None:
    before = signal.getsignal(SIGTERM)
    steps: list[str] = []
    async with create_task_group() as group:
        await group.start(stop_on_signals, SIGTERM, SIGINT)
        raise_signal(SIGTERM)
        await wait_for_stop()
        steps.append("stopped")
        raise_signal(SIGINT)
        try:
            await sleep_forever()
        finally:
            steps.append("cancelled")
    assert steps == ["stopped", "cancelled"]
    assert signal.getsignal(SIGTERM) is before


async def test_the_group_does_not_wait_for_it() -> None:
    before = signal.getsignal(SIGTERM)
    async with create_task_group() as group:
        await group.start(stop_on_signals, SIGTERM)
        assert signal.getsignal(SIGTERM) is not before
        group.start_soon(sleep, 0.01)
    assert signal.getsignal(SIGTERM) is before


async def test_the_grace_counts_from_the_first_signal() -> None:
    async with create_task_group() as group:
        await group.start(partial(stop_on_signals, SIGTERM, grace=0.05))
        begin = current_time()
        raise_signal(SIGTERM)
        await sleep_forever()
    assert current_time() - begin >= 0.049


async def test_it_stops_the_group_that_it_is_started_in() -> None:
    async with create_task_group() as outer:
        async with create_task_group() as group:
            await group.start(stop_on_signals, SIGTERM)
            raise_signal(SIGTERM)
            await wait_for_stop()
        assert not stop_requested()
        outer.cancel()


async def test_a_start_that_is_cancelled_leaves_the_handlers_be() -> None:
    before = signal.getsignal(SIGTERM)
    async with create_task_group() as group:
        with CancelScope() as scope:
            scope.cancel()
            await group.start(stop_on_signals, SIGTERM)
        assert signal.getsignal(SIGTERM) is before


async def test_outside_a_group_it_says_where_it_belongs() -> None:
    before = signal.getsignal(SIGTERM)
    with pytest.raises(RuntimeError, match="started in"):
        await stop_on_signals(SIGTERM)
    assert signal.getsignal(SIGTERM) is before


async def test_what_is_wrong_is_said() -> None:
    wrong: Any
    async with create_task_group() as group:
        for wrong in (-1, float("nan")):
            with pytest.raises(ValueError, match="grace"):
                await group.start(partial(stop_on_signals, SIGTERM, grace=wrong))
        with pytest.raises(TypeError, match="signals"):
            await group.start(stop_on_signals, "SIGTERM")


async def test_only_in_the_main_thread(backend: Any) -> None:
    async def main() -> None:
        async with create_task_group() as group:
            with pytest.raises(RuntimeError, match="main thread"):
                await group.start(stop_on_signals, SIGTERM)

    await to_thread.run_sync(backend.run, main)


STUCK = """
import signal, time
import creche
from creche.services import stop_on_signals

async def main():
    async with creche.create_task_group() as tg:
        await tg.start(stop_on_signals, signal.SIGTERM)
        print("ready", flush=True)
        while True:  # a loop that never comes back
            time.sleep(0.01)

creche.run(main)
"""


def test_the_third_signal_ends_a_process_whose_loop_is_stuck() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            while process.poll() is None:
                process.send_signal(SIGTERM)
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    pass
        finally:
            process.kill()
    assert process.returncode == -SIGTERM


async def test_a_handler_that_a_server_has_set_hears_of_the_signal_too() -> None:
    heard: list[int] = []
    before = signal.signal(SIGTERM, lambda signum, frame: heard.append(signum))
    try:
        async with create_task_group() as group:
            await group.start(stop_on_signals, SIGTERM)
            raise_signal(SIGTERM)
            await wait_for_stop()
    finally:
        signal.signal(SIGTERM, before)
    assert heard == [SIGTERM]
