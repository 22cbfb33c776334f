"""Where Python has no `sys.monitoring`, recordings have snapshots alone, and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

import creche
from creche import insight
from creche._insight import instrument, recorder
from creche._insight.perfetto import trace_of


async def test_a_recording_has_snapshots_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "SUPPORTED", False)
    with insight.record(tmp_path / "run.creche") as running:
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep_forever, name="child")
            await creche.wait_all_tasks_blocked()
            running.mark("nobody writes this down")
            running.snapshot()
            group.cancel_scope.cancel()
    recording = insight.read_recording(tmp_path / "run.creche")
    assert not recording.steps
    assert recording.events == []
    names = [{task.name for task in moment.snapshot.tasks} for moment in recording.snapshots]
    assert "child" in names[1]
    assert recording.length >= recording.snapshots[-1].time
    assert trace_of(recording)["traceEvents"]


async def test_instruments_say_that_they_need_a_newer_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(instrument, "SUPPORTED", False)
    with (
        pytest.raises(NotImplementedError, match="use a newer Python"),
        insight.instrument(insight.Instrument()),
    ):
        pass
