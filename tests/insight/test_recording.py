"""What `record` writes is what `read_recording` reads: on every loop, in one process and another."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import creche
from creche import insight
from creche._insight.lanes import Lane
from creche.insight import Event, Recording

monitoring: Any = getattr(sys, "monitoring", None)
pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="steps are seen through sys.monitoring: see the last tests"
)


async def recorded(path: Path, work: Callable[[], Awaitable[None]]) -> Recording:
    """Record what an async function does."""
    with insight.record(path):
        await work()
    return insight.read_recording(path)


def of(recording: Recording, kind: str, name: str | None = None) -> list[Event]:
    """Return the events of one kind, of the tasks with a name."""
    tasks = recording.tasks
    return [
        event for event in recording.events
        if event.kind == kind
        and (name is None or (event.task is not None and tasks[event.task].name == name))
    ]  # fmt: skip


async def test_a_task_is_recorded_from_its_begin_to_its_end(tmp_path: Path) -> None:
    async def child() -> None:
        await creche.sleep(0.001)

    async def work() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(child, name="child")

    recording = await recorded(tmp_path / "run.creche", work)
    (task,) = [task for task in recording.tasks.values() if task.name == "child"]
    assert task.began is not None and task.ended is not None
    assert task.ended - task.began >= 0.001
    assert task.outcome == "returned"
    first, last = of(recording, "step", "child")
    assert first.text == "sleep()" and last.text == ""
    assert first.until is not None and task.began <= first.until <= last.time
    states = [(span.state, span.text) for span in recording.spans()[task.id]]
    assert states == [("running", ""), ("waiting", "sleep()"), ("running", "")]


async def test_a_wake_says_who_has_woken_whom_and_out_of_what(tmp_path: Path) -> None:
    lock, enough = creche.Lock(name="till"), creche.Event()

    async def holder() -> None:
        async with lock:
            await enough.wait()

    async def waiter() -> None:
        async with lock:
            pass

    async def work() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(holder, name="holder")
            await creche.wait_all_tasks_blocked()
            group.start_soon(waiter, name="waiter")
            await creche.wait_all_tasks_blocked()
            enough.set()

    recording = await recorded(tmp_path / "run.creche", work)
    (wake,) = of(recording, "wake", "waiter")
    assert wake.by is not None and recording.tasks[wake.by].name == "holder"
    waits = [event.text for event in of(recording, "step", "waiter")]
    assert "Lock 'till'" in waits


async def test_a_failed_task_and_the_one_it_cancels_say_how_they_ended(tmp_path: Path) -> None:
    async def fails() -> None:
        raise ValueError("no such customer")

    async def work() -> None:
        try:
            async with creche.create_task_group() as group:
                group.start_soon(creche.sleep_forever, name="sleeper")
                await creche.wait_all_tasks_blocked()
                group.start_soon(fails, name="fails")
        except* ValueError:
            pass

    recording = await recorded(tmp_path / "run.creche", work)
    outcomes = {task.name: task.outcome for task in recording.tasks.values()}
    assert outcomes["fails"] == "failed ValueError: no such customer"
    assert outcomes["sleeper"] == "cancelled"
    (cancel,) = [event for event in of(recording, "cancel") if "no such customer" in event.text]
    assert cancel.by is not None and recording.tasks[cancel.by].name == "fails"


async def test_scopes_are_entered_left_cancelled_and_run_out(tmp_path: Path) -> None:
    async def late() -> None:
        with creche.move_on_after(0.01):
            await creche.sleep_forever()

    async def stopped() -> None:
        with creche.CancelScope() as scope:
            scope.cancel("enough")
            await creche.sleep(1)
        await creche.sleep(0.001)

    async def work() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(late, name="late")
            group.start_soon(stopped, name="stopped")

    recording = await recorded(tmp_path / "run.creche", work)
    (deadline,) = of(recording, "deadline")
    assert "test_recording.py" in deadline.text
    (entered,) = of(recording, "enter", "late")
    assert entered.subject == deadline.subject
    assert "test_recording.py:" in entered.text
    (cancel,) = [event for event in of(recording, "cancel") if event.text == "enough"]
    assert cancel.by is not None and recording.tasks[cancel.by].name == "stopped"
    (left,) = of(recording, "leave", "stopped")
    assert left.subject == cancel.subject and left.time >= cancel.time


async def test_one_task_that_is_cancelled_alone_is_named(tmp_path: Path) -> None:
    async def work() -> None:
        async with creche.create_task_group() as group:
            handle = group.start_soon(creche.sleep_forever, name="victim")
            await creche.wait_all_tasks_blocked()
            handle.cancel()

    recording = await recorded(tmp_path / "run.creche", work)
    (cancel,) = of(recording, "cancel", "victim")
    assert "cancelling" in [
        span.state for task, spans in recording.spans().items() for span in spans
        if task == cancel.task
    ]  # fmt: skip


async def test_a_call_in_a_thread_has_its_function_its_time_and_its_task(tmp_path: Path) -> None:
    def looks_up() -> None:
        pass

    async def asks() -> None:
        await creche.to_thread.run_sync(looks_up)

    async def work() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(asks, name="asks")

    recording = await recorded(tmp_path / "run.creche", work)
    (call,) = of(recording, "call", "asks")
    assert call.text.endswith("looks_up")
    assert call.until is not None and call.until >= call.time


async def test_the_tasks_of_snapshots_have_the_same_numbers(tmp_path: Path) -> None:
    async def work() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep, 0.001, name="early")
            await creche.sleep(0.001)
            group.start_soon(creche.sleep_forever, name="stays")
            await creche.wait_all_tasks_blocked()
            known.update((task.name, task.id) for task in recorder.snapshot().tasks)
            group.cancel_scope.cancel()

    known: dict[str, int] = {}
    with insight.record(tmp_path / "run.creche") as recorder:
        await work()
    recording = insight.read_recording(tmp_path / "run.creche")
    assert recording.tasks[known["stays"]].name == "stays"
    seen = [{task.id for task in moment.snapshot.tasks} for moment in recording.snapshots]
    assert [numbers for numbers in seen if known["stays"] in numbers]


async def test_a_note_of_the_program_is_in_it(tmp_path: Path) -> None:
    with insight.record(tmp_path / "run.creche") as recorder:
        recorder.mark("the till is open")
        await creche.sleep(0)
    recording = insight.read_recording(tmp_path / "run.creche")
    assert [event.text for event in of(recording, "mark")] == ["the till is open"]


def test_two_loops_in_two_threads_keep_their_steps_apart(tmp_path: Path) -> None:
    meeting = threading.Barrier(2)

    async def child(name: str) -> None:
        for _ in range(50):
            await creche.sleep(0)
        await creche.sleep(0.001)

    def loop(backend: str) -> None:
        async def main() -> None:
            meeting.wait(20)
            async with creche.create_task_group() as group:
                group.start_soon(child, backend, name=backend)

        creche.run(main, backend=backend)

    with insight.record(tmp_path / "run.creche"):
        threads = [threading.Thread(target=loop, args=(name,)) for name in ("asyncio", "trio")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    recording = insight.read_recording(tmp_path / "run.creche")
    for name in ("asyncio", "trio"):
        steps = of(recording, "step", name)
        assert len(steps) == 52
        assert len({event.lane for event in steps}) == 1
        assert [event.text for event in steps] == [*[""] * 50, "sleep()", ""]
    lanes = {of(recording, "step", name)[0].lane for name in ("asyncio", "trio")}
    assert len(lanes) == 2


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_way_of_a_call_to_a_lane_may_change_while_it_is_on_its_way(
    depth: int,
) -> None:
    """A second loop that begins changes by how many frames a lane is called."""
    lane = Lane.__new__(Lane)
    lane.depth = depth

    def called() -> FrameType:
        return lane._frame_of(here.f_code, 1)

    here = sys._getframe()
    assert called() is here


async def test_nothing_is_watched_any_more_when_the_recording_has_ended(tmp_path: Path) -> None:
    with insight.record(tmp_path / "run.creche"):
        tools = [monitoring.get_tool(tool) for tool in range(6)]
        assert "creche insight" in tools
    assert "creche insight" not in [monitoring.get_tool(tool) for tool in range(6)]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("creche rec")]


async def test_two_recordings_at_a_time_see_the_same(tmp_path: Path) -> None:
    async def work() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep, 0, name="child")

    with insight.record(tmp_path / "outer.creche"):
        with insight.record(tmp_path / "inner.creche"):
            await work()
        await work()
    assert len(of(insight.read_recording(tmp_path / "inner.creche"), "end", "child")) == 1
    assert len(of(insight.read_recording(tmp_path / "outer.creche"), "end", "child")) == 2


# Flight recorders


async def test_a_flight_recorder_keeps_the_newest_of_a_long_run(tmp_path: Path) -> None:
    async def work() -> None:
        async with creche.create_task_group() as group:
            for _ in range(3000):
                group.start_soon(creche.sleep, 0)
            recorder.snapshot()  # What was written so far is handed on.
            for _ in range(3000):
                group.start_soon(creche.sleep, 0)
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep, 0, name="newest")

    with insight.flight_recorder(size=65536) as recorder:
        await work()
        recorder.dump(tmp_path / "flight.creche")
    recording = insight.read_recording(tmp_path / "flight.creche")
    assert recording.lost > 0
    assert of(recording, "end", "newest")
    assert recording.why == ""
    assert [path.name for path in tmp_path.iterdir()] == ["flight.creche"]


async def test_an_error_that_leaves_the_block_is_written_with_what_came_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "flight.creche"
    with pytest.raises(KeyError), insight.flight_recorder(path):
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep, 0, name="child")
        raise KeyError("what")
    recording = insight.read_recording(path)
    assert recording.why == "KeyError: 'what'"
    assert of(recording, "end", "child")


async def test_a_flight_recorder_writes_nothing_if_nothing_is_wrong(tmp_path: Path) -> None:
    with insight.flight_recorder(tmp_path / "flight.creche"):
        await creche.sleep(0)
    assert not list(tmp_path.iterdir())


async def test_a_deadlock_is_written_while_it_lasts(tmp_path: Path) -> None:
    path = tmp_path / "flight.creche"
    one, other = creche.Lock(name="one"), creche.Lock(name="other")

    async def takes(first: creche.Lock, second: creche.Lock) -> None:
        async with first:
            await creche.wait_all_tasks_blocked()
            async with second:
                pass

    with insight.flight_recorder(path):
        async with creche.create_task_group() as group:
            group.start_soon(takes, one, other, name="forth")
            group.start_soon(takes, other, one, name="back")
            while not path.exists():
                await creche.sleep(0.02)
            group.cancel_scope.cancel()
    assert insight.read_recording(path).why == "deadlock of back, forth"


async def test_a_blocked_loop_is_written_while_it_is_blocked(tmp_path: Path) -> None:
    path = tmp_path / "flight.creche"

    async def digs() -> None:
        while not path.exists():
            time.sleep(0.01)  # it blocks the loop

    with insight.watch_loop(0.2), insight.flight_recorder(path):
        async with creche.create_task_group() as group:
            group.start_soon(digs, name="digger")
    assert insight.read_recording(path).why.endswith(" is blocked")


# What goes wrong


async def test_dump_is_for_flight_recorders(tmp_path: Path) -> None:
    with (
        insight.record(tmp_path / "run.creche") as recorder,
        pytest.raises(TypeError, match="dump\\(\\) is for flight recorders"),
    ):
        recorder.dump(tmp_path / "other.creche")


async def test_a_file_that_cannot_be_written_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        insight.record(tmp_path / "missing" / "run.creche")
    assert "creche insight" not in [monitoring.get_tool(tool) for tool in range(6)]


def test_a_ring_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 65536 bytes, not 3"):
        insight.flight_recorder(size=3)


async def test_no_place_for_a_tool_is_said(tmp_path: Path) -> None:
    taken = [tool for tool in range(6) if monitoring.get_tool(tool) is None]
    for tool in taken:
        monitoring.use_tool_id(tool, "other")
    try:
        with pytest.raises(RuntimeError, match="have taken all places"):
            insight.record(tmp_path / "run.creche")
    finally:
        for tool in taken:
            monitoring.free_tool_id(tool)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_records_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.creche"
    with insight.record(path):
        before = path.stat().st_size
        child = os.fork()
        if child == 0:
            watched = "creche insight" in [monitoring.get_tool(tool) for tool in range(6)]
            os._exit(1 if watched else 0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert path.stat().st_size >= before
    assert insight.read_recording(path).pid == os.getpid()


async def test_a_cancel_reaches_the_tasks_of_inner_groups_and_a_shield_keeps_it_out(
    tmp_path: Path,
) -> None:
    released = creche.Event()

    async def tidies_up() -> None:
        with creche.CancelScope(shield=True):
            await released.wait()

    async def inner() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep_forever, name="grandchild")
            group.start_soon(tidies_up, name="tidy")

    async def work() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(inner, name="inner")
            group.start_soon(creche.sleep, 60, name="bystander")
            await creche.wait_all_tasks_blocked()
            with creche.CancelScope() as scope:
                async with creche.create_task_group() as cancelled:
                    cancelled.start_soon(inner, name="cancelled")
                    await creche.wait_all_tasks_blocked()
                    scope.cancel("enough")
                    released.set()
            group.cancel_scope.cancel()

    recording = await recorded(tmp_path / "run.creche", work)
    (cancel,) = [event for event in of(recording, "cancel") if event.text == "enough"]
    states: dict[str, set[str]] = {}
    for number, spans in recording.spans().items():
        for span in spans:
            if span.begin == cancel.time:
                states.setdefault(recording.tasks[number].name, set()).add(span.state)
    assert states == {
        "cancelled": {"cancelling"},
        "grandchild": {"cancelling"},
        "tidy": {"shielded"},
    }
