"""What a run leaves in memory once it is over: nothing. Thousands of runs are made by one test."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import creche
from _harness import on_each_simulated_loop
from creche import testing
from creche._kernel import current_task


async def main() -> weakref.ref[Any]:
    """Use tasks, scopes and locks; return a weak reference to what the loop has for this task."""
    lock = creche.Lock()

    async def work() -> None:
        with creche.move_on_after(1):
            async with lock:
                await creche.sleep(0.001)

    async with creche.create_task_group() as group:
        group.start_soon(work)
        group.start_soon(work)
    task: Any = current_task()
    return weakref.ref(task.native)


RUNS: dict[str, Callable[[str], weakref.ref[Any]]] = {
    "simulated": lambda loop: testing.run(main, backend=loop),
    "ordinary": lambda loop: creche.run(main, backend=loop),
}


@on_each_simulated_loop
@pytest.mark.parametrize("kind", RUNS)
def test_the_main_task_of_a_run_that_is_over_is_gone(kind: str, loop: str) -> None:
    native = RUNS[kind](loop)
    gc.collect()
    assert native() is None
