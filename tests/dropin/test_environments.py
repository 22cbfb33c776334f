"""Which processes run on Creche: by the environment that they have, and by where Creche is installed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from _dropin_pythons import Python

PROGRAM = """
    import os, sys
    import creche.as_anyio
    import anyio
    which = "import sys; sys.path.append(sys.argv[1]); import anyio; print(anyio.__name__)"
    async def main():
        for environment in ({}, {"CRECHE_AS_ANYIO": "1"}, None):
            command = [sys.executable, "-c", which, sys.argv[1]]
            done = await anyio.run_process(command, env=environment)
            print(done.stdout.decode().strip())
    anyio.run(main)
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A folder with something that is AnyIO by its name."""
    (tmp_path / "anyio.py").touch()
    return tmp_path


def test_a_child_with_an_environment_of_its_own_has_what_is_in_that(
    python: Python, fake: Path
) -> None:
    assert python.run(PROGRAM, str(fake)).split() == ["anyio", "creche", "creche"]


@pytest.mark.parametrize("customized", [False, True])
def test_a_folder_of_pythonpath_needs_a_sitecustomize(
    bare: Python, fake: Path, tmp_path: Path, customized: bool
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    for each in (bare.packages / "creche", *bare.packages.glob("creche*.pth")):
        (shutil.copytree if each.is_dir() else shutil.copy)(each, target / each.name)
    if customized:
        text = (Path(__file__).parents[2] / "docs" / "drop-in.md").read_text(encoding="utf-8")
        block = text.partition('title="sitecustomize.py"')[2].partition("```")[0]
        (target / "sitecustomize.py").write_text(block)
    program = "import sys; sys.path.append(sys.argv[1]); import anyio; print(anyio.__name__)"
    path = str(target)
    done = _run(["-c", program, str(fake)], path, CRECHE_AS_ANYIO="1")
    assert done == ("creche" if customized else "anyio")
    script = tmp_path / "app.py"
    script.write_text("import anyio; print(anyio.__name__)")
    assert _run(["-m", "creche", "run", "--as-anyio", str(script)], path) == "creche"


def _run(arguments: list[str], path: str, **variables: str) -> str:
    """Run a Python that has nothing of Creche installed, with this PYTHONPATH."""
    import subprocess

    environment = {"PYTHONPATH": path, "PATH": "/usr/bin:/bin", **variables}
    command = [sys._base_executable, *arguments]  # type: ignore[attr-defined]  # of the environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()
