"""`Parts`: the two halves of a wait, on every kernel. `test_inlined.py` has the functions that use them."""

from __future__ import annotations

from typing import Any

from _kernel_parts import Group, cancel, entered, let_run

from _harness import on_every_backend
from creche._kernel import current_task
from creche._kernel.contract import Task
from creche._kernel.scope import Scope

pytestmark = on_every_backend


async def test_park_does_what_wait_does_with_the_dance_that_its_docstring_tells() -> None:
    group = Group()
    tasks: list[tuple[Task, Any, Scope]] = []
    steps: list[object] = []

    async def park() -> None:
        task = current_task()
        waiter = task.make_waiter()
        with entered() as scope:
            tasks.append((task, waiter, scope))
            try:
                steps.append(await task.park(waiter))
            except BaseException as exc:
                if not task.granted(waiter, exc):
                    steps.append(("raised", waiter.done()))
                    raise
                steps.append(waiter.result())

    group.spawn(park)
    await let_run()
    tasks[0][1].set_result("granted")
    cancel(tasks[0][2])
    await let_run()
    group.spawn(park)
    await let_run()
    cancel(tasks[1][2])
    await group.close()
    assert steps == ["granted", ("raised", True)]
