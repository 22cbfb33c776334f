"""Programs that are off, in a debugger, or watched because they were started so: each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from creche._insight.ask import connect

LOOPS = ["asyncio", "uvloop", "trio"]
on_each_loop = pytest.mark.parametrize("loop", LOOPS)
HEAD = """
import sys
import creche

def run(main):
    options = {"use_uvloop": True} if sys.argv[1] == "uvloop" else {}
    backend = "trio" if sys.argv[1] == "trio" else "asyncio"
    creche.run(main, backend=backend, backend_options=options)
"""


@contextmanager
def running(program: str, loop: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HEAD + program, loop],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


OFF = """
async def main():
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep, 0)
        lock = creche.Lock()
        async with lock:
            pass
        with creche.move_on_after(1):
            await creche.to_thread.run_sync(int)

run(main)
wanted = ("_insight", "insight", "_introspection", "rich", "starlette", "uvicorn", "json")
print([name for name in sys.modules if set(name.split(".")) & set(wanted)])
print(sys.monitoring.get_tool(4) if sys.version_info >= (3, 12) else None)
"""


@on_each_loop
def test_a_program_that_does_not_ask_for_it_has_nothing_of_it(loop: str) -> None:
    with running(OFF, loop) as process:
        out, err = process.communicate(timeout=50)
    assert err == ""
    modules, tool = out.splitlines()
    assert tool == "None" and "_insight" not in modules and "rich" not in modules, modules


DEBUGGED = """
from creche import insight

async def is_looked_into():
    print("ready", flush=True)
    breakpoint()

async def main():
    insight.serve()
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep_forever, name="sleeper")
        await creche.wait_all_tasks_blocked()
        group.start_soon(is_looked_into, name="debugged")

run(main)
"""


@on_each_loop
@pytest.mark.skipif(sys.platform == "win32", reason="there are no UNIX sockets")
def test_a_loop_that_stands_in_a_debugger_can_be_looked_at(
    loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with running(DEBUGGED, loop) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with connect(process.pid) as target:
            snapshot = target.snapshot()
            while "debugger" not in [each.state for each in snapshot.loops]:
                snapshot = target.snapshot()  # It is about to stop there.
        named = {task.name: task for task in snapshot.tasks}
        assert named["debugged"].state == "running" and named["sleeper"].state == "waiting"


BLOCKED = """
import os, time

async def digs():
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.01)

async def main():
    async with creche.create_task_group() as group:
        group.start_soon(digs, name="digger")
"""


@pytest.mark.parametrize("flags", [["--uvloop"], []], ids=["uvloop", "asyncio"])
def test_a_debug_run_watches_its_loop(tmp_path: Path, flags: list[str]) -> None:
    script, over = tmp_path / "program.py", tmp_path / "over"
    script.write_text("import sys\nimport creche\n" + BLOCKED)
    command = [sys.executable, "-m", "creche", "run", "--debug", *flags, str(script), str(over)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = ""
        while "task 'digger' has blocked its event loop" not in told:
            told = process.stderr.readline()
            assert told
        over.touch()
        rest = process.stderr.read()
        assert process.wait() == 0
    assert "in digs" in rest and "task 'digger' blocked its event loop for" in rest
