"""Rows for simulated runs: what one small run costs, on each loop that can be simulated.

Creche has no peers here, so a row is held to a figure of its own: 333 µs a run are 3,000 runs in a
second, 1,000 µs are 1,000. A small run is a race of three tasks, in another random order each time,
with all that `explore` does for a run that passes. Nothing in it waits, so it is measured in the
time of the process, which says the same on a busy machine.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine
from functools import partial
from time import process_time
from typing import Any

from .model import CRECHE, Backend, Settings, SpecialRow, Target

RUNS = 300
Main = Callable[[], Coroutine[Any, Any, object]]


async def race() -> None:
    import creche

    count = 0

    async def add() -> None:
        nonlocal count
        seen = count
        await creche.lowlevel.checkpoint()
        count = seen + 1

    async with creche.create_task_group() as group:
        for _ in range(3):
            group.start_soon(add)


async def sleep_for_a_year() -> None:
    import creche

    with creche.move_on_after(5):
        await creche.sleep(365 * 86400)


def explored(main: Main, backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Return microseconds per run, once for each round."""
    from creche import testing

    figures: list[float] = []
    for number in range(1 + (3 if settings.quick else settings.rounds)):
        test = testing.explore(runs=RUNS, strategy="random", backends=[backend], seed=number)(main)
        gc.collect()
        began = process_time()
        test()
        figures.append((process_time() - began) / RUNS * 1e6)
    return {CRECHE: figures[1:]}  # The first round has made what is made once.


ROWS = (
    SpecialRow(
        key="simulated-run",
        title="simulated run, a race of three tasks",
        measure=partial(explored, race),
        backends=("asyncio", "trio"),
        targets=(
            Target(None, 1e6 / 3000, ("asyncio",)),
            Target(None, 1e6 / 1000, ("trio",)),
        ),
    ),
    SpecialRow(
        key="simulated-year",
        title="simulated run, a year's sleep with a timeout of 5 s",
        measure=partial(explored, sleep_for_a_year),
        backends=("asyncio", "trio"),
        targets=(Target(None, 50_000, ("asyncio", "trio")),),
    ),
)
