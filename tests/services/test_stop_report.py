"""After a stop whose grace was too short: the log says which tasks overran it, and where they were."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from _services import deaf

from creche import CancelScope, create_task_group, sleep, sleep_forever
from creche._tasks.stop import stop_reports
from creche.services import create_supervisor, wait_for_stop
from creche.testing import run

both = pytest.mark.parametrize("loop", ["asyncio", "trio"])


def logged(
    caplog: pytest.LogCaptureFixture, main: Callable[[], Coroutine[Any, Any, None]], loop: str
) -> list[str]:
    with caplog.at_level(logging.WARNING, "creche"):
        run(main, backend=loop)
    return [record.getMessage() for record in caplog.records]


def here(text: str) -> str:
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    lines, first = inspect.getsourcelines(frame.f_back.f_code)
    return f"test_stop_report.py:{first + next(n for n, line in enumerate(lines) if text in line)}"


@both
def test_tasks_of_a_group_that_overran_are_named(
    caplog: pytest.LogCaptureFixture, loop: str
) -> None:
    async def slow() -> None:
        await sleep_forever()  # slow

    async def main() -> None:
        async with create_task_group() as group:
            group.start_soon(slow, name="slow")
            group.start_soon(wait_for_stop, name="good")
            group.stop("enough", grace=3)

    [line] = logged(caplog, main, loop)
    assert line.startswith(
        "stop (enough): 1 task overran the grace of 3 s and was cancelled: 'slow' at "
    )
    assert here("# slow") in line and line.endswith(".slow")
    report = stop_reports()[-1]
    assert (report.reason, report.grace, report.tasks) == ("enough", 3, 1)
    [(name, place)] = report.overran
    assert name == "slow" and here("# slow") in place


@both
def test_the_block_and_groups_inside_a_scope_are_named(
    caplog: pytest.LogCaptureFixture, loop: str
) -> None:
    async def slow() -> None:
        await sleep_forever()

    async def main() -> None:
        with CancelScope() as scope:
            scope.stop(grace=3)
            async with create_task_group() as group:
                group.start_soon(slow, name="slow")
                await sleep_forever()  # block

    [line] = logged(caplog, main, loop)
    assert line.startswith("stop: 2 tasks overran the grace of 3 s and were cancelled: 'slow' at ")
    assert here("# block") in line


@both
def test_many_are_counted_and_some_listed(caplog: pytest.LogCaptureFixture, loop: str) -> None:
    async def main() -> None:
        async with create_task_group() as group:
            for number in range(100):
                group.start_soon(sleep_forever, name=f"task-{number}")
            group.stop(grace=1)

    [line] = logged(caplog, main, loop)
    assert "100 tasks overran the grace" in line and line.endswith("; and 80 more")
    assert line.count("task-") == 20


@both
def test_a_service_that_overran_is_named(caplog: pytest.LogCaptureFixture, loop: str) -> None:
    async def main() -> None:
        async with create_supervisor() as sv:
            await sv.start(deaf, name="deaf", stop_grace=2)
            sv.stop()

    [line] = logged(caplog, main, loop)
    assert "its supervisor stops 'deaf'" in line and "overran the grace of 2 s" in line
    assert "_services.py" in line


@both
def test_a_stop_that_was_in_time_is_not_worth_a_line(
    caplog: pytest.LogCaptureFixture, loop: str
) -> None:
    async def main() -> None:
        async with create_task_group() as group:
            group.start_soon(wait_for_stop)
            group.stop(grace=3)
        async with create_task_group() as group:
            group.start_soon(sleep_forever)
            group.stop(grace=3)
            await sleep(1)
            group.cancel()

    assert logged(caplog, main, loop) == []
