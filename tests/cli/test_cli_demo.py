"""`creche demo`: what it shows, when it fails, and in which colours."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from creche._cli import main
from creche._cli.screen import wants_colour
from creche._registry import variants

EXAMPLES = Path(__file__).parents[2] / "examples"
BACKENDS = [loop.name for loop in variants()]


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `creche` as a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "creche", *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONIOENCODING": "utf-8", **variables},
        timeout=120,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    """Returns a function that puts a copy of one example into a folder, and returns the folder."""

    def copy(name: str) -> Path:
        (tmp_path / "expected").mkdir()
        shutil.copy(EXAMPLES / f"{name}.py", tmp_path)
        shutil.copy(EXAMPLES / "expected" / f"{name}.txt", tmp_path / "expected")
        return tmp_path

    return copy


def test_demo_shows_every_example_on_every_backend_and_exits_0() -> None:
    done = command("demo")
    assert done.returncode == 0, done.stdout
    for path in EXAMPLES.glob("*.py"):
        assert path.name in done.stdout
        for line in (EXAMPLES / "expected" / f"{path.stem}.txt").read_text().splitlines():
            assert f"│ {line}".rstrip() + "\n" in done.stdout
    number = len(list(EXAMPLES.glob("*.py")))
    for backend in BACKENDS:
        assert done.stdout.count(f"✓ {backend:<7} ") == number
    assert f"✓ {len(BACKENDS) * number} runs in " in done.stdout
    assert "✗" not in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_demo_is_coloured_on_request() -> None:
    done = command("demo", "tasks", "--backend", "asyncio", FORCE_COLOR="1")
    assert done.returncode == 0
    assert "\x1b[32m✓\x1b[0m" in done.stdout


def test_demo_is_plain_where_the_terminal_cannot_show_the_marks() -> None:
    done = command("demo", "tasks", "--backend", "asyncio", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\n  + asyncio" in done.stdout


def test_demo_runs_only_what_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "context.py", "tasks", "--backend", "trio"]) == 0
    out = capsys.readouterr().out
    assert out.count("trio   ") == 2
    assert "asyncio   " not in out


def test_demo_fails_when_an_output_is_not_the_expected_one(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("tasks")
    expected = folder / "expected" / "tasks.txt"
    expected.write_text(expected.read_text().replace("page 3", "page three"))
    assert main(["demo", "--folder", str(folder)]) == 1
    out = capsys.readouterr().out
    for backend in BACKENDS:
        assert f"its output on {backend} is not the expected one" in out
    assert "-page three was loaded" in out
    assert "+page 3 was loaded" in out
    assert "3 runs failed" in out


def test_demo_fails_when_an_example_raises_and_shows_where(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("tasks")
    script = folder / "tasks.py"
    script.write_text(script.read_text().replace("for handle in handles:", "1 / 0\n    if 0:"))
    assert main(["demo", "--folder", str(folder), "--backend", "asyncio"]) == 1
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().out


def test_demo_fails_when_one_backend_prints_something_else(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("tasks")
    (folder / "tasks.py").write_text(
        "import creche\n"
        "async def main():\n"
        "    print(creche.get_cancelled_exc_class().__module__.partition('.')[0])\n"
    )
    (folder / "expected" / "tasks.txt").write_text("asyncio\n")
    assert main(["demo", "--folder", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "│ asyncio\n" in out
    assert "its output on trio is not the expected one" in out
    assert "on uvloop it did not" not in out


def test_demo_leaves_out_what_needs_a_missing_package_and_says_which(
    copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("tasks")
    (folder / "more.py").write_text("import package_that_nobody_has\n")
    (folder / "expected" / "more.txt").write_text("")
    assert main(["demo", "--folder", str(folder), "--backend", "asyncio"]) == 0
    out = capsys.readouterr().out
    assert "left out: it needs package_that_nobody_has; pip install" in out
    assert "1 program left out" in out


@pytest.mark.parametrize(
    ("variables", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colour_follows_the_variables_then_the_terminal(
    variables: dict[str, str], terminal: bool, coloured: bool
) -> None:
    class File(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    assert wants_colour(File(), variables) is coloured
