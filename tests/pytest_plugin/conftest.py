"""The projects that the plugin's tests run pytest on."""

from __future__ import annotations

from pathlib import Path

import pytest
from _inner import Inner


@pytest.fixture
def inner(tmp_path: Path) -> Inner:
    """A project under Creche's names."""
    return Inner(tmp_path)


@pytest.fixture(params=["creche", "anyio"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Inner:
    """A project under Creche's names, and the same under AnyIO's."""
    return Inner(tmp_path, request.param)
