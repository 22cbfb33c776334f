"""What the loop's own tools see of groups: names, and who waits for whom (Python 3.14 has them)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from _harness import on_asyncio
from creche import create_task_group, sleep_forever, wait_all_tasks_blocked
from creche.abc import TaskGroup, TaskStatus

STAND_INS = """
import asyncio, collections, sys
graph = collections.defaultdict(list)
if not hasattr(asyncio, "future_add_to_awaited_by"):
    # The tools are not there: what they would be told goes into the dictionary.
    asyncio.future_add_to_awaited_by = lambda child, waiter: graph[child].append(waiter)
    asyncio.future_discard_from_awaited_by = lambda child, waiter: graph[child].remove(waiter)
    waiters = lambda task: graph[task]
else:
    waiters = lambda task: list(task._asyncio_awaited_by or ())

import creche

async def child(tasks):
    tasks.append(asyncio.current_task())
    await creche.sleep_forever()

async def starts(tasks, log, *, task_status):
    tasks.append(asyncio.current_task())
    log.append(waiters(tasks[-1])[:])
    task_status.started()
    log.append(waiters(tasks[-1])[:])
    await creche.sleep_forever()

async def calls(group, tasks, log):
    log.append(asyncio.current_task())
    await group.start(starts, tasks, log)

async def main():
    tasks, log, me = [], [], asyncio.current_task()
    async with creche.create_task_group() as tg:
        tg.start_soon(child, tasks)
        tg.start_soon(child, tasks, name="given")
        await creche.wait_all_tasks_blocked()
        names = [asyncio.Task.get_name(task) for task in tasks]
        native = [super(type(task), task).get_name() for task in tasks]
        assert names == native == ["__main__.child", "given"], (names, native)
        assert [waiters(task) for task in tasks] == [[me], [me]]
        tg.start_soon(calls, tg, tasks, log)
        await creche.wait_all_tasks_blocked()
        caller, before, after = log
        assert (before, after) == ([caller], [me]), log
        tg.cancel_scope.cancel()

creche.run(main)
print("done")
"""


def test_the_loops_tools_are_told_of_names_and_waiters() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STAND_INS], capture_output=True, text=True, timeout=50
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


if sys.version_info >= (3, 14):

    @on_asyncio
    async def test_the_call_graph_shows_a_child_under_its_host() -> None:
        natives: list[asyncio.Task[Any]] = []

        async def child() -> None:
            natives.append(asyncio.current_task())  # type: ignore[arg-type]
            await sleep_forever()

        async def starts(*, task_status: TaskStatus[None]) -> None:
            await child()

        async def calls(group: TaskGroup) -> None:
            await group.start(starts)

        async with create_task_group() as group:
            group.start_soon(child, name="the child")
            await wait_all_tasks_blocked()
            group.start_soon(calls, group, name="the caller")
            await wait_all_tasks_blocked()
            graphs = [asyncio.capture_call_graph(native) for native in natives]
            group.cancel_scope.cancel()
        waiters = [[waiter.future for waiter in graph.awaited_by] for graph in graphs if graph]
        assert waiters[0] == [asyncio.current_task()]
        assert [task.get_name() for task in waiters[1]] == ["the caller"]  # type: ignore[attr-defined]
