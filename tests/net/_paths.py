"""Paths for UNIX sockets: a short folder, a name in it, and abstract names."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_numbers = itertools.count()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for any socket in it."""
    with tempfile.TemporaryDirectory(prefix="creche-") as name:
        yield Path(name)


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "socket"


def abstract_name() -> str:
    return f"\0creche-test-{os.getpid()}-{next(_numbers)}"
