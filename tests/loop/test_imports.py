"""What running a loop loads: no package that is there for tests, and nothing once a task runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from _harness import Backend

PROGRAM = """
import sys
import creche
from creche import from_thread, to_thread
from creche.from_thread import start_blocking_portal

FOR_TESTS = ("pytest", "_pytest", "hypothesis", "unittest", "doctest")

def loaded():
    return [name for name in sys.modules if name.partition(".")[0] in FOR_TESTS or "testing" in name]

async def main():
    before = {*sys.modules}
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep, 0)
        with creche.move_on_after(1):
            await creche.sleep(0)
        creche.get_running_tasks()
    print([name for name in {*sys.modules} - before if "_kernel" in name])
    await to_thread.run_sync(from_thread.run, creche.sleep, 0)

options = {"use_uvloop": True} if sys.argv[2] == "uvloop" else {}
creche.run(main, backend=sys.argv[1], backend_options=options)
with start_blocking_portal(sys.argv[1], options) as portal:
    portal.call(creche.sleep, 0)
print(loaded())
"""


@pytest.mark.backends("asyncio", "uvloop", "trio")
def test_a_run_loads_no_package_for_tests_and_the_kernel_before_its_first_task(
    backend: Backend,
) -> None:
    command = [sys.executable, "-c", PROGRAM, backend.kernel, backend.name]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert output.splitlines() == ["[]", "[]"]


FIRST_RUN = """
import asyncio, sys
before = {*sys.modules}
import creche

async def main():
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep, 0)
        with creche.fail_after(1):
            await creche.sleep(0)

creche.run(main)
print([name for name in ("pathlib", "importlib.util") if name in {*sys.modules} - before])
"""


def test_the_first_run_loads_no_slow_module_that_it_does_not_need() -> None:
    command = [sys.executable, "-c", FIRST_RUN]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == ("[]\n", "")
