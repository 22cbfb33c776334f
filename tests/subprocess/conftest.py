"""After each test of this folder no child of the process is left, running or dead."""

from __future__ import annotations

from collections.abc import Iterator

import _commands
import pytest
from _commands import children

from creche._subprocess import exit as exit_module


@pytest.fixture(autouse=True)
def note_others() -> None:
    """Note the children that earlier tests have left."""
    _commands.others.clear()
    _commands.others.update(_commands.children())


@pytest.fixture(autouse=True)
def no_child_left(note_others: None) -> Iterator[None]:
    before = children()
    yield
    assert children() == before


@pytest.fixture(params=["pidfd", "thread"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How one hears of the end of a process: both ways, whatever this system has."""
    if request.param == "thread":
        monkeypatch.setattr(exit_module, "pidfd_open", None)
    way: str = request.param
    return way
