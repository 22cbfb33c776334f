"""Creche in a browser's Python: Pyodide, CPython in WebAssembly, run by Node.js.

Node.js and its package manager have to be here; Pyodide is fetched once, into `.cache/clients`.
"""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest
from fetch_pyodide import SUSPENDING, fetch_pyodide, find_node

HERE = Path(__file__).parent / "page"
ROOT = Path(__file__).resolve().parents[2]

SYNCHRONOUS = """
import creche

async def main():
    pass

try:
    creche.run(main)
except RuntimeError as exc:
    assert "await main()" in str(exc), exc
else:
    raise AssertionError("nothing can be suspended here")
print("all of it")
"""


@pytest.fixture(scope="module")
def pyodide() -> Path:
    return fetch_pyodide()


def run(pyodide: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    idna = importlib.util.find_spec("idna")
    assert idna is not None and idna.origin is not None
    folders = [str(Path(idna.origin).parents[1]), str(ROOT / "src")]
    return subprocess.run(
        [find_node(), *options, str(HERE / "run.mjs"), str(pyodide), str(file), *folders],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["loop", "without", "runs", "instrument"])
def test_in_a_page(pyodide: Path, name: str) -> None:
    result = run(pyodide, HERE / f"{name}.py", SUSPENDING)
    assert (result.stdout, result.returncode) == ("all of it\n", 0), result.stderr


def test_run_says_what_to_write_where_nothing_can_be_suspended(
    pyodide: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(SYNCHRONOUS)
    result = run(pyodide, program)  # Node.js without JavaScript Promise Integration
    assert (result.stdout, result.returncode) == ("all of it\n", 0), result.stderr
