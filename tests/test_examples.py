"""Every example on every backend, its output compared with `examples/expected/`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
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


@pytest.mark.parametrize("name", NAMES)
def test_example_says_what_it_shows_and_ends_with_how_to_run_it(name: str) -> None:
    module = load(name)
    assert module.__doc__
    title = module.__doc__.splitlines()[0]
    assert title.endswith(".")
    assert len(title) <= 72
    last = (FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()[-1]
    assert last == f"    run(main)  # or: creche run examples/{name}.py --backend trio"


def test_every_expected_output_belongs_to_an_example() -> None:
    assert sorted(path.stem for path in (FOLDER / "expected").iterdir()) == NAMES
