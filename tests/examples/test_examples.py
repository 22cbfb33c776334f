"""Every example on every backend, its output compared with `examples/expected/`.

`examples/connection_pool` is for pytest: its output is compared with what is kept beside it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from itertools import dropwhile, takewhile
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected(name: str) -> str:
    return (FOLDER / "expected" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
async def test_example_prints_what_is_expected(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await load(name).main()
    assert capsys.readouterr().out == expected(name)


@pytest.mark.parametrize("name", NAMES)
def test_example_runs_as_a_file(name: str) -> None:
    command = [sys.executable, "-W", "error", str(FOLDER / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == (expected(name), "", 0)


@pytest.mark.parametrize("bar", ["rich", "tqdm"])
def test_the_crawler_shows_a_bar_of_either_package(bar: str) -> None:
    command = [sys.executable, "-W", "error", str(FOLDER / "crawler.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "BAR": bar}
    )
    assert (done.stdout, done.returncode) == (expected("crawler"), 0)
    assert "crawling" in done.stderr
    assert "100%" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_example_says_what_it_shows_and_ends_with_how_to_run_it(name: str) -> None:
    module = load(name)
    assert module.__doc__
    title = module.__doc__.splitlines()[0]
    assert title.endswith(".")
    assert len(title) <= 72
    last = (FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()[-1]
    assert last == f"    run(main)  # or: creche run --backend trio examples/{name}.py"


def test_every_expected_output_belongs_to_an_example() -> None:
    assert sorted(path.stem for path in (FOLDER / "expected").iterdir()) == NAMES


POOL = FOLDER / "connection_pool"


def told_by_pytest(tmp_path: Path, name: str) -> list[str]:
    """Run a file of tests as a user would, and return what pytest says, but for its frames."""
    shutil.copytree(POOL, tmp_path, dirs_exist_ok=True)
    options = ["-q", "--color=no", "-p", "no:cacheprovider", "-c", "pytest.ini", "--rootdir=."]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, name],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    *lines, last = done.stdout.splitlines()
    begun = dropwhile(lambda line: not line.startswith("E "), lines)
    told = takewhile(lambda line: line.startswith(("E ", "    ")), begun)
    return [*(line[4:].rstrip() for line in told), last.partition(" in ")[0]]


def test_pytest_catches_the_bug_in_the_pool(tmp_path: Path) -> None:
    expected = (POOL / "expected.txt").read_text().splitlines()
    assert told_by_pytest(tmp_path, "test_buggy.py") == expected


def test_the_pool_without_the_bug_passes(tmp_path: Path) -> None:
    assert told_by_pytest(tmp_path, "test_fixed.py") == ["2 passed"]
