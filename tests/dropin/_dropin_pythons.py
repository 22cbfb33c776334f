"""Pythons with Creche's wheel installed in them, as users have it, and programs that are run there.

Owns the making of the wheel and of the environments; the fixtures that keep them for the session are
in `conftest.py`. AnyIO itself is never among what an environment shares with that of the tests; where
a test needs one that is installed, it is a folder with a few lines in it (`write_anyio`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SITE = Path(f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages")
KEPT_OUT = ("anyio", "creche", "__pycache__", "pip", "setuptools", "hypothesis", "sybil")
"""AnyIO and Creche, and what would only make pytest slower to start."""


@dataclass(frozen=True)
class Python:
    """An interpreter in an environment of its own."""

    folder: Path

    @property
    def executable(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def packages(self) -> Path:
        return self.folder / SITE

    def start(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it with these arguments, and with these variables beside the usual ones."""
        return subprocess.run(
            [self.executable, *arguments],
            capture_output=True,
            text=True,
            env={**usual_variables(), **variables},
            cwd=self.folder,
            timeout=50,
            check=False,
        )

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """Run a program that has to succeed, and return what it prints."""
        done = self.start("-c", textwrap.dedent(program), *arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def usual_variables() -> dict[str, str]:
    ours = ("CRECHE_AS_ANYIO", "PYTHONPATH", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")
    # `subprocess` flushes nothing for coverage or the like: what this process sets stays here.
    return {name: value for name, value in os.environ.items() if name not in ours}


def build_wheel(folder: Path, kind: str = "wheel") -> Path:
    """Build the wheel with the build backend alone: no network, no environment of its own."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_python(folder: Path, wheel: Path, *, shared: bool) -> Python:
    """Make an environment with the wheel in it, and, if `shared`, with the packages of the tests."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, capture_output=True, check=True)
    python = Python(folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(
            python.packages
        )  # all that an installer does with a wheel of pure Python
    if shared:
        share_packages(python.packages)
    return python


def share_packages(packages: Path) -> None:
    """Link what is installed where the tests run, but for AnyIO, Creche and the .pth files."""
    import pytest

    installed = Path(pytest.__file__).parents[1]
    for each in installed.iterdir():
        taken = each.name.partition("-")[0].partition(".")[0] in KEPT_OUT or each.suffix == ".pth"
        if not taken and not (packages / each.name).exists():
            (packages / each.name).symlink_to(each)


def write_anyio(folder: Path) -> Path:
    """Write a package that is AnyIO by its name and its metadata, and return the folder for a path."""
    package = folder / "anyio"
    package.mkdir()
    (package / "__init__.py").write_text("def sleep(): pass\n")
    (package / "abc.py").write_text("class TaskGroup: pass\n")
    (package / "pytest_plugin.py").write_text("def pytest_configure(config): pass\n")
    metadata = folder / "anyio-4.99.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: anyio\nVersion: 4.99.0\n")
    (metadata / "entry_points.txt").write_text("[pytest11]\nanyio = anyio.pytest_plugin\n")
    (metadata / "RECORD").write_text(
        "".join(f"anyio/{name}.py,,\n" for name in ("__init__", "abc", "pytest_plugin"))
    )
    return folder
