"""A supervisor's memory is the same after a hundred restarts, and after a million."""

from __future__ import annotations

import gc
import math
import tracemalloc

import pytest

from creche import sleep, sleep_forever
from creche.abc import TaskStatus
from creche.services import ServiceHandle, create_supervisor
from creche.testing import run

SMALL = 50_000  # bytes


async def restarts(number: int) -> int:
    """Return how many bytes more there are after so many restarts than after the first few."""
    lives = 0
    marks: list[int] = []

    def measure() -> None:
        gc.collect()
        marks.append(tracemalloc.get_traced_memory()[0])

    async def fails(*, task_status: TaskStatus[None]) -> None:
        nonlocal lives
        lives += 1
        if lives in (200, number):
            measure()
        task_status.started()
        if lives > number:
            await sleep_forever()
        if lives % 3 == 0:
            raise ValueError("x" * 1_000)
        if lives % 3 == 1:
            raise ExceptionGroup("several", [KeyError(lives), OSError(lives)])

    async with create_supervisor("one_for_all", max_restarts=math.inf, on_error=quiet) as sv:
        await sv.start(fails, backoff=[0, 0.1])
        while lives <= number:
            await sleep(10)
        sv.cancel()
    return marks[1] - marks[0]


def quiet(handle: ServiceHandle, error: BaseException) -> None:
    pass


def growth(number: int, loop: str) -> int:
    tracemalloc.start()
    try:
        return run(restarts, number, backend=loop)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_restarts_leave_nothing_behind(loop: str) -> None:
    assert growth(3_000, loop) < SMALL


@pytest.mark.soak
@pytest.mark.time_limit(3600)
def test_a_million_restarts_leave_nothing_behind() -> None:
    assert growth(1_000_000, "asyncio") < SMALL
