"""Creche in a browser's Python: Pyodide, CPython in WebAssembly, run by Node.js.

Node.js and its package manager have to be here; Pyodide is fetched once, into `.cache/clients`.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from suites import CACHE

HERE = Path(__file__).parent / "page"
ROOT = Path(__file__).resolve().parents[2]
VERSION = "314.0.7"
PYODIDE = CACHE / f"pyodide-{VERSION}" / "node_modules" / "pyodide"

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
    if not (PYODIDE / "pyodide.mjs").exists():
        folder = PYODIDE.parents[1]
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
        subprocess.run([*command, str(folder), f"pyodide@{VERSION}"], check=True, timeout=300)
    return PYODIDE


def run(pyodide: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    assert node is not None, "install Node.js: this runs Python in WebAssembly"
    idna = importlib.util.find_spec("idna")
    assert idna is not None and idna.origin is not None
    folders = [str(Path(idna.origin).parents[1]), str(ROOT / "src")]
    return subprocess.run(
        [node, *options, str(HERE / "run.mjs"), str(pyodide), str(file), *folders],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


SUSPENDING = "--experimental-wasm-stack-switching"


@pytest.mark.parametrize("name", ["loop", "without", "runs"])
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
