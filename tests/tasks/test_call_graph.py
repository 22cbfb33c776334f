"""What the loop's own tools see of groups: names, and who waits for whom (Python 3.14 has them)."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from typing import Any

import pytest

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

    SHOWN = """
import ctypes, creche

async def leaf():
    await creche.sleep_forever()

async def middle():
    async with creche.create_task_group() as tg:
        tg.start_soon(leaf)

async def starts(*, task_status):
    await leaf()

async def calls(group):
    await group.start(starts, name="the pending one")

async def main():
    async with creche.create_task_group() as tg:
        tg.start_soon(leaf, name="the child")
        tg.start_soon(middle)
        tg.start_soon(calls, tg, name="the caller")
        await creche.wait_all_tasks_blocked()
        print("ready", flush=True)

PR_SET_PTRACER, ANY = 0x59616D61, -1
ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANY, 0, 0, 0)  # Where only parents may look into a process.
creche.run(main)
"""
    PARENTS = {
        "the child": "__main__.main",
        "__main__.middle": "__main__.main",
        "__main__.leaf": "__main__.middle",
        "the caller": "__main__.main",
        "the pending one": "the caller",
    }

    @pytest.mark.skipif(sys.platform != "linux", reason="how one may look is Linux's here")
    def test_ps_and_pstree_show_each_task_under_its_parent() -> None:
        program = [sys.executable, "-c", SHOWN]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                table, tree = (tool(name, process.pid) for name in ("ps", "pstree"))
            finally:
                process.kill()
        assert parents_in_table(table) == PARENTS, table
        assert parents_in_tree(tree) == PARENTS, tree

    def tool(name: str, pid: int) -> str:
        command = [sys.executable, "-m", "asyncio", name, str(pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        if "ermission" in done.stderr or "not permitted" in done.stderr:
            pytest.skip("this machine lets nobody look into other processes")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def parents_in_table(table: str) -> dict[str, str]:
        """Read the lines: process, task, name, ..., the name and the task of what waits for it."""
        rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()[2:]]
        names = {row[1]: row[2] for row in rows}
        waiters = {row[2]: row[-1].rpartition(" ")[2] for row in rows}
        return {name: names[waiter] for name, waiter in waiters.items() if waiter in names}

    def parents_in_tree(tree: str) -> dict[str, str]:
        """Read the lines of tasks, `(T)`, by how far they are indented."""
        found: dict[str, str] = {}
        above: list[tuple[int, str]] = []
        for line in tree.splitlines():
            depth, task, name = line.find("(T)"), "(T)" in line, line.partition("(T)")[2].strip()
            if not task:
                continue
            while above and above[-1][0] >= depth:
                above.pop()
            if above:
                found[name] = above[-1][1]
            above.append((depth, name))
        return found
