"""A failing schedule of an explored test becomes a recording."""

from __future__ import annotations

from pathlib import Path

import pytest

import creche
from creche import insight
from creche.testing import explore, replay

balance = 0


async def add() -> None:
    global balance
    before = balance
    await creche.sleep(0)
    balance = before + 1


@explore(runs=50, seed=1)
async def two_at_a_time() -> None:
    global balance
    balance = 0
    async with creche.create_task_group() as group:
        group.start_soon(add, name="first")
        group.start_soon(add, name="second")
    assert balance == 2


def test_a_failing_schedule_is_read_like_any_recording(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as failure:
        two_at_a_time()
    token = failure.value.__notes__[0].split("'")[-2]
    path = tmp_path / "failing.creche"
    with pytest.raises(AssertionError):
        replay(two_at_a_time, token, recording=path)
    recording = insight.read_recording(path)
    assert recording.simulated and recording.why.startswith("AssertionError")
    outcomes = {task.name: task.outcome for task in recording.tasks.values()}
    assert outcomes["first"] == outcomes["second"] == "returned"
    assert outcomes["main" if "main" in outcomes else "two_at_a_time"].startswith("failed")
    steps = [event for event in recording.events if event.kind == "step"]
    assert [event.time for event in steps] == [pytest.approx(n / 1000) for n in range(len(steps))]
    assert any("the end of first, second" in event.text for event in steps)
    spans = recording.spans()
    first = next(task.id for task in recording.tasks.values() if task.name == "first")
    assert [span.state for span in spans[first]][:2] == ["running", "ready"]
