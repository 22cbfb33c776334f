"""The snapshot: tasks, waits, holders, scopes and groups, on every backend and from any thread."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import creche
from creche import insight
from creche.testing import run as simulate

# After a change of the dataclasses:
# python -c "import json; from creche import insight; print(json.dumps(insight.schema(), indent=2))"
SCHEMA = Path(__file__).parent.parent.parent / "docs" / "insight-schema.json"


def named(snapshot: insight.Snapshot, name: str) -> insight.Task:
    (task,) = [task for task in snapshot.tasks if task.name == name]
    return task


def loop_of(snapshot: insight.Snapshot) -> insight.Loop:
    (loop,) = [
        loop for loop in snapshot.loops if any(task.state == "running" for task in loop.tasks)
    ]
    return loop


async def holds(lock: creche.Lock) -> None:
    async with lock:
        await creche.sleep_forever()


async def test_a_wait_names_the_object_its_holder_and_the_place() -> None:
    lock = creche.Lock(name="db")
    async with creche.create_task_group() as group:
        group.start_soon(holds, lock, name="first")
        await creche.wait_all_tasks_blocked()
        group.start_soon(holds, lock, name="second")
        await creche.wait_all_tasks_blocked()
        snapshot = insight.snapshot()
        first, second = named(snapshot, "first"), named(snapshot, "second")
        assert second.state == "waiting" and second.kind == "child"
        assert second.wait is not None and second.wait.what == "Lock 'db'"
        assert second.wait.takes == "release()" and second.wait.holders == (first.id,)
        assert second.place is not None and second.place.function == "holds"
        assert second.place.file.endswith("test_snapshot.py")
        (resource,) = [
            resource for loop in snapshot.loops for resource in loop.resources
            if resource.id == second.wait.resource
        ]  # fmt: skip
        assert resource.name == "Lock 'db'" and resource.waiters == (second.id,)
        group.cancel_scope.cancel()


async def test_an_object_without_a_name_goes_by_the_variable_that_holds_it() -> None:
    accounts = creche.Lock()
    async with creche.create_task_group() as group:
        group.start_soon(holds, accounts, name="first")
        await creche.wait_all_tasks_blocked()
        group.start_soon(holds, accounts, name="second")
        await creche.wait_all_tasks_blocked()
        wait = named(insight.snapshot(), "second").wait
        assert wait is not None and wait.what == "Lock 'accounts'"
        group.cancel_scope.cancel()


async def test_the_tree_has_groups_with_their_counts() -> None:
    async def fails() -> None:
        raise ValueError

    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep, 0)
        cancelled = group.start_soon(creche.sleep_forever)
        kept = group.start_soon(creche.sleep_forever, name="kept")
        cancelled.cancel()
        await creche.wait_all_tasks_blocked()
        snapshot = insight.snapshot()
        task = named(snapshot, "kept")
        (found,) = [found for found in loop_of(snapshot).groups if found.id == task.group]
        assert (found.started, found.alive, found.cancelled, found.failed) == (3, 1, 1, 0)
        assert found.finished == 1
        assert found.place is not None and "test_the_tree_has_groups" in found.place.function
        assert task.parent is not None and found.host == task.parent
        kept.cancel()


async def test_scopes_show_deadline_shield_reason_and_place() -> None:
    async def inner() -> None:
        with creche.move_on_after(50), creche.CancelScope(shield=True):
            await creche.sleep_forever()

    async with creche.create_task_group() as group:
        with creche.CancelScope() as scope:
            group.start_soon(inner, name="inner")
            await creche.wait_all_tasks_blocked()
            task = named(insight.snapshot(), "inner")
            shield, deadline, of_group = task.scopes[:3]
            assert shield.shield and shield.deadline_left is None
            assert deadline.deadline_left is not None and 40 < deadline.deadline_left <= 50
            assert deadline.entered is not None and deadline.entered.function.endswith("inner")
            assert of_group.group == of_group.id == task.group
            assert task.state == "waiting"
            group.cancel_scope.cancel("closing time")
            task = named(insight.snapshot(), "inner")
            assert task.state == "shielded"
            assert (task.scopes[2].state, task.scopes[2].reason) == ("cancelled", "closing time")
        assert not scope.cancel_called
        (handle,) = [h for h in creche.get_running_tasks() if h.name == "inner"]
        assert handle.id
        with creche.CancelScope(shield=True):
            _free(task.id)


def _free(number: int) -> None:
    """Cancel a task that a shield keeps from the group's cancel."""
    from creche._insight import numbers
    from creche._kernel import current_kernel

    kernel = current_kernel()
    state: Any = kernel.task_of(numbers.tasks.find(number))
    state.scope.cancel()


async def test_states_of_tasks() -> None:
    async def waits_to_run() -> None:
        pass

    async with creche.create_task_group() as group:
        group.start_soon(waits_to_run, name="ready")
        snapshot = insight.snapshot()
        assert named(snapshot, "ready").state == "ready"
        assert [task.state for task in loop_of(snapshot).tasks].count("running") == 1
        await creche.wait_all_tasks_blocked()
        group.start_soon(creche.sleep_forever, name="sleeper")
        await creche.wait_all_tasks_blocked()
        assert named(insight.snapshot(), "sleeper").state == "waiting"
        group.cancel_scope.cancel()
        assert named(insight.snapshot(), "sleeper").state == "cancelling"


async def test_a_child_of_start_is_starting_until_it_has_started() -> None:
    begun, go_on = creche.Event(), creche.Event()

    async def service(*, task_status: creche.abc.TaskStatus[None]) -> None:
        begun.set()
        await go_on.wait()
        task_status.started()
        await creche.sleep_forever()

    async def opens(group: creche.abc.TaskGroup) -> None:
        await group.start(service, name="service")

    async with creche.create_task_group() as group:
        group.start_soon(opens, group, name="opens")
        await begun.wait()
        await creche.wait_all_tasks_blocked()
        snapshot = insight.snapshot()
        assert named(snapshot, "service").kind == "starting"
        wait = named(snapshot, "opens").wait
        assert wait is not None and wait.what == "started() from service"
        assert wait.tasks == (named(snapshot, "service").id,)
        go_on.set()
        await creche.wait_all_tasks_blocked()
        assert named(insight.snapshot(), "service").kind == "child"
        group.cancel_scope.cancel()


@pytest.mark.backends("asyncio", "asyncio+eager", "uvloop")
async def test_native_tasks_are_shown_and_marked() -> None:
    task = asyncio.create_task(asyncio.sleep(100), name="theirs")
    await asyncio.sleep(0)
    found = named(insight.snapshot(), "theirs")
    assert found.kind == "native" and found.state == "waiting" and found.parent is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_worker_thread_is_shown_with_its_call_and_its_task() -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        go_on.wait()

    async with creche.create_task_group() as group:
        group.start_soon(creche.to_thread.run_sync, slow, name="caller")
        while not started.is_set():
            await creche.sleep(0.001)
        snapshot = insight.snapshot()
        (worker,) = [worker for worker in snapshot.workers if str(worker.call).endswith("slow")]
        assert worker.task == named(snapshot, "caller").id and worker.since is not None
        go_on.set()


async def test_another_thread_sees_the_same_while_the_loop_is_blocked() -> None:
    lock = creche.Lock(name="db")
    seen: list[insight.Snapshot] = []

    def look() -> None:
        seen.append(insight.snapshot(stacks=True))

    async def blocks() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    async with creche.create_task_group() as group:
        group.start_soon(holds, lock, name="first")
        await creche.wait_all_tasks_blocked()
        group.start_soon(holds, lock, name="second")
        await creche.wait_all_tasks_blocked()
        group.start_soon(blocks, name="blocker")
        await creche.wait_all_tasks_blocked()
        (snapshot,) = seen
        wait = named(snapshot, "second").wait
        assert wait is not None and wait.what == "Lock 'db'"
        blocker = named(snapshot, "blocker")
        assert blocker.state == "running"
        assert blocker.stack[0].function.endswith("blocks")
        group.cancel_scope.cancel()


def test_the_schema_in_the_documentation_is_that_of_the_dataclasses() -> None:
    written = json.loads(SCHEMA.read_text())
    assert written == insight.schema(), "write it anew: see this file"


async def test_json_round_trip_and_schema() -> None:
    snapshot = insight.snapshot(stacks=True)
    text = snapshot.to_json()
    assert insight.Snapshot.from_json(text) == snapshot
    assert json.loads(snapshot.to_json(indent=2)) == json.loads(text)
    snapshot.argv = ("schlüssel", 'a "quoted" \\ name', "\x00\n\u2028", "\udcff")
    assert insight.Snapshot.from_json(snapshot.to_json()) == snapshot
    snapshot = insight.Snapshot.from_json(text)
    _check(json.loads(text), insight.schema(), insight.schema()["$defs"])
    with pytest.raises(ValueError, match="no snapshot of version 1, but of 99"):
        insight.Snapshot.from_json(text.replace('"version": 1', '"version": 99', 1))


def _check(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Hold a value to a schema, as far as ours go."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if value is not None:
            _check(value, schema["anyOf"][0], definitions)
        return
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool,
             "array": list, "object": dict}  # fmt: skip
    assert isinstance(value, kinds[schema["type"]]), (value, schema)
    if schema["type"] == "array":
        for item in value:
            _check(item, schema["items"], definitions)
    if schema["type"] == "object":
        assert set(value) == set(schema["required"])
        for name, part in schema["properties"].items():
            _check(value[name], part, definitions)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_simulated_run_can_be_looked_at(loop: str) -> None:
    async def main() -> None:
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep, 1000, name="sleeper")
            await creche.sleep(1)
            snapshot = insight.snapshot()
            assert loop_of(snapshot).simulated
            assert named(snapshot, "sleeper").state == "waiting"
            group.cancel_scope.cancel()

    simulate(main, backend=loop)


def test_two_loops_in_two_threads_are_both_shown() -> None:
    ready, stop = threading.Barrier(3), threading.Event()

    async def main(name: str) -> None:
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep_forever, name=name)
            await creche.wait_all_tasks_blocked()
            await creche.to_thread.run_sync(ready.wait)
            while not stop.is_set():
                await creche.sleep(0.001)
            group.cancel_scope.cancel()

    threads = [
        threading.Thread(target=lambda b=b: creche.run(main, f"on-{b}", backend=b), name=f"t-{b}")
        for b in ("asyncio", "trio")
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    try:
        snapshot = insight.snapshot()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {loop.thread for loop in snapshot.loops} >= {"t-asyncio", "t-trio"}
    assert named(snapshot, "on-asyncio").state == named(snapshot, "on-trio").state == "waiting"


async def test_numbers_of_tasks_are_never_given_twice() -> None:
    async with creche.create_task_group() as group:
        first = group.start_soon(creche.sleep_forever, name="first")
        await creche.wait_all_tasks_blocked()
        number = named(insight.snapshot(), "first").id
        assert named(insight.snapshot(), "first").id == number
        first.cancel()
        await first.wait()
        del first
        group.start_soon(creche.sleep_forever, name="second")
        await creche.wait_all_tasks_blocked()
        assert named(insight.snapshot(), "second").id > number
        group.cancel_scope.cancel()


async def test_a_snapshot_waits_for_nothing_and_is_quick() -> None:
    async with creche.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(creche.sleep_forever)
        await creche.wait_all_tasks_blocked()
        began = time.thread_time()
        snapshot = insight.snapshot()
        assert time.thread_time() - began < 1  # 20 ms; quadratic work would take many seconds
        assert len(loop_of(snapshot).tasks) > 1000
        group.cancel_scope.cancel()
