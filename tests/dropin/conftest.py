"""Environments for the drop-in's tests, each made once for the session."""

from __future__ import annotations

from pathlib import Path

import pytest
from _dropin_pythons import Python, build_wheel, make_python, write_anyio


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Python:
    """A Python that has Creche and nothing else."""
    return make_python(tmp_path_factory.mktemp("bare") / "env", wheel, shared=False)


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Python:
    """A Python that has Creche and what the tests have, but no AnyIO."""
    return make_python(tmp_path_factory.mktemp("shared") / "env", wheel, shared=True)


@pytest.fixture(scope="session")
def anyio_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder to be put on the path, in which an AnyIO is installed."""
    return str(write_anyio(tmp_path_factory.mktemp("anyio")))
