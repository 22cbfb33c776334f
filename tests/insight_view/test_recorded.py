"""Recordings as messages for the page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from creche import insight
from creche._insight.recording import RecordedTask, Recording, Span
from creche._insight_view import recorded

HERE = Path(__file__).parent


def test_a_recording_is_one_message_with_all_versions(tmp_path: Path) -> None:
    path = tmp_path / "run.creche"
    subprocess.run([sys.executable, str(HERE / "recorded.py"), str(path)], check=True)
    recording = insight.read_recording(path)
    message, end = recorded.messages_of(recording)
    assert message["recorded"] and message["full"] and end["end"] == "The recording ends."
    assert message["begin"] == recording.time and end["t"] == recording.time + recording.length
    tasks = {each["versions"][0]["name"]: each for each in message["history"]}
    assert set(tasks) == {"main", "worker", "worker #2", "worker #3", "tidy"}
    waits = {
        version["wait"]["what"] for version in tasks["worker #2"]["versions"] if "wait" in version
    }
    assert "Lock 'printer'" in waits
    for task in tasks.values():
        times = [version["t"] for version in task["versions"]]
        assert times == sorted(times)
        if task["gone"] is not None:
            assert recording.time <= times[-1] <= task["gone"] <= end["t"]
    assert [frame["t"] for frame in message["frames"]] == sorted(
        frame["t"] for frame in message["frames"]
    )


def test_an_empty_recording_is_shown_as_such() -> None:
    message, end = recorded.messages_of(Recording(time=100.0, steps=False, lost=3, why="deadlock"))
    assert message["history"] == [] and message["frames"][0]["t"] == 100.0
    assert "needs Python 3.12" in message["frames"][-1]["missing"]
    assert end["end"] == "The recording ends: deadlock."


def test_of_too_many_spans_the_shortest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MOST_SPANS", 10)
    recording = Recording(time=0.0, length=1.0, tasks={1: RecordedTask(1, "job", began=0.0)})
    spans = [Span(n / 10, n / 10 + 1e-7, "running") for n in range(10)]
    spans += [Span(n / 10 + 1e-7, n / 10 + 0.1, "waiting", "Event") for n in range(10)]
    monkeypatch.setattr(Recording, "spans", lambda self: {1: sorted(spans, key=lambda s: s.begin)})
    message, _ = recorded.messages_of(recording)
    states = [version["state"] for version in message["history"][0]["versions"]]
    assert states == ["running", *["waiting"] * 10]
    assert message["frames"][-1]["missing"] == "the shortest steps are left out"
