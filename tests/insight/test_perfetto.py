"""What `creche export --perfetto` writes keeps the rules of the Trace Event Format."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import creche
from creche import insight
from creche._cli import main
from creche._insight.perfetto import trace_of

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="steps are seen through sys.monitoring"
)
Json = dict[str, Any]


async def program() -> None:
    lock = creche.Lock(name="till")

    async def client() -> None:
        async with lock:
            await creche.sleep(0.001)
        with creche.move_on_after(0.002):
            await creche.sleep_forever()
        await creche.to_thread.run_sync(sum, [1, 2])

    async with creche.create_task_group() as group:
        for _ in range(3):
            group.start_soon(client, name="client")
        victim = group.start_soon(creche.sleep_forever, name="victim")
        await creche.sleep(0.02)
        victim.cancel()


@pytest.fixture
def path(tmp_path: Path, backend: Any) -> Path:
    file = tmp_path / "run.creche"

    async def recorded() -> None:
        with insight.record(file):
            await program()

    backend.run(recorded)
    return file


def by_phase(trace: Json) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for event in trace["traceEvents"]:
        found.setdefault(event["ph"], []).append(event)
    return found


def check(trace: Json) -> None:
    """Hold a trace to the rules of its format."""
    needed = {
        "X": {"name", "cat", "ts", "dur"},
        "M": {"name", "args"},
        "i": {"name", "ts", "s"},
        "b": {"name", "cat", "id", "ts"},
        "e": {"name", "cat", "id", "ts"},
        "s": {"name", "cat", "id", "ts"},
        "f": {"name", "cat", "id", "ts", "bp"},
    }
    for event in trace["traceEvents"]:
        assert {"ph", "pid", "tid"} | needed[event["ph"]] <= event.keys(), event
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        assert event.get("ts", 0) >= 0 and event.get("dur", 0) >= 0
    phases = by_phase(trace)
    check_nesting(phases.get("X", []))
    for begin, end in (("b", "e"), ("s", "f")):
        begun = {(each["cat"], each["id"]): each for each in phases.get(begin, [])}
        ended = {(each["cat"], each["id"]): each for each in phases.get(end, [])}
        assert begun.keys() == ended.keys()
        assert all(begun[key]["name"] == ended[key]["name"] for key in begun)
        assert all(begun[key]["ts"] <= ended[key]["ts"] for key in begun)
    slices = {(each["pid"], each["tid"]) for each in phases.get("X", [])}
    assert {(each["pid"], each["tid"]) for each in phases.get("f", [])} <= slices


def check_nesting(slices: list[Json]) -> None:
    """Slices of one track may be next to each other or inside, but not overlap."""
    tracks: dict[tuple[int, int], list[Json]] = {}
    for event in slices:
        tracks.setdefault((event["pid"], event["tid"]), []).append(event)
    for events in tracks.values():
        events.sort(key=lambda event: (event["ts"], -event["dur"]))
        for one, other in pairwise(events):
            assert one["ts"] + one["dur"] <= other["ts"] + 0.01, (one, other)


def test_a_trace_keeps_the_rules_of_its_format(path: Path) -> None:
    trace = json.loads(json.dumps(trace_of(insight.read_recording(path))))
    check(trace)
    phases = by_phase(trace)
    names = [each["args"]["name"] for each in phases["M"] if each["name"] == "thread_name"]
    assert names.count("client") == 3
    assert {"wake", "cancel"} <= {each["cat"] for each in phases["s"]}
    assert len(phases["b"]) >= 3
    assert [each["name"] for each in phases["X"] if each["pid"] == 2] == ["sum"] * 3
    assert {"running", "waiting: Lock 'till'"} <= {each["name"] for each in phases["X"]}


def test_the_command_writes_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(path), "--perfetto"]) == 0
    written = path.with_name("run.creche.json")
    assert f"wrote {written}" in capsys.readouterr().out
    check(json.loads(written.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not a recording"),
        (b"\x00" * 100, "is not a recording"),
        (b"creche recording 9\n", "is of version '9'"),
        (b"creche recording 1\n", "has no head"),
        (b"creche recording 1\nH\xff\xff\xff\xff", "a block says it has 4294967295 bytes"),
        (b"creche recording 1\nH\x02\x00\x00\x00{}", "is damaged"),
        (b"creche recording 1\nH\x04\x00\x00\x00null", "is damaged"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(
    tmp_path: Path, content: bytes, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.creche"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=complaint):
        insight.read_recording(path)
    assert main(["export", str(path), "--perfetto"]) == 2
    assert complaint in capsys.readouterr().err
    assert not path.with_name("other.creche.json").exists()


def test_a_recording_that_was_cut_off_anywhere_is_read_as_far_as_it_goes(path: Path) -> None:
    data = path.read_bytes()
    whole = insight.read_recording(path)
    for length in range(2000, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:length])
        part = insight.read_recording(path)
        assert len(part.events) <= len(whole.events)


def test_a_recording_is_not_written_over_itself(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = path.read_bytes()
    assert main(["export", str(path), "--perfetto", "--output", str(path)]) == 2
    assert "is the recording itself" in capsys.readouterr().err
    assert path.read_bytes() == before
