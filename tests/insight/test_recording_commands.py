"""`creche run --record` and `CRECHE_INSIGHT=record:FILE`: recordings of programs that know nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from creche import insight

PROGRAM = """
import sys

import creche


async def child():
    await creche.sleep(0.001)
    if "fail" in sys.argv:
        raise ValueError("no such thing")


async def main():
    async with creche.create_task_group() as group:
        group.start_soon(child, name="child")


if __name__ == "__main__":
    creche.run(main)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def python(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def outcomes(path: Path) -> dict[str, str]:
    return {task.name: task.outcome for task in insight.read_recording(path).tasks.values()}


needs_steps = pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no steps")


@needs_steps
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_creche_run_records(script: Path, loop: str) -> None:
    path = script.with_name("run.creche")
    result = python("-m", "creche", "run", "--backend", loop, "--record", path, script)
    assert result.returncode == 0, result.stderr
    assert outcomes(path)["child"] == "returned"
    assert outcomes(path)["main"] == "returned"


@needs_steps
def test_the_environment_has_any_program_recorded(script: Path) -> None:
    path = script.with_name("run.creche")
    result = python(script, CRECHE_INSIGHT=f"record:{path}")
    assert result.returncode == 0, result.stderr
    assert outcomes(path)["child"] == "returned"


@needs_steps
def test_the_environment_has_an_error_written_that_ends_the_program(script: Path) -> None:
    path = script.with_name("crash.creche")
    assert python(script, CRECHE_INSIGHT=f"flight:{path}").returncode == 0
    assert not path.exists()
    result = python(script, "fail", CRECHE_INSIGHT=f"flight:{path}")
    assert result.returncode == 1
    assert "no such thing" in result.stderr
    assert outcomes(path)["child"] == "failed ValueError: no such thing"
    assert insight.read_recording(path).why.startswith("ExceptionGroup")


def test_a_file_that_cannot_be_written_is_told_before_the_program_runs(script: Path) -> None:
    path = script.with_name("missing") / "run.creche"
    result = python("-m", "creche", "run", "--record", path, script)
    assert result.returncode == 2
    assert f"creche: --record {path}: " in result.stderr
    result = python(script, CRECHE_INSIGHT=f"record:{path}")
    assert result.returncode == 0
    assert f"creche: CRECHE_INSIGHT=record:{path} has no effect" in result.stderr
